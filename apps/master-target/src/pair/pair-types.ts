// SPDX-License-Identifier: Apache-2.0
import type { ResyncReason } from '@secondsite/change-set';
import type { MasterTargetPairTelemetry } from '@secondsite/contracts';
import type { Bookmark, JournalDamageFound } from '@secondsite/retention-journal';
import type { RetentionStanding, SpaceCause } from './retention-watch';
import type { ScrubRound } from './scrub-state';
import type { ByteCount, ByteOffset, Epoch, SequenceNumber, TimeMicros } from '@secondsite/units';

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
  | DamageFound
  /** `isLost`: what the block held before is not known, so views of instants before `at` that need it refuse it. */
  | { readonly kind: 'damage-repaired'; readonly offset: ByteOffset; readonly bytes: ByteCount; readonly isLost: boolean; readonly at: TimeMicros }
  | ({ readonly kind: 'scrub-ended' } & ScrubRound)
  | ({ readonly kind: 'retention-shortened'; readonly cause: SpaceCause; readonly journalBytes: ByteCount; readonly earliestPoint: TimeMicros | undefined } & Pick<RetentionStanding, 'promisedMicros' | 'availableMicros'>)
  | { readonly kind: 'cold-store-failed'; readonly affects: ColdUse; readonly code: string; readonly hint: string; readonly waitingBytes: ByteCount }
  | { readonly kind: 'cold-store-recovered'; readonly affects: ColdUse; readonly seconds: number }
  | { readonly kind: 'fault'; readonly code: string; readonly hint: string }
  | { readonly kind: 'fault-ended'; readonly seconds: number; readonly coveredTime: TimeMicros };

/** Something here is not as it was written: a block of the replica, until the source has sent it again, or undo of instants before `before`. */
export type DamageFound =
  | { readonly kind: 'damage-found'; readonly place: 'replica'; readonly bytes: ByteCount; readonly offset: ByteOffset }
  | ({ readonly kind: 'damage-found'; readonly place: 'journal' } & JournalDamageFound);

/** How far reading everything again is. */
export interface ScrubStatus {
  /** When the next round begins by itself; undefined while one is under way. */
  readonly nextAt: TimeMicros | undefined;
  /** Of replica and journal. */
  readonly running: { readonly startedAt: TimeMicros; readonly doneBytes: ByteCount; readonly totalBytes: ByteCount } | undefined;
  readonly lastRound: ScrubRound | undefined;
  /** Of the replica, not repaired yet. */
  readonly damagedBytes: ByteCount;
  readonly fault: { readonly code: string; readonly hint: string } | undefined;
}

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
  readonly scrub: ScrubStatus;
  readonly appliedBytesTotal: ByteCount;
  readonly refusedSets: number;
  readonly stays: NonNullable<MasterTargetPairTelemetry['stays']>;
  readonly fault: { readonly code: string; readonly hint: string } | undefined;
}
