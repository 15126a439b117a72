// SPDX-License-Identifier: Apache-2.0
import type { AgentVolumeTelemetry } from '@secondsite/contracts';
import { type ByteCount, type Epoch, isOperationError, OperationError, type SequenceNumber, type TimeMicros } from '@secondsite/units';
import type { BitmapModeReason } from './replication-fact';
import type { ResyncReading } from './resync-progress';

export interface ReplicationStatus {
  readonly mode: 'data' | 'bitmap' | 'resync-required';
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  readonly lastWriteTime: TimeMicros;
  readonly heldBytes: ByteCount;
  readonly dirtyBytes: ByteCount;
  readonly resync: ResyncReading | undefined;
  readonly flowControlled: boolean;
  readonly fault: Fault | undefined;
  readonly stays: NonNullable<AgentVolumeTelemetry['stays']>;
  readonly shippedBytesPerSecond: number;
}

/** Why no more can be captured. */
export function whyNoMemory({ flowControlled, fault }: { readonly flowControlled: boolean; readonly fault: Fault | undefined }): BitmapModeReason {
  if (flowControlled) return 'flow-controlled';
  return fault ? 'process-server-unreachable' : 'buffer-full';
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
