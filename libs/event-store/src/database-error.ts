// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';

/** Sockets that break, and PostgreSQL's classes 08 (connection) and 57P (operator intervention), 53300 (too many connections). */
const unavailableCodes = /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|08...|57P0[1-5]|53300)$/;
const unavailableTexts = /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable|Driver not Connected/;

/** True when the database cannot be reached now, as opposed to a statement that failed. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, message, driverError, cause } = error as { code?: unknown; message?: unknown; driverError?: unknown; cause?: unknown };
  if (unavailableCodes.test(textOf(code)) || unavailableTexts.test(textOf(message))) return true;
  const inner = driverError ?? cause;
  return inner !== undefined && inner !== error && isDatabaseUnavailable(inner);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The same error with the code `database/unavailable` if that is what it means; any other error as it is. */
export function databaseError(operation: string, cause: unknown): unknown {
  if (cause instanceof OperationError || !isDatabaseUnavailable(cause)) return cause;
  return new OperationError({
    code: 'database/unavailable', operation, retryable: true, cause, hint: 'PostgreSQL cannot be reached now; connections are made anew until it can.',
  });
}
