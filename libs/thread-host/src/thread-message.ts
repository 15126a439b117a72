// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { types } from 'node:util';

/** Messages main → worker. */
export type MessageToWorker =
  | { readonly type: 'request'; readonly id: number; readonly name: string; readonly data: unknown }
  | { readonly type: 'notice'; readonly name: string; readonly data: unknown }
  | { readonly type: 'close' };

/** Messages worker → main. `ready`, `failed-to-start` and `closed` come at most once. */
export type MessageToMain =
  | { readonly type: 'ready' }
  | { readonly type: 'failed-to-start'; readonly error: PlainError }
  | { readonly type: 'reply'; readonly id: number; readonly data: unknown }
  | { readonly type: 'failure'; readonly id: number; readonly error: PlainError }
  | { readonly type: 'event'; readonly name: string; readonly data: unknown }
  | { readonly type: 'closed'; readonly error?: PlainError };

/** An error as plain data; the structured clone would lose the class and fields of an OperationError. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string;
  readonly details?: Pick<OperationError, 'operation' | 'context' | 'retryable' | 'hint'>;
  readonly cause?: PlainError;
}

const causesMax = 8;

export function plainFromError(error: unknown, depth = 0): PlainError {
  // Not `instanceof`: an error that crossed threads may belong to another realm.
  if (!types.isNativeError(error)) return { name: 'Error', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return {
    name: error.name,
    message: error.message,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(code === undefined ? {} : { code }),
    ...(error instanceof OperationError ? { details: detailsOf(error) } : {}),
    ...(error.cause === undefined || depth >= causesMax ? {} : { cause: plainFromError(error.cause, depth + 1) }),
  };
}

function detailsOf({ operation, context, retryable, hint }: OperationError): NonNullable<PlainError['details']> {
  return { operation, context, retryable, hint };
}

/** Rebuilds an OperationError with all its fields; anything else becomes an Error with name, message, code and stack of the original. */
export function errorFromPlain(plain: PlainError): Error {
  const cause = plain.cause === undefined ? undefined : errorFromPlain(plain.cause);
  const error =
    plain.details !== undefined && plain.code !== undefined
      ? new OperationError({ code: plain.code, ...plain.details, cause })
      : Object.assign(new Error(plain.message, { cause }), { name: plain.name }, plain.code === undefined ? {} : { code: plain.code });
  if (plain.stack !== undefined) error.stack = plain.stack;
  return error;
}
