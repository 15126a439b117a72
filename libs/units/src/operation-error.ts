// SPDX-License-Identifier: Apache-2.0
/** What an operator needs to know about a failure. `code` is stable and matched by programs, e.g. `storage/no-space`. */
export interface OperationErrorDetails {
  readonly code: string;
  /** What was being done, e.g. `append to spool`. */
  readonly operation: string;
  /** Names and numbers that locate the failure; never secrets. */
  readonly context?: Readonly<Record<string, string | number | boolean>>;
  readonly retryable: boolean;
  /** What the reader can do about it, as a sentence. */
  readonly hint: string;
  readonly cause?: unknown;
}

/** An operating failure (full disk, dead peer, refused input). Programmer errors are assertions, never this. */
export class OperationError extends Error {
  override readonly name = 'OperationError';
  readonly code: string;
  readonly operation: string;
  readonly context: Readonly<Record<string, string | number | boolean>>;
  readonly retryable: boolean;
  readonly hint: string;

  constructor(details: OperationErrorDetails) {
    const cause = details.cause instanceof Error ? `: ${details.cause.message}` : '';
    super(`${details.operation} failed (${details.code})${cause}. ${details.hint}`, { cause: details.cause });
    this.code = details.code;
    this.operation = details.operation;
    this.context = details.context ?? {};
    this.retryable = details.retryable;
    this.hint = details.hint;
  }
}

/** True for an OperationError, also one that crossed a thread boundary and lost its class; optionally of one code. */
export function isOperationError(error: unknown, code?: string): error is OperationError {
  if (!(error instanceof Error) || !('code' in error) || !('hint' in error)) return false;
  return code === undefined || error.code === code;
}
