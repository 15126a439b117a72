// SPDX-License-Identifier: Apache-2.0
import type { StoreOutcome } from '@secondsite/transport';
import { OperationError } from '@secondsite/units';

export function tooEarly(): StoreOutcome {
  return { kind: 'held-off', retryAfterMillis: 100, code: 'change-set/out-of-window', detail: 'earlier sets are missing' };
}

export function corrupt(code: string, detail: string): StoreOutcome {
  return { kind: 'corrupt', code, detail, hint: 'Send the set again from its own copy.' };
}

export function noSpace(pairId: string): OperationError {
  return new OperationError({
    code: 'storage/no-space', operation: 'store change set', context: { pairId }, retryable: true,
    hint: 'Free space on the disk of the master target, or shorten retention; replication goes on by itself afterwards.',
  });
}

export function pairFailed(pairId: string, cause: unknown): OperationError {
  return new OperationError({
    code: 'pair/stopped', operation: 'store change set', context: { pairId }, retryable: true, cause,
    hint: 'The pair is being opened anew; the set is taken afterwards.',
  });
}
