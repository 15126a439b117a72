// SPDX-License-Identifier: Apache-2.0
// What a sender makes of what a receiver did: the answer and its reading as over HTTP, without HTTP.
import type { PositionAnswer, PositionOutcome, PutOutcome, StoreOutcome } from '../change-set-protocol';
import { answerFromError, answerFromOutcome, type HttpAnswer } from '../http-answer';
import { type HttpReply, positionFromReply, putOutcomeFromReply } from '../http-reply';

/** The sender's outcome of a PUT that was handled. Rethrows what is a bug of the receiver. */
export async function putOutcomeOf(stored: Promise<StoreOutcome>): Promise<PutOutcome> {
  return putOutcomeFromReply(await replyOf(stored));
}

/** The same for a question for the position. */
export async function positionAnswerOf(position: Promise<PositionOutcome>): Promise<PositionAnswer> {
  return positionFromReply(await replyOf(position));
}

async function replyOf(handled: Promise<StoreOutcome | PositionOutcome>): Promise<HttpReply> {
  const { status, body, headers } = await answerOf(handled);
  return { status, text: JSON.stringify(body), retryAfter: headers?.['retry-after'] };
}

async function answerOf(handled: Promise<StoreOutcome | PositionOutcome>): Promise<HttpAnswer> {
  try {
    return answerFromOutcome(await handled);
  } catch (error) {
    const known = answerFromError(error);
    if (known === undefined) throw error;
    return known;
  }
}
