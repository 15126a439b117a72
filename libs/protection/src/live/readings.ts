// SPDX-License-Identifier: Apache-2.0
import type { AgentVolumeTelemetry, MasterTargetPairTelemetry, ProcessServerPairTelemetry, RetentionReport, ScrubReport } from '@secondsite/contracts';
import type { ByteCount, TimeMicros } from '@secondsite/units';

/** Something that goes wrong at a component now. */
export interface Fault {
  readonly code: string;
  readonly hint: string;
}

/** What the agent last said about a volume. `seenAt` is this server's clock when it arrived. */
export interface AgentReading {
  readonly seenAt: TimeMicros;
  readonly mode: 'data' | 'bitmap' | 'resync-required' | 'unprotected';
  readonly epoch: number;
  readonly sequence: number;
  /** Captured, not yet durable at the process server. */
  readonly heldBytes: ByteCount;
  /** In regions marked in the write-intent bitmap. In data mode most of them are shipped and only await lazy clearing. */
  readonly dirtyBytes: ByteCount;
  readonly resync?: {
    readonly doneBytes: ByteCount;
    readonly totalBytes: ByteCount;
    readonly bytesPerSecond?: number;
    readonly finishSeconds?: number;
    /** Compared with the replica so far; absent: nothing is compared. */
    readonly blocks?: { readonly compared: number; readonly sent: number; readonly skipped: number };
  };
  readonly writesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly flowControlled: boolean;
  readonly shippedBytesPerSecond?: number;
  readonly stays?: NonNullable<AgentVolumeTelemetry['stays']>;
  readonly fault?: Fault;
}

export interface ProcessServerReading {
  readonly seenAt: TimeMicros;
  readonly spoolBytes: ByteCount;
  readonly forwardedSequence: number;
  /** Since the process server started. */
  readonly sent?: NonNullable<ProcessServerPairTelemetry['sent']>;
  readonly flowControlled?: boolean;
  /** Of sets that the master target took, uncompressed. */
  readonly bytesPerSecond?: number;
  readonly stays?: NonNullable<ProcessServerPairTelemetry['stays']>;
  readonly fault?: Fault;
}

export interface MasterTargetReading {
  readonly seenAt: TimeMicros;
  readonly epoch: number;
  readonly receivedSequence: number;
  readonly appliedSequence: number;
  /** Source time up to which everything is applied; undefined before the first set. */
  readonly coveredTime?: TimeMicros;
  readonly cacheBytes: ByteCount;
  readonly stage: 'resync-step-1' | 'resync-step-2' | 'differential-sync';
  readonly green: boolean;
  readonly journalBytes: ByteCount;
  readonly earliestPoint?: TimeMicros;
  readonly latestPoint?: TimeMicros;
  readonly views: number;
  /** Applied. */
  readonly bytesPerSecond?: number;
  readonly stays?: NonNullable<MasterTargetPairTelemetry['stays']>;
  readonly fault?: Fault;
  readonly retention?: RetentionReport;
  readonly scrub?: ScrubReport;
}

/** The newest readings of one pair from the three components on its way; any may be missing. */
export interface PairReadings {
  readonly agent?: AgentReading;
  readonly processServer?: ProcessServerReading;
  readonly masterTarget?: MasterTargetReading;
}

/** A component is silent when nothing was heard of it for this long (it speaks once a second). */
export const silentAfterMicros = 5_000_000;

export function isSilent(reading: { readonly seenAt: TimeMicros } | undefined, now: TimeMicros): boolean {
  return reading === undefined || now - reading.seenAt > silentAfterMicros;
}
