// SPDX-License-Identifier: Apache-2.0
// Reads the sealed segments on this disk again. Invariant: damage is noted durably before it is told.
import type { StorageDirectory } from '@secondsite/durable-storage';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import type { JournalDamage } from './journal-damage';
import { type JournalMemory, ReusedMemory } from './journal-memory';
import type { StoredSegment } from './stored-segment';
import type { VerifiedPiece } from './verify-records';

/** A piece of the journal that was read again. */
export interface ScrubbedPiece {
  readonly bytes: ByteCount;
  /** It is not as it was written, and that was not known yet. */
  readonly damage?: JournalDamageFound;
}

/** Views of instants before `before` that need these bytes refuse them; everything else they serve. */
export interface JournalDamageFound {
  readonly file: string;
  readonly bytes: ByteCount;
  readonly before: TimeMicros;
}

export interface ScrubbedJournal {
  readonly directory: StorageDirectory;
  readonly damage: JournalDamage;
  /** The chain as it is now, oldest first. */
  readonly segments: () => readonly StoredSegment[];
  readonly isMerging: (segment: StoredSegment) => boolean;
  /** Keeps files open until `work` has ended. */
  readonly reading: <Result>(work: Promise<Result>) => Promise<Result>;
  readonly memory: JournalMemory | undefined;
}

export class JournalScrubber {
  readonly #journal: ScrubbedJournal;
  #read: StoredSegment | undefined;

  constructor(journal: ScrubbedJournal) {
    this.#journal = journal;
  }

  /** True while a piece of it is being read: it must not be pruned. */
  isReading(segment: StoredSegment): boolean {
    return this.#read === segment;
  }

  /** See RetentionJournal. */
  async *scrub(): AsyncGenerator<ScrubbedPiece> {
    const memory = new ReusedMemory(this.#journal.memory);
    try {
      for (const segment of this.#journal.segments().filter(({ cold }) => !cold)) yield* this.#scrubSegment(segment, memory);
    } finally {
      memory.close();
    }
  }

  async *#scrubSegment(segment: StoredSegment, memory: ReusedMemory): AsyncGenerator<ScrubbedPiece> {
    const { damage, directory } = this.#journal;
    const pieces = segment.verify(directory, memory);
    for (let piece = await this.#nextPiece(segment, pieces); piece; piece = await this.#nextPiece(segment, pieces)) {
      const { bytes, damaged } = piece;
      const isNew = damaged !== undefined && (await damage.add(segment.file.name, damaged));
      yield { bytes, ...(isNew ? { damage: { file: segment.file.name, bytes: damaged.length, before: segment.lastTime } } : {}) };
    }
  }

  /** Undefined at the end of the segment, or when it is gone; one that is being merged is read by that. */
  async #nextPiece(segment: StoredSegment, pieces: ReturnType<StoredSegment['verify']>): Promise<VerifiedPiece | undefined> {
    const { isMerging, reading, segments } = this.#journal;
    if (!segment.sealed || !segments().includes(segment) || isMerging(segment)) return undefined;
    this.#read = segment;
    try {
      const next = await reading(pieces.next());
      return next.done === true ? undefined : next.value;
    } finally {
      this.#read = undefined;
    }
  }
}
