// SPDX-License-Identifier: Apache-2.0
import { type ByteCount, type Epoch, isOperationError, OperationError, type SequenceNumber, type TimeMicros } from '@secondsite/units';

export interface ReplicationStatus {
  readonly mode: 'data' | 'bitmap' | 'resync-required';
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  readonly lastWriteTime: TimeMicros;
  readonly heldBytes: ByteCount;
  readonly dirtyBytes: ByteCount;
  readonly resync: { readonly doneBytes: ByteCount; readonly totalBytes: ByteCount; readonly finishSeconds?: number } | undefined;
  readonly flowControlled: boolean;
  readonly fault: Fault | undefined;
}

/** `leftBytes`: still to be read. The finish is told from the speed since the start. */
export function resyncProgress(
  { totalBytes, startedMillis }: { readonly totalBytes: ByteCount; readonly startedMillis: number }, now: { readonly leftBytes: ByteCount; readonly millis: number },
): NonNullable<ReplicationStatus['resync']> {
  const doneBytes = Math.max(0, totalBytes - now.leftBytes);
  const seconds = (now.millis - startedMillis) / 1000;
  return { doneBytes, totalBytes, ...(doneBytes > 0 ? { finishSeconds: (seconds / doneBytes) * (totalBytes - doneBytes) } : {}) };
}

/** The last thing that went wrong and still does. */
export interface Fault {
  readonly code: string;
  readonly hint: string;
}

/** `code` for what is no OperationError. */
export function faultOf(error: unknown, code: string): Fault {
  if (isOperationError(error)) return { code: error.code, hint: error.hint };
  return { code, hint: error instanceof Error ? error.message : String(error) };
}

export function notInDataMode(pairId: string): OperationError {
  return new OperationError({
    code: 'bookmark/not-in-data-mode',
    operation: 'create bookmark',
    context: { pairId },
    retryable: true,
    hint: 'The volume is being resynchronised; repeat the bookmark when it is in differential sync.',
  });
}
