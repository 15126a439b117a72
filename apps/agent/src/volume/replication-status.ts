// SPDX-License-Identifier: Apache-2.0
import { type ByteCount, type Epoch, isOperationError, OperationError, type SequenceNumber, type TimeMicros } from '@secondsite/units';
import type { BitmapModeReason } from './replication-fact';
import type { ResyncCounts } from './resync-reader';

export interface ReplicationStatus {
  readonly mode: 'data' | 'bitmap' | 'resync-required';
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  readonly lastWriteTime: TimeMicros;
  readonly heldBytes: ByteCount;
  readonly dirtyBytes: ByteCount;
  readonly resync: ResyncProgress | undefined;
  readonly flowControlled: boolean;
  readonly fault: Fault | undefined;
}

/** `leftBytes`: still to be read. The finish is told from the speed since the start. */
export function resyncProgress(
  { totalBytes, startedMillis }: { readonly totalBytes: ByteCount; readonly startedMillis: number },
  now: { readonly leftBytes: ByteCount; readonly millis: number; readonly counts: ResyncCounts },
): ResyncProgress {
  const doneBytes = Math.max(0, totalBytes - now.leftBytes);
  const seconds = (now.millis - startedMillis) / 1000;
  const { comparedBlocks: compared, sentBlocks: sent, skippedBlocks: skipped } = now.counts;
  return {
    doneBytes, totalBytes,
    ...(doneBytes > 0 ? { finishSeconds: (seconds / doneBytes) * (totalBytes - doneBytes) } : {}),
    ...(compared > 0 ? { blocks: { compared, sent, skipped } } : {}),
  };
}

/** Why no more can be captured. */
export function whyNoMemory({ flowControlled, fault }: { readonly flowControlled: boolean; readonly fault: Fault | undefined }): BitmapModeReason {
  if (flowControlled) return 'flow-controlled';
  return fault ? 'process-server-unreachable' : 'buffer-full';
}

export interface ResyncProgress {
  readonly doneBytes: ByteCount;
  readonly totalBytes: ByteCount;
  readonly finishSeconds?: number;
  /** Undefined: nothing is compared. */
  readonly blocks?: { readonly compared: number; readonly sent: number; readonly skipped: number };
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
