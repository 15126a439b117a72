// SPDX-License-Identifier: Apache-2.0
import { databaseError } from '@secondsite/event-store';
import type { ProblemRules } from '@secondsite/service-kit';
import { isOperationError, OperationError } from '@secondsite/units';

/** How failures look to REST clients. */
export const problemRules: ProblemRules = {
  statusByCode: {
    'enrolment/token-unknown': 401, 'enrolment/token-used': 401, 'enrolment/token-expired': 401, 'enrolment/name-taken': 409, 'certificate/bad-request': 422,
    'tls/foreign-certificate': 401, 'bus/reply-invalid': 502, 'bus/timeout': 504, 'event-store/conflict': 409, 'database/conflict': 409,
    'bookmark/level-not-reached': 409, 'freeze/busy': 409, 'bookmark/held-too-long': 503, 'bookmark/thawed-too-early': 503, 'bookmark/host-silent': 504,
    config: 500,
  },
  translate,
};

function translate(error: unknown): unknown {
  const known = databaseError('use the database', error);
  return isOperationError(known) || !isUniqueViolation(error) ? known : repeatedAtOnce(error);
}

/** PostgreSQL 23505: two requests did the same thing at one moment, and the other came first. */
function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && 'driverError' in error && (error.driverError as { code?: unknown }).code === '23505';
}

function repeatedAtOnce(cause: unknown): OperationError {
  const hint = 'Somebody did the same at this moment; look at the list and try again.';
  return new OperationError({ code: 'database/conflict', operation: 'store', retryable: false, hint, cause });
}
