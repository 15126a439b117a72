// SPDX-License-Identifier: Apache-2.0
// Disjoint extents in ascending order, as flat columns: 24 bytes each. It is how many undo entries become a map at once: sorting columns takes
// some ten nanoseconds per extent, inserting one by one into an `ExtentMap` several hundred. A run never changes until it is given back.
import type { ByteCount, ByteOffset } from '@secondsite/units';
import { advanced, type PieceVisitor, UNCOVERED } from './extent-map';
import { collectedMemory, type JournalMemory } from './journal-memory';
import { firstAbove, KeySorter } from './sorted-order';
import type { UndoEntries } from './undo-entries';

type Column = Float64Array<ArrayBufferLike>;

const EXTENT_BYTES = 24;

export class ExtentRun {
  readonly count: number;
  /** Columns of `count` extents: first byte, end (exclusive), and the place of the first byte or `ZEROS`. */
  readonly starts: Column;
  readonly ends: Column;
  readonly values: Column;
  /** Where the columns are; whoever made the run gives it back. */
  readonly memory: ArrayBufferLike;

  constructor(columns: { readonly starts: Column; readonly ends: Column; readonly values: Column }) {
    this.count = columns.starts.length;
    this.starts = columns.starts;
    this.ends = columns.ends;
    this.values = columns.values;
    this.memory = columns.starts.buffer;
  }

  get memoryBytes(): ByteCount {
    return this.count * EXTENT_BYTES;
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
    entries: UndoEntries,
    { from = 0, to = entries.count, sorter = new KeySorter(), memory }: { readonly from?: number; readonly to?: number; readonly sorter?: KeySorter | undefined; readonly memory?: JournalMemory } = {},
  ): ExtentRun {
    const { offsets, lengths, positions } = entries.columns({ from, to });
    const order = sorter.sort(offsets);
    const builder = new RunBuilder(order.length, memory);
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
  static merge(older: ExtentRun, newer: ExtentRun, memory?: JournalMemory): ExtentRun {
    const builder = new RunBuilder(older.count + newer.count, memory);
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
  readonly #memory: JournalMemory;
  #starts: Column;
  #ends: Column;
  #values: Column;
  #count = 0;

  constructor(capacity: number, memory: JournalMemory = collectedMemory) {
    this.#memory = memory;
    [this.#starts, this.#ends, this.#values] = columnsIn(memory, Math.max(1, capacity));
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
    const used = (column: Column): Column => column.subarray(0, this.#count);
    return new ExtentRun({ starts: used(this.#starts), ends: used(this.#ends), values: used(this.#values) });
  }

  #grow(): void {
    const columns = [this.#starts, this.#ends, this.#values];
    const larger = columnsIn(this.#memory, this.#starts.length * 2);
    for (const [index, column] of larger.entries()) column.set(columns[index] as Column);
    this.#memory.giveBack(this.#starts.buffer);
    [this.#starts, this.#ends, this.#values] = larger;
  }
}

function columnsIn(memory: JournalMemory, count: number): [starts: Column, ends: Column, values: Column] {
  const all = new Float64Array(memory.take(count * EXTENT_BYTES), 0, 3 * count);
  return [all.subarray(0, count), all.subarray(count, 2 * count), all.subarray(2 * count, 3 * count)];
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
