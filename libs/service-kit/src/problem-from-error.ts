// SPDX-License-Identifier: Apache-2.0
import { HttpException } from '@nestjs/common';
import type { Problem } from '@secondsite/contracts';
import { isOperationError } from '@secondsite/units';
import { RefusedRequest } from './refused-request';

export interface ProblemRules {
  /** HTTP status of an OperationError by its code, or by the part before the slash. */
  readonly statusByCode: Readonly<Record<string, number>>;
  /** Turns an adapter's raw error (a lost database connection …) into an OperationError; undefined when it is not known. */
  readonly translate?: (error: unknown) => unknown;
}

/** What a client is told about an error. Unknown errors say nothing of their inside. `expected` is false for those: they need a log entry. */
export function problemFromError(raw: unknown, rules: ProblemRules): { readonly problem: Problem; readonly expected: boolean } {
  const error = rules.translate?.(raw) ?? raw;
  if (error instanceof RefusedRequest) return { problem: problemOfRefusal(error), expected: true };
  if (isOperationError(error)) {
    const status = rules.statusByCode[error.code] ?? rules.statusByCode[error.code.split('/')[0] ?? ''] ?? (error.retryable ? 503 : 500);
    const { code, hint, retryable, context, operation } = error;
    const detail = `${operation} failed (${code})`;
    return { problem: { ...titled(status, code), detail, hint, retryable, ...(Object.keys(context).length > 0 ? { context } : {}) }, expected: status !== 500 };
  }
  const http = httpStatusOf(error);
  if (http !== undefined) return { problem: problemOfHttpError(http), expected: true };
  return {
    problem: {
      ...titled(500, 'internal'), detail: 'The server met an error that it does not know.', retryable: false,
      hint: 'The log of the server has it; look for the trace id.',
    },
    expected: false,
  };
}

function problemOfRefusal({ refusal }: RefusedRequest): Problem {
  const { status, code, detail, hint, retryable = false, context, faults } = refusal;
  return { ...titled(status, code), detail, hint, retryable, ...(context ? { context: { ...context } } : {}), ...(faults ? { faults: [...faults] } : {}) };
}

function problemOfHttpError(status: number): Problem {
  const unknownPath = status === 404;
  const code = unknownPath ? 'request/unknown-path' : status === 413 ? 'request/too-large' : 'request/malformed';
  const detail = unknownPath ? 'There is no such path.' : status === 413 ? 'The request is too large.' : 'The request cannot be read.';
  return { ...titled(status, code), detail, retryable: false, hint: 'See /v1/openapi.json.' };
}

/** Status of an error that carries one (Nest's HttpException, body parser). */
function httpStatusOf(error: unknown): number | undefined {
  const status = error instanceof HttpException ? error.getStatus() : error instanceof Error && 'status' in error ? error.status : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined;
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad request', 401: 'Not authenticated', 403: 'Not allowed', 404: 'Not found', 409: 'Conflict', 413: 'Too large', 422: 'Unprocessable',
  429: 'Too many requests', 500: 'Internal error', 502: 'Bad answer', 503: 'Unavailable', 504: 'No answer in time', 507: 'No space',
};

function titled(status: number, code: string): Pick<Problem, 'type' | 'title' | 'status' | 'code'> {
  return { type: `urn:secondsite:problem:${code.replaceAll('/', ':')}`, title: titles[status] ?? 'Problem', status, code };
}
