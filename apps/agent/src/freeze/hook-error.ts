// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';

const REASON_CHARACTERS_MAX = 200;

/** `reason` goes into events: it never holds what a user's program printed. */
export function hookFailed(operation: string, reason: string): OperationError {
  return new OperationError({ code: 'hook/failed', operation, retryable: true, hint: reason.slice(0, REASON_CHARACTERS_MAX) });
}

export function hookTooSlow(operation: string, secondsMax: number): OperationError {
  return new OperationError({ code: 'hook/too-slow', operation, retryable: true, hint: `it took longer than ${secondsMax} s` });
}
