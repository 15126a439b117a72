// SPDX-License-Identifier: Apache-2.0
// Where the bytes of the disk as of one instant are: per byte the oldest undo later than the instant, else the replica. Undo that was there at
// opening lies in a few sorted runs, oldest first; what apply adds later lies in a map behind them. The map stays live: it covers what is
// about to be overwritten, so a view never changes (I5) and never holds apply up.
import type { ByteCount, ByteOffset, TimeMicros } from '@secondsite/units';
import { ExtentMap, type PieceVisitor, UNCOVERED } from './extent-map';
import { ExtentRun } from './extent-run';
import { collectedMemory, type JournalMemory } from './journal-memory';
import { KeySorter } from './sorted-order';
import { UndoEntries } from './undo-entries';

/** Entries sorted at once: enough to have few runs, and little enough not to hold the thread for long. */
const BATCH_ENTRIES = 1 << 16;
/** Each run costs a binary search per read. */
const RUNS_MAX = 16;

export class ViewMap {
  readonly pointTime: TimeMicros;
  readonly #memory: JournalMemory;
  readonly #runs: ExtentRun[] = [];
  readonly #live = new ExtentMap();
  /** While older undo is being loaded: what is not in a run yet, and undo that came meanwhile. */
  #batch: UndoEntries | undefined = new UndoEntries();
  #waiting: UndoEntries[] = [];
  /** While older undo is being loaded. */
  #sorter: KeySorter | undefined;
  #closed = false;

  constructor(pointTime: TimeMicros, memory: JournalMemory = collectedMemory) {
    this.pointTime = pointTime;
    this.#memory = memory;
    this.#sorter = new KeySorter(memory);
  }

  /** Extents held; those of a newer run may lie under older ones. */
  get extentCount(): number {
    return this.#runs.reduce((sum, run) => sum + run.count, this.#live.extentCount);
  }

  get memoryBytes(): ByteCount {
    return this.#runs.reduce((sum, run) => sum + run.memoryBytes, this.#live.memoryBytes);
  }

  /** Pieces of [start, end): a journal position, ZEROS, LOST, or UNCOVERED for the replica. Read the replica *before* asking (see `ViewReader`). */
  visit(start: ByteOffset, end: ByteOffset, visitor: PieceVisitor): void {
    if (this.#closed) throw new Error('the map of a view is asked after the view was closed');
    this.#visitFrom(0, { start, end, visitor });
  }

  /** Gives the memory back. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#sorter?.close();
    for (const run of this.#runs.splice(0)) this.#memory.giveBack(run.memory);
  }

  /** What a run does not cover is looked for in the next newer one; runs that cover nothing of it, most of many, are passed over. */
  #visitFrom(first: number, { start, end, visitor }: { start: ByteOffset; end: ByteOffset; visitor: PieceVisitor }): void {
    let index = first;
    while (this.#runs[index]?.overlaps(start, end) === false) index++;
    const run = this.#runs[index];
    if (!run) return this.#live.visit(start, end, visitor);
    run.visit(start, end, (from, to, value) => {
      if (value === UNCOVERED) this.#visitFrom(index + 1, { start: from, end: to, visitor });
      else visitor(from, to, value);
    });
  }

  /** Adds undo that is newer than all that was added; called before the replica is overwritten. */
  addLive(entries: UndoEntries): void {
    if (this.#batch) this.#waiting.push(entries);
    else this.#insert(entries);
  }

  /** Adds the entries after the instant of one segment; segments come oldest first. */
  addSegment(entries: UndoEntries): void {
    if (entries.count >= BATCH_ENTRIES) {
      this.#sortBatch();
      this.#addRun(entries);
      return;
    }
    this.#batch?.append(entries);
    if ((this.#batch?.count ?? 0) >= BATCH_ENTRIES) this.#sortBatch();
  }

  /** All older undo is in; takes what came meanwhile. */
  finishLoading(): void {
    this.#sortBatch();
    this.#sorter?.close();
    this.#batch = this.#sorter = undefined;
    for (const entries of this.#waiting.splice(0)) this.#insert(entries);
  }

  #sortBatch(): void {
    const batch = this.#batch;
    if (!batch || batch.count === 0) return;
    this.#batch = new UndoEntries();
    this.#addRun(batch);
  }

  #addRun(entries: UndoEntries): void {
    this.#runs.push(ExtentRun.ofEntries(entries, { from: entries.firstAfter(this.pointTime), sorter: this.#sorter, memory: this.#memory }));
    if (this.#runs.length > RUNS_MAX) this.#mergeSmallest();
  }

  /** Merges the two neighbours that are smallest together. */
  #mergeSmallest(): void {
    const together = (index: number): number => (this.#runs[index]?.count ?? 0) + (this.#runs[index + 1]?.count ?? Infinity);
    let least = 0;
    for (let index = 1; index + 1 < this.#runs.length; index++) if (together(index) < together(least)) least = index;
    const [older, newer] = this.#runs.slice(least, least + 2) as [ExtentRun, ExtentRun];
    this.#runs.splice(least, 2, ExtentRun.merge(older, newer, this.#memory));
    for (const { memory } of [older, newer]) this.#memory.giveBack(memory);
  }

  #insert(entries: UndoEntries): void {
    for (let index = 0; index < entries.count; index++) {
      const { offset, length, position } = entries.at(index);
      this.#live.insertUncovered(offset, offset + length, position);
    }
  }
}
