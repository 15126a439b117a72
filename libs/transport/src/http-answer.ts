// SPDX-License-Identifier: Apache-2.0
import { isOperationError } from '@secondsite/units';
import type { CompareOutcome, CopyOutcome, PositionOutcome, Progress, StoreOutcome } from './change-set-protocol';

/** One answer of the server, before it is bytes. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, or as it is. */
  readonly body: object | Uint8Array;
}

export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly hint: string;
  readonly retryAfterMillis?: number;
  readonly missingBlocks?: readonly number[] | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

const noSpaceCode = 'storage/no-space';

/** RFC 9457 problem with our `code`, `hint` and, when trying again can help, `retryAfterMillis`. */
export function problemAnswer({ status, headers, ...problem }: Problem): HttpAnswer {
  const retry = problem.retryAfterMillis === undefined ? {} : { 'retry-after': String(Math.ceil(problem.retryAfterMillis / 1000)) };
  return {
    status,
    headers: { 'content-type': 'application/problem+json', ...retry, ...headers },
    body: { type: 'about:blank', title: problem.code, status, ...problem },
  };
}

export function answerFromOutcome(outcome: StoreOutcome | PositionOutcome | CompareOutcome | CopyOutcome): HttpAnswer {
  switch (outcome.kind) {
    case 'stored':
      return { status: 200, body: { durable: true, ...progressOf(outcome) } };
    case 'known':
      return { status: 200, body: { epoch: outcome.epoch, sequence: outcome.sequence, ...progressOf(outcome) } };
    case 'compared':
      return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body: outcome.answer };
    case 'copied':
      return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body: outcome.answer };
    case 'held-off': {
      const status = outcome.code === noSpaceCode ? 507 : 429;
      const hint = 'Send it again after the given time.';
      return problemAnswer({ status, hint, code: outcome.code, detail: outcome.detail, retryAfterMillis: outcome.retryAfterMillis });
    }
    case 'refused':
      return problemAnswer({ status: 409, code: outcome.code, detail: outcome.detail, hint: outcome.hint, missingBlocks: outcome.missingBlocks });
    case 'corrupt':
      return problemAnswer({ status: 422, code: outcome.code, detail: outcome.detail, hint: outcome.hint });
  }
}

function progressOf({ appliedEpoch, appliedSequence, creditBytes, retryAfterMillis, damaged = [] }: Progress): Progress {
  return {
    appliedEpoch, appliedSequence, creditBytes,
    ...(retryAfterMillis === undefined ? {} : { retryAfterMillis }),
    ...(damaged.length === 0 ? {} : { damaged }),
  };
}

/** For an OperationError; undefined for anything else, which is a programmer's error. */
export function answerFromError(error: unknown): HttpAnswer | undefined {
  if (!isOperationError(error)) return undefined;
  const { code, hint, operation } = error;
  const status = code === noSpaceCode ? 507 : error.retryable ? 503 : 500;
  return problemAnswer({ status, code, detail: `${operation} failed`, hint, retryAfterMillis: error.retryable ? 1000 : 5000 });
}

/** As it is sent: bytes as they are, anything else as JSON. */
export function bodyBytesOf(body: HttpAnswer['body']): Buffer {
  return body instanceof Uint8Array ? Buffer.from(body.buffer, body.byteOffset, body.byteLength) : Buffer.from(JSON.stringify(body));
}
