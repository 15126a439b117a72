// SPDX-License-Identifier: Apache-2.0
// Step 7 of the write path. Strictly in order, in groups: read the old content → undo record → one sync → open views learn of it → write the
// replica. After a crash, sets whose undo is recorded are only rewritten. Invariants I3, I4, I5; kept checksums are forgotten in the turn in
// which a block is written, and on stable storage before it; what the disk changed never enters the undo (ADR 23).
import type { KeptChecksums } from '@secondsite/block-checksums';
import type { VerifiedChangeSet } from '@secondsite/change-set';
import type { StorageFile } from '@secondsite/durable-storage';
import { compareStreamPlaces, type JournalSet, type OldContent, type RetentionJournal, type SetFacts } from '@secondsite/retention-journal';
import { OperationError } from '@secondsite/units';
import type { PairDeparture } from '../move/pair-departure';
import type { ReplicaDamage } from './replica-damage';
import type { StreamPlace } from './pair-types';
import { writeReplica } from './write-replica';

export interface LoadedSet extends StreamPlace {
  readonly continuityLost: boolean;
  readonly content: VerifiedChangeSet;
}

export interface SetApplierParts {
  readonly journal: RetentionJournal;
  readonly replica: StorageFile;
  readonly checksums: KeptChecksums;
  readonly damage: ReplicaDamage;
  readonly departure: Pick<PairDeparture, 'written'>;
}

export class SetApplier {
  readonly #journal: RetentionJournal;
  readonly #replica: StorageFile;
  readonly #checksums: KeptChecksums;
  readonly #damage: ReplicaDamage;
  readonly #departure: Pick<PairDeparture, 'written'>;
  readonly #old: OldContent;

  constructor({ journal, replica, checksums, damage, departure }: SetApplierParts) {
    this.#journal = journal;
    this.#replica = replica;
    this.#checksums = checksums;
    this.#damage = damage;
    this.#departure = departure;
    this.#old = {
      read: (into, offset) => void into.fill(0, replica.readNow(into, offset)),
      nextData: (offset) => replica.nextData(offset),
      lostIn: damage.lostIn,
    };
  }

  /** True when the set's undo is complete: it may only be written again, never recorded again. */
  isRecorded(place: StreamPlace): boolean {
    return compareStreamPlaces(place, this.#journal.recorded) <= 0;
  }

  /** Writes recorded sets to the replica again. */
  async rewrite(sets: readonly LoadedSet[]): Promise<void> {
    await this.#heal(sets);
    await this.#write(sets);
  }

  /**
   * Applies sets that follow the recorded ones. Resolves when the undo is durable and the replica is written (not durable yet: the cached
   * sets redo it). Rejects with the journal as before when the undo found no space; any other rejection leaves the pair to be reopened.
   * @writePath 7 The old blocks are read, appended to the retention journal as undo records and made durable, then the new blocks are written to the replica. A crash loses nothing: the cached sets are written again.
   */
  async apply(sets: readonly LoadedSet[], undoDurable: () => void = () => undefined): Promise<SetFacts[]> {
    await this.#heal(sets);
    const group = this.#journal.beginGroup(this.#old);
    let facts: SetFacts[];
    try {
      facts = sets.map((set) => group.addSet(journalSetOf(set)));
    } catch (error) {
      await group.abandon();
      throw error;
    }
    try {
      await Promise.all([group.commit(), this.#changing(sets)]);
      undoDurable();
      await this.#write(sets);
    } catch (cause) {
      throw interrupted(cause);
    }
    group.applied();
    return facts;
  }

  async #write(sets: readonly LoadedSet[]): Promise<void> {
    for (let stale = this.#changing(sets); stale; stale = this.#changing(sets)) await stale;
    for (const { content } of sets) {
      writeReplica(this.#replica, content);
      this.#departure.written(content);
      this.#damage.written(content);
    }
  }

  /** Damaged blocks that the sets prove the content of are put back, so that their undo is what was there. */
  async #heal(sets: readonly LoadedSet[]): Promise<void> {
    const contents = sets.map(({ content }) => content);
    if (!this.#damage.mayHeal(contents)) return;
    for (let stale = this.#changing(sets); stale; stale = this.#changing(sets)) await stale;
    this.#damage.heal(contents);
  }

  /** Undefined: the sets may be written in this turn. */
  #changing(sets: readonly LoadedSet[]): undefined | Promise<unknown> {
    const waits = new Set<Promise<void>>();
    for (const { content } of sets) {
      for (const { offset, length } of content.entries()) {
        const wait = length > 0 ? this.#checksums.changing({ offset, length }) : undefined;
        if (wait) waits.add(wait);
      }
    }
    return waits.size > 0 ? Promise.all(waits) : undefined;
  }
}

function journalSetOf({ epoch, sequence, continuityLost, content }: LoadedSet): JournalSet {
  return { epoch, sequence, folded: content.header.folded, entries: content.entries(), data: content.data, continuityLost };
}

/** From the sync of the undo on only opening the pair anew tells what is on the disk. */
function interrupted(cause: unknown): OperationError {
  const hint = 'The pair is opened anew and writes the cached sets again. Check the disk if it happens often.';
  return new OperationError({ code: 'apply/interrupted', operation: 'apply change sets', retryable: true, hint, cause });
}
