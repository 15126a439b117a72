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
