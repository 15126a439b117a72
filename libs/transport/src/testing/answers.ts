// SPDX-License-Identifier: Apache-2.0
// What a sender makes of what a receiver did: the answer and its reading as over HTTP, without HTTP.
import type { CompareAnswer, CompareOutcome, PositionAnswer, PositionOutcome, PutOutcome, StoreOutcome } from '../change-set-protocol';
import { answerFromError, answerFromOutcome, bodyBytesOf, type HttpAnswer } from '../http-answer';
import { compareAnswerFromReply, type HttpReply, positionFromReply, putOutcomeFromReply } from '../http-reply';

/** The sender's outcome of a PUT that was handled. Rethrows what is a bug of the receiver. */
export async function putOutcomeOf(stored: Promise<StoreOutcome>): Promise<PutOutcome> {
  return putOutcomeFromReply(await replyOf(stored));
}

/** The same for a question for the position. */
export async function positionAnswerOf(position: Promise<PositionOutcome>): Promise<PositionAnswer> {
  return positionFromReply(await replyOf(position));
}

/** The same for a question what differs. */
export async function compareAnswerOf(compared: Promise<CompareOutcome>): Promise<CompareAnswer> {
  return compareAnswerFromReply(await replyOf(compared));
}

async function replyOf(handled: Promise<StoreOutcome | PositionOutcome | CompareOutcome>): Promise<HttpReply> {
  const { status, body, headers } = await answerOf(handled);
  return { status, body: bodyBytesOf(body), retryAfter: headers?.['retry-after'] };
}

async function answerOf(handled: Promise<StoreOutcome | PositionOutcome | CompareOutcome>): Promise<HttpAnswer> {
  try {
    return answerFromOutcome(await handled);
  } catch (error) {
    const known = answerFromError(error);
    if (known === undefined) throw error;
    return known;
  }
}
