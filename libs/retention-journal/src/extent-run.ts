// SPDX-License-Identifier: Apache-2.0
// Disjoint extents in ascending order, as flat columns: 24 bytes each. It is how many undo entries become a map at once: sorting columns takes
// some ten nanoseconds per extent, inserting one by one into an `ExtentMap` several hundred. A run never changes.
import type { ByteCount, ByteOffset } from '@secondsite/units';
import { advanced, type PieceVisitor, UNCOVERED } from './extent-map';
import { firstAbove, KeySorter } from './sorted-order';
import type { UndoEntries } from './undo-entries';

export class ExtentRun {
  readonly count: number;
  /** Columns of `count` extents: first byte, end (exclusive), and the place of the first byte or `ZEROS`. */
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  readonly values: Float64Array;

  constructor(columns: { readonly starts: Float64Array; readonly ends: Float64Array; readonly values: Float64Array }) {
    this.count = columns.starts.length;
    this.starts = columns.starts;
    this.ends = columns.ends;
    this.values = columns.values;
  }

  get memoryBytes(): ByteCount {
    return this.count * 24;
  }

  /** Whether any byte of [start, end) is covered. */
  overlaps(start: ByteOffset, end: ByteOffset): boolean {
    const index = firstAbove(this.ends, { count: this.count, limit: start });
    return index < this.count && (this.starts[index] as number) < end;
  }

  /** Visits every byte of [start, end) in order, covered or not (see ExtentMap). */
  visit(start: ByteOffset, end: ByteOffset, visitor: PieceVisitor): void {
    let at = start;
    for (let index = firstAbove(this.ends, { count: this.count, limit: start }); index < this.count && at < end; index++) {
      const extentStart = this.starts[index] as number;
      if (extentStart >= end) break;
      if (at < extentStart) visitor(at, extentStart, UNCOVERED);
      const from = Math.max(at, extentStart);
      const to = Math.min(end, this.ends[index] as number);
      visitor(from, to, advanced(this.values[index] as number, from - extentStart));
      at = to;
    }
    if (at < end) visitor(at, end, UNCOVERED);
  }

  /** Of entries `from` to `to` (exclusive), which are in stream order, per byte the oldest. */
  static ofEntries(
    entries: UndoEntries, { from = 0, to = entries.count, sorter = new KeySorter() }: { readonly from?: number; readonly to?: number; readonly sorter?: KeySorter | undefined } = {},
  ): ExtentRun {
    const { offsets, lengths, positions } = entries.columns({ from, to });
    const order = sorter.sort(offsets);
    const builder = new RunBuilder(order.length);
    const active = new OldestFirst();
    let at = 0;
    for (let next = 0; ; ) {
      while (active.size > 0 && (offsets[active.oldest] as number) + (lengths[active.oldest] as number) <= at) active.dropOldest();
      const start = next < order.length ? (offsets[order[next] as number] as number) : Infinity;
      if (active.size === 0) {
        // Most entries overlap none.
        for (let first = start; next < order.length; next++) {
          const index = order[next] as number;
          const end = first + (lengths[index] as number);
          const following = next + 1 < order.length ? (offsets[order[next + 1] as number] as number) : Infinity;
          if (first < at || following < end) break;
          builder.add(first, end, positions[index] as number);
          at = end;
          first = following;
        }
        if (next === order.length) return builder.finish();
        const index = order[next++] as number;
        at = Math.max(at, offsets[index] as number);
        active.add(index);
      } else if (start <= at) active.add(order[next++] as number);
      else {
        const oldest = active.oldest;
        const oldestStart = offsets[oldest] as number;
        const end = Math.min(start, oldestStart + (lengths[oldest] as number));
        builder.add(at, end, advanced(positions[oldest] as number, at - oldestStart));
        at = end;
      }
    }
  }

  /** All of `older`, and what `newer` covers besides. */
  static merge(older: ExtentRun, newer: ExtentRun): ExtentRun {
    const builder = new RunBuilder(older.count + newer.count);
    let next = 0;
    const takeOlder = (): ByteOffset => {
      builder.add(older.starts[next] as number, older.ends[next] as number, older.values[next] as number);
      return older.ends[next++] as number;
    };
    for (let index = 0; index < newer.count; index++) {
      const start = newer.starts[index] as number;
      const end = newer.ends[index] as number;
      while (next < older.count && (older.ends[next] as number) <= start) takeOlder();
      for (let at = start; at < end; ) {
        const olderStart = next < older.count ? (older.starts[next] as number) : Infinity;
        if (olderStart > at) {
          const until = Math.min(end, olderStart);
          builder.add(at, until, advanced(newer.values[index] as number, at - start));
          at = until;
        } else if ((older.ends[next] as number) <= end) at = takeOlder();
        else break;
      }
    }
    while (next < older.count) takeOlder();
    return builder.finish();
  }
}

/** Collects extents in ascending order; joins one to the last when it continues it. */
class RunBuilder {
  #starts: Float64Array;
  #ends: Float64Array;
  #values: Float64Array;
  #count = 0;

  constructor(capacity: number) {
    this.#starts = new Float64Array(Math.max(1, capacity));
    this.#ends = new Float64Array(this.#starts.length);
    this.#values = new Float64Array(this.#starts.length);
  }

  add(start: ByteOffset, end: ByteOffset, value: number): void {
    const last = this.#count - 1;
    if (last >= 0 && this.#ends[last] === start && advanced(this.#values[last] as number, start - (this.#starts[last] as number)) === value) {
      this.#ends[last] = end;
      return;
    }
    if (this.#count === this.#starts.length) this.#grow();
    this.#starts[this.#count] = start;
    this.#ends[this.#count] = end;
    this.#values[this.#count] = value;
    this.#count++;
  }

  finish(): ExtentRun {
    const used = (column: Float64Array): Float64Array => column.subarray(0, this.#count);
    return new ExtentRun({ starts: used(this.#starts), ends: used(this.#ends), values: used(this.#values) });
  }

  #grow(): void {
    const grown = (column: Float64Array): Float64Array => {
      const larger = new Float64Array(column.length * 2);
      larger.set(column);
      return larger;
    };
    [this.#starts, this.#ends, this.#values] = [grown(this.#starts), grown(this.#ends), grown(this.#values)];
  }
}

/** A binary heap of entry indexes: the least, which is the oldest entry, first. It holds the entries that cover one place, usually one. */
class OldestFirst {
  readonly #heap: number[] = [];

  get size(): number {
    return this.#heap.length;
  }

  get oldest(): number {
    return this.#heap[0] as number;
  }

  add(index: number): void {
    const heap = this.#heap;
    let place = heap.push(index) - 1;
    while (place > 0) {
      const parent = (place - 1) >>> 1;
      if ((heap[parent] as number) <= index) break;
      heap[place] = heap[parent] as number;
      place = parent;
    }
    heap[place] = index;
  }

  dropOldest(): void {
    const heap = this.#heap;
    const moved = heap.pop() as number;
    if (heap.length === 0) return;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child++;
      if ((heap[child] as number) >= moved) break;
      heap[place] = heap[child] as number;
      place = child;
    }
    heap[place] = moved;
  }
}
