// SPDX-License-Identifier: Apache-2.0
// Where the bytes of the disk as of one instant are: per byte the oldest undo later than the instant, else the replica. The map stays live:
// undo that apply adds covers what is about to be overwritten, so a view never changes (I5) and never holds apply up.
import type { ByteCount, ByteOffset, TimeMicros } from '@secondsite/units';
import { ExtentMap, type PieceVisitor } from './extent-map';
import type { UndoEntries } from './undo-entries';

export class ViewMap {
  readonly pointTime: TimeMicros;
  readonly #map = new ExtentMap();
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
    else this.#insert(entries, 0);
  }

  /** Adds the entries after the instant of one segment; segments come oldest first. */
  addSegment(entries: UndoEntries): void {
    this.#insert(entries, entries.firstAfter(this.pointTime));
  }

  /** All older undo is in; takes what came meanwhile. */
  finishLoading(): void {
    for (const entries of this.#waiting ?? []) this.#insert(entries, 0);
    this.#waiting = undefined;
  }

  #insert(entries: UndoEntries, from: number): void {
    for (let index = from; index < entries.count; index++) {
      const { offset, length, position } = entries.at(index);
      this.#map.insertUncovered(offset, offset + length, position);
    }
  }
}
