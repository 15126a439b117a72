// SPDX-License-Identifier: Apache-2.0
// The old content of a write is what the replica holds, overlaid by the earlier writes of the same group of sets, which are not in the
// replica yet. This is that overlay.
import type { ChangeEntry } from '@secondsite/change-set';
import type { ByteCount, ByteOffset } from '@secondsite/units';
import { ExtentMap, type PieceVisitor, ZEROS } from './extent-map';

export class WriteGroup {
  readonly #map = new ExtentMap();
  readonly #sets: { readonly base: number; readonly data: Uint8Array }[] = [];
  #end = 0;
  #base = 0;

  /** Announces the set whose entries follow; `data` stays in use until the group is done. */
  beginSet(data: Uint8Array): void {
    this.#base = this.#end;
    this.#sets.push({ base: this.#base, data });
    // One value stays free between two sets: else the end of one and the beginning of the next, written side by side, would join to one
    // extent whose bytes lie in two places.
    this.#end += data.length + 1;
  }

  /** Makes an entry of the current set part of the overlay. */
  add(entry: ChangeEntry): void {
    if (entry.length === 0) return;
    this.#map.overwrite(entry.offset, entry.offset + entry.length, entry.dataLength > 0 ? this.#base + entry.dataPosition : ZEROS);
  }

  /** Visits [start, end): pieces from the group carry a value for `bytesAt` (or ZEROS), the others are UNCOVERED (see ExtentMap). */
  visit(start: ByteOffset, end: ByteOffset, visitor: PieceVisitor): void {
    this.#map.visit(start, end, visitor);
  }

  /** Bytes that a visited value stands for; shares the set's memory. */
  bytesAt(value: number, length: ByteCount): Uint8Array {
    let low = 0;
    for (let high = this.#sets.length; high - low > 1; ) {
      const middle = (low + high) >>> 1;
      if ((this.#sets[middle] as { base: number }).base <= value) low = middle;
      else high = middle;
    }
    const set = this.#sets[low] as { base: number; data: Uint8Array };
    return set.data.subarray(value - set.base, value - set.base + length);
  }
}
