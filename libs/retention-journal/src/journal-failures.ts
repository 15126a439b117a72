// SPDX-License-Identifier: Apache-2.0
import { type ByteCount, type ByteOffset, OperationError, type TimeMicros } from '@secondsite/units';

export function pointPruned(pointTime: TimeMicros): OperationError {
  return new OperationError({
    code: 'journal/point-pruned', operation: 'open view map', context: { pointTime }, retryable: false, hint: 'the instant is older than the journal',
  });
}

/** Of exactly these bytes of a view. */
export function bytesLost({ offset, length }: { readonly offset: ByteOffset; readonly length: ByteCount }): OperationError {
  return new OperationError({
    code: 'journal/bytes-lost', operation: 'read view', context: { offset, length }, retryable: false,
    hint: 'A disk of the master target returned other bytes than were written there, and what stood here at this instant is not known. Open a view of a later instant, or of one before these bytes were written.',
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
