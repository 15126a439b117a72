// SPDX-License-Identifier: Apache-2.0
import type { StorageFile } from '@secondsite/durable-storage';
import type { RetentionJournal } from '../retention-journal';
import type { JournalSet } from '../stream-state';
import type { OldContent } from '../undo-builder';

/** The shortest correct way to apply: journal first, then the replica. For tests of the journal. */
export class SimpleApplier {
  readonly #old: OldContent;
  /** Parts of the replica that are known not to hold what was written. */
  lostIn: NonNullable<OldContent['lostIn']> = () => [];

  constructor(readonly journal: RetentionJournal, readonly replica: StorageFile) {
    this.#old = {
      read: (into, offset) => {
        const count = replica.readNow(into, offset);
        into.fill(0, count);
      },
      nextData: (offset) => replica.nextData(offset),
      lostIn: (start, end) => this.lostIn(start, end),
    };
  }

  /** Applies a group. `between` runs when the undo is durable and the replica is still as before, and in mid-writing. */
  async apply(sets: readonly JournalSet[], between: () => void = () => undefined): Promise<void> {
    const group = this.journal.beginGroup(this.#old);
    for (const set of sets) group.addSet(set);
    await group.commit();
    between();
    for (const set of sets) this.write(set, between);
    group.applied();
  }

  /** Writes a set to the replica. */
  write(set: JournalSet, between: () => void = () => undefined): void {
    for (const [index, entry] of set.entries.entries()) {
      if (entry.kind === 'marker') continue;
      if (entry.dataLength > 0) this.replica.writeNow(set.data.subarray(entry.dataPosition, entry.dataPosition + entry.dataLength), entry.offset);
      else this.replica.punchHole(entry.offset, entry.length);
      if (index === 2) between();
    }
  }
}
