// SPDX-License-Identifier: Apache-2.0
import type { ResyncReason } from '@secondsite/change-set';
import type { MasterTargetPairTelemetry } from '@secondsite/contracts';
import type { Bookmark } from '@secondsite/retention-journal';
import type { RetentionStanding, SpaceCause } from './retention-watch';
import type { ByteCount, Epoch, SequenceNumber, TimeMicros } from '@secondsite/units';

/** A place in a pair's stream. */
export interface StreamPlace {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
}

export type PairStage = 'resync-step-1' | 'resync-step-2' | 'differential-sync';

/** What a cold store is used for: bringing segments there, reading them, removing what a removed pair had there. */
export type ColdUse = 'moving' | 'views' | 'removal';

/** What happened to a pair; facts for the bus. */
export type PairEvent =
  | ({ readonly kind: 'applied'; readonly coveredTime: TimeMicros; readonly appliedAt: TimeMicros; readonly traceparent: string | undefined } & StreamPlace)
  | ({ readonly kind: 'resync-started'; readonly reason: ResyncReason; readonly resyncBytes: ByteCount; readonly volumeBytes: ByteCount } & StreamPlace)
  | ({ readonly kind: 'resync-read' } & StreamPlace)
  | ({ readonly kind: 'differential-sync-reached'; readonly coveredTime: TimeMicros } & StreamPlace)
  | ({ readonly kind: 'bookmark-applied'; readonly bookmark: Bookmark } & StreamPlace)
  | ({ readonly kind: 'refused'; readonly code: string; readonly reason: string } & StreamPlace)
  | { readonly kind: 'resync-required'; readonly reason: string }
  | ({ readonly kind: 'retention-shortened'; readonly cause: SpaceCause; readonly journalBytes: ByteCount; readonly earliestPoint: TimeMicros | undefined } & Pick<RetentionStanding, 'promisedMicros' | 'availableMicros'>)
  | { readonly kind: 'cold-store-failed'; readonly affects: ColdUse; readonly code: string; readonly hint: string; readonly waitingBytes: ByteCount }
  | { readonly kind: 'cold-store-recovered'; readonly affects: ColdUse; readonly seconds: number }
  | { readonly kind: 'fault'; readonly code: string; readonly hint: string }
  | { readonly kind: 'fault-ended'; readonly seconds: number; readonly coveredTime: TimeMicros };

/** When a set passed the hops of the target. */
export interface SetHops extends StreamPlace {
  readonly storedBytes: ByteCount;
  readonly entryCount: number;
  readonly traceparent: string | undefined;
  readonly receivedAt: TimeMicros;
  readonly cacheDurableAt?: TimeMicros;
  /** Its turn had come. */
  readonly applyBeganAt?: TimeMicros;
  readonly undoDurableAt?: TimeMicros;
  readonly appliedAt?: TimeMicros;
  /** Durable in the replica, by a checkpoint. */
  readonly coveredAt?: TimeMicros;
}

/** How much of the journal is in the cold store. */
export interface ColdStanding {
  readonly bytes: ByteCount;
  /** On the local disk, and should be in the cold store. */
  readonly waitingBytes: ByteCount;
  /** From this instant on views need nothing of it; 0: from the first. */
  readonly localFrom: TimeMicros;
  readonly trouble: { readonly code: string; readonly hint: string; readonly since: TimeMicros } | undefined;
}

export interface PairStatus extends StreamPlace {
  /** Highest sequence of `epoch` below which none is missing, durable in the cache. */
  readonly receivedSequence: SequenceNumber;
  /** Applied, and durable in the replica. */
  readonly applied: StreamPlace;
  readonly coveredTime: TimeMicros;
  readonly stage: PairStage;
  readonly green: boolean;
  readonly cacheBytes: ByteCount;
  readonly cachedSets: number;
  readonly journalBytes: ByteCount;
  readonly retention: RetentionStanding;
  /** Absent without a cold store. */
  readonly cold: ColdStanding | undefined;
  readonly earliestPoint: TimeMicros | undefined;
  readonly latestPoint: TimeMicros | undefined;
  readonly views: number;
  readonly appliedBytesTotal: ByteCount;
  readonly refusedSets: number;
  readonly stays: NonNullable<MasterTargetPairTelemetry['stays']>;
  readonly fault: { readonly code: string; readonly hint: string } | undefined;
}
