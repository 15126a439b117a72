// SPDX-License-Identifier: Apache-2.0
// Where the bytes of the disk as of one instant are: per byte the oldest undo later than the instant, else the replica. The map stays live:
// undo that apply adds covers what is about to be overwritten, so a view never changes (I5) and never holds apply up.
import type { ByteCount, ByteOffset, TimeMicros } from '@secondsite/units';
import { ExtentMap, type PieceVisitor } from './extent-map';
import { ExtentRun } from './extent-run';
import type { UndoEntries } from './undo-entries';

export class ViewMap {
  readonly pointTime: TimeMicros;
  #map = new ExtentMap();
  /** While older undo is being loaded: what was loaded, oldest first, each run larger than the one behind it, so that merging costs n log n. */
  #runs: ExtentRun[] = [];
  /** Undo that came while older undo is still being loaded. */
  #waiting: UndoEntries[] | undefined = [];

  constructor(pointTime: TimeMicros) {
    this.pointTime = pointTime;
  }

  get extentCount(): number {
    return this.#map.extentCount;
  }

  get memoryBytes(): ByteCount {
    return this.#map.memoryBytes;
  }

  /** Pieces of [start, end): a journal position, ZEROS, or UNCOVERED for the replica. Read the replica *before* asking (see `ViewReader`). */
  visit(start: ByteOffset, end: ByteOffset, visitor: PieceVisitor): void {
    this.#map.visit(start, end, visitor);
  }

  /** Adds undo that is newer than all that was added; called before the replica is overwritten. */
  addLive(entries: UndoEntries): void {
    if (this.#waiting) this.#waiting.push(entries);
    else this.#insert(entries);
  }

  /** Adds the entries after the instant of one segment; segments come oldest first. */
  addSegment(entries: UndoEntries): void {
    this.#runs.push(ExtentRun.ofEntries(entries, { from: entries.firstAfter(this.pointTime) }));
    while (this.#runs.length > 1 && this.#run(-2).count <= this.#run(-1).count) this.#mergeLast();
  }

  /** All older undo is in; takes what came meanwhile. */
  finishLoading(): void {
    while (this.#runs.length > 1) this.#mergeLast();
    for (const run of this.#runs.splice(0)) this.#map = ExtentMap.ofRun(run);
    for (const entries of this.#waiting ?? []) this.#insert(entries);
    this.#waiting = undefined;
  }

  #run(place: number): ExtentRun {
    return this.#runs.at(place) as ExtentRun;
  }

  #mergeLast(): void {
    this.#runs.splice(-2, 2, ExtentRun.merge(this.#run(-2), this.#run(-1)));
  }

  #insert(entries: UndoEntries): void {
    for (let index = 0; index < entries.count; index++) {
      const { offset, length, position } = entries.at(index);
      this.#map.insertUncovered(offset, offset + length, position);
    }
  }
}
