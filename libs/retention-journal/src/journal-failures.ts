// SPDX-License-Identifier: Apache-2.0
import { OperationError, type TimeMicros } from '@secondsite/units';

export function pointPruned(pointTime: TimeMicros): OperationError {
  return new OperationError({
    code: 'journal/point-pruned', operation: 'open view map', context: { pointTime }, retryable: false, hint: 'the instant is older than the journal',
  });
}

export function damaged(name: string): OperationError {
  return new OperationError({
    code: 'journal/damaged', operation: 'read segment of the retention journal', context: { file: name }, retryable: false,
    hint: 'The disk returned other bytes than were written. Check it; points that need this segment cannot be read.',
  });
}

export function coldStoreMissing(name: string): OperationError {
  return new OperationError({
    code: 'cold-store/not-configured', operation: 'read segment of the retention journal', context: { file: name }, retryable: false,
    hint: 'The segment is in a cold store, and none is configured: start the master target with the bucket that it had (SECONDSITE_COLD_BUCKET and the others).',
  });
}

export function notConfirmed(objects: string): OperationError {
  return new OperationError({
    code: 'cold-store/not-whole', operation: 'move segment to the cold store', context: { objects }, retryable: true,
    hint: 'The listing of the bucket does not show what was stored. It is tried again; if it stays so, look at the bucket and its rules.',
  });
}

export function segmentGone(name: string): OperationError {
  return new OperationError({
    code: 'journal/segment-gone', operation: 'move segment to the cold store', context: { file: name }, retryable: true,
    hint: 'Retention dropped it meanwhile; the next one is moved instead.',
  });
}
