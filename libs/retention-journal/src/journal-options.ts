// SPDX-License-Identifier: Apache-2.0
import { type ByteCount, GIB, MIB, type TimeMicros } from '@secondsite/units';
import type { ColdTier } from './cold-tier';
import type { JournalMemory } from './journal-memory';
import type { RecoveryPoints } from './recovery-points';
import type { StreamState } from './stream-state';

export interface JournalOptions {
  /** A segment is sealed when it is this large; default 64 MiB. */
  readonly segmentBytes?: ByteCount;
  /** … or has so many entries; default 2^18. */
  readonly segmentEntries?: number;
  /** … or covers so much time; default 1 hour. */
  readonly segmentMicros?: TimeMicros;
  /** Undo entries that one merge takes in, at most; default 2^19. It holds them in memory. */
  readonly mergeEntries?: number;
  /** … and bytes; default 4 GiB. */
  readonly mergeBytes?: ByteCount;
  /** The replica is at least here: a journal that ends before it was damaged, is set aside and begun anew. */
  readonly replicaState?: StreamState;
  /** Where old segments go; without it all stay here, and those that are there already cannot be read. */
  readonly cold?: ColdTier | undefined;
  /** Default: memory that the collector frees. */
  readonly memory?: JournalMemory | undefined;
}

/** What other limits would keep, and free. */
export interface PreviewedRetention {
  readonly points: RecoveryPoints;
  readonly freedBytes: ByteCount;
}

export type JournalLimits = Required<Omit<JournalOptions, 'replicaState' | 'cold' | 'memory'>>;

export const defaultJournalLimits: JournalLimits = {
  segmentBytes: 64 * MIB, segmentEntries: 1 << 18, segmentMicros: 3600e6, mergeEntries: 1 << 19, mergeBytes: 4 * GIB,
};
