// SPDX-License-Identifier: Apache-2.0
// The cold store of one pair: what goes there, what is said when it cannot be reached, and how much is there. Applying never waits for it.
import type { Compress, Decompress } from '@secondsite/change-set';
import { type ColdPolicy, type ColdStore, ColdTier, type RetentionJournal, type RetentionLimits } from '@secondsite/retention-journal';
import type { ByteCount, OperationError, TimeMicros } from '@secondsite/units';
import { BackgroundWork } from './background-work';
import type { ColdStanding, ColdUse, PairEvent } from './pair-types';

export interface PairColdOptions {
  readonly store: ColdStore;
  /** Begins the names of this pair's objects, and of no other pair's at any target. */
  readonly folder: string;
  readonly policy: ColdPolicy;
  readonly compress: Compress;
  /** See ColdTierOptions. */
  readonly newToken: () => string;
  /** Memory for what views have read of it; default 32 MiB. */
  readonly cacheBytesMax: ByteCount;
}

export interface PairColdStorageParts extends PairColdOptions {
  readonly decompress: Decompress;
  readonly clock: () => TimeMicros;
  readonly delay: (millis: number) => Promise<void>;
  /** How often it looks for segments to move. */
  readonly lookMicros: TimeMicros;
  readonly emit: (event: PairEvent) => void;
}

interface ServedJournal {
  readonly journal: RetentionJournal;
  readonly retention: () => RetentionLimits;
  /** False while the pair is copied to another master target, which cannot read this one's objects. */
  readonly mayMove: () => boolean;
}

interface Trouble extends Pick<OperationError, 'code' | 'hint'> {
  readonly since: TimeMicros;
}

/** Of these a read of something else says nothing. */
const lasting: readonly string[] = ['journal/damaged', 'cold-store/not-found'];

export class PairColdStorage {
  /** For the journal to be opened with. */
  readonly tier: ColdTier;
  readonly #parts: PairColdStorageParts;
  readonly #troubles = new Map<ColdUse, Trouble>();
  #served: ServedJournal | undefined;
  #closed = false;

  constructor(parts: PairColdStorageParts) {
    this.#parts = parts;
    this.tier = new ColdTier({ ...parts, onFetched: (failure) => (failure ? this.#failed('views', failure) : this.#succeeded('views')) });
  }

  /** The work beside applying. */
  serve(served: ServedJournal): BackgroundWork {
    this.#served = served;
    const { journal, retention, mayMove } = served;
    const { clock, delay, lookMicros } = this.#parts;
    return new BackgroundWork({
      clock, delay, lookMicros,
      restMicros: 3 * lookMicros,
      next: async (pause) => mayMove() && (await journal.cold?.tend(retention(), pause)) === true,
      onFailure: (failure) => this.#failed('moving', failure),
      onRecovery: () => this.#succeeded('moving'),
    });
  }

  get standing(): ColdStanding {
    const { journal, retention } = this.#served ?? {};
    return {
      bytes: journal?.coldBytes ?? 0,
      waitingBytes: (retention && journal?.cold?.dueBytes(retention())) ?? 0,
      localFrom: journal?.localFrom ?? 0,
      trouble: this.#troubles.get('moving') ?? this.#troubles.get('views'),
    };
  }

  /** Ends requests under way: what waits for the store fails at once. */
  close(): void {
    this.#closed = true;
    this.#parts.store.close();
  }

  #failed(affects: ColdUse, { code, hint }: Pick<OperationError, 'code' | 'hint'>): void {
    const known = this.#troubles.get(affects);
    if (this.#closed || known?.code === code) return;
    this.#troubles.set(affects, { code, hint, since: known?.since ?? this.#parts.clock() });
    this.#parts.emit({ kind: 'cold-store-failed', affects, code, hint, waitingBytes: this.standing.waitingBytes });
  }

  #succeeded(affects: ColdUse): void {
    const known = this.#troubles.get(affects);
    if (!known || lasting.includes(known.code)) return;
    this.#troubles.delete(affects);
    this.#parts.emit({ kind: 'cold-store-recovered', affects, seconds: Math.max(0, this.#parts.clock() - known.since) / 1e6 });
  }
}
