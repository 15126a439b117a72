// SPDX-License-Identifier: Apache-2.0
// Brings a journal's old segments to the cold store and takes away there what the journal has dropped. Invariant: only what the store has confirmed and
// is noted durably is removed here; only what is durably dropped here is removed there. One call of `tend` at a time.
import type { StorageDirectory } from '@secondsite/durable-storage';
import { type ByteCount, isOperationError, type TimeMicros } from '@secondsite/units';
import { coldDue } from './cold-plan';
import type { ColdSegment } from './cold-segment';
import type { ColdTier } from './cold-tier';
import { segmentGone } from './journal-failures';
import { moveToColdStore } from './move-to-cold-store';
import { removeFiles } from './open-chain';
import type { RetentionLimits } from './retention-ladder';
import type { StoredSegment } from './stored-segment';

export interface KeptJournal {
  readonly directory: StorageDirectory;
  readonly tier: ColdTier;
  /** The chain as it is now, oldest first. */
  readonly segments: () => readonly StoredSegment[];
  readonly appliedTime: () => TimeMicros;
  /** What the journal takes of the local disk. */
  readonly localBytes: () => ByteCount;
  /** It is being merged, or damaged. */
  readonly mustStay: (segment: StoredSegment) => boolean;
  /** From now on the segment's bytes are read from the cold one. */
  readonly exchange: (segment: StoredSegment, cold: ColdSegment) => void;
  /** Resolves when nobody uses files any more as they were when it was called. */
  readonly readsEnded: () => Promise<unknown>;
}

export class ColdKeeper {
  readonly #journal: KeptJournal;
  readonly #unreadable = new WeakSet<StoredSegment>();
  #moving: StoredSegment | undefined;
  #held = false;
  /** After a start there may be objects of an upload that a crash ended. */
  #sweepIsDue = true;

  constructor(journal: KeptJournal) {
    this.#journal = journal;
  }

  /** The segment on its way; it must not be merged. */
  get moving(): StoredSegment | undefined {
    return this.#moving;
  }

  /** True while its files are being read and must not be pruned; never while the store is waited for. */
  isHolding(segment: StoredSegment): boolean {
    return this.#held && this.#moving === segment;
  }

  /** A cold segment was dropped: its objects can go. */
  dropped(): void {
    this.#sweepIsDue = true;
  }

  /** Bytes on the local disk that should be in the cold store. */
  dueBytes(limits: RetentionLimits): ByteCount {
    return this.#due(limits).reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  }

  /**
   * Moves the oldest segment that should be in the cold store, or removes objects that nobody needs; false when there is nothing to do. May run beside
   * everything else; end it before the journal is closed. Rejects with the journal as before when disk or store fail, or when `pause`, which is
   * called between pieces of work to give the thread to others, rejects.
   */
  async tend(limits: RetentionLimits, pause: () => Promise<void>): Promise<boolean> {
    if (this.#sweepIsDue) {
      await this.#sweep();
      return true;
    }
    const [segment] = this.#due(limits);
    if (!segment) return false;
    try {
      await this.#move(segment, pause);
    } catch (error) {
      this.#sweepIsDue = true;
      // A damaged one must not keep the others here.
      if (isOperationError(error, 'journal/damaged')) this.#unreadable.add(segment);
      if (!isOperationError(error, 'journal/segment-gone')) throw error;
    }
    return true;
  }

  #due(limits: RetentionLimits): StoredSegment[] {
    const { segments, tier, appliedTime, localBytes, mustStay } = this.#journal;
    const due = coldDue(segments(), { limits, policy: tier.policy, appliedTime: appliedTime(), localBytes: localBytes() });
    return due.filter((segment) => !mustStay(segment) && !this.#unreadable.has(segment));
  }

  async #move(segment: StoredSegment, pause: () => Promise<void>): Promise<void> {
    const { directory, tier, exchange, readsEnded } = this.#journal;
    this.#moving = segment;
    try {
      await moveToColdStore(segment, { directory, tier, pause, hold: (work) => this.#hold(segment, work) }, (cold) => exchange(segment, cold));
    } finally {
      this.#moving = undefined;
    }
    await readsEnded();
    await segment.file.close();
    await removeFiles(directory, segment.names);
  }

  async #hold<Result>(segment: StoredSegment, work: () => Promise<Result>): Promise<Result> {
    if (!this.#journal.segments().includes(segment)) throw segmentGone(segment.file.name);
    this.#held = true;
    try {
      return await work();
    } finally {
      this.#held = false;
    }
  }

  /** The folder is read before it is synced: what it does not show is then durably gone. */
  async #sweep(): Promise<void> {
    const { directory, tier } = this.#journal;
    const names = await directory.list();
    await directory.sync();
    this.#sweepIsDue = false;
    await tier.sweep(names).catch((error: unknown) => {
      this.#sweepIsDue = true;
      throw error;
    });
  }
}
