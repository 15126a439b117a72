// SPDX-License-Identifier: Apache-2.0
// An interval map from byte ranges of a volume to where their bytes are. Disjoint extents, sorted, in chunks of typed arrays: inserting
// costs O(log n + chunk), an extent costs 24 bytes. Invariants: starts and ends strictly ascend over all chunks; no chunk is empty.
import type { ByteCount, ByteOffset } from '@secondsite/units';
import { firstAbove } from './sorted-order';

/** Value of an extent that reads as zeros and has no bytes anywhere. */
export const ZEROS = -1;
/** What a visitor gets for a range that no extent covers. */
export const UNCOVERED = -2;
/** Value of an extent whose bytes are lost: nobody knows what stood there. */
export const LOST = -3;

const CHUNK_EXTENTS = 128;

/**
 * Called for each piece in order. `value` is the place of the piece's first byte (values grow with the offset inside an extent),
 * `ZEROS`, `LOST` or `UNCOVERED`.
 */
export type PieceVisitor = (start: ByteOffset, end: ByteOffset, value: number) => void;

class Chunk {
  count = 0;
  readonly starts = new Float64Array(CHUNK_EXTENTS);
  readonly ends = new Float64Array(CHUNK_EXTENTS);
  readonly values = new Float64Array(CHUNK_EXTENTS);

  insert(index: number, extent: { start: number; end: number; value: number }): void {
    if (index < this.count) this.#move(index + 1, index);
    this.starts[index] = extent.start;
    this.ends[index] = extent.end;
    this.values[index] = extent.value;
    this.count++;
  }

  remove(index: number, count: number): void {
    if (count === 0) return;
    this.#move(index, index + count);
    this.count -= count;
  }

  #move(target: number, from: number): void {
    this.starts.copyWithin(target, from, this.count);
    this.ends.copyWithin(target, from, this.count);
    this.values.copyWithin(target, from, this.count);
  }

  /** Index of the first extent that ends after `offset`; `count` if none does. */
  locate(offset: number): number {
    return firstAbove(this.ends, { count: this.count, limit: offset });
  }

  splitOff(): Chunk {
    const upper = new Chunk();
    const half = this.count >>> 1;
    for (const column of ['starts', 'ends', 'values'] as const) upper[column].set(this[column].subarray(half, this.count));
    upper.count = this.count - half;
    this.count = half;
    return upper;
  }
}

/** The value `by` bytes further on in an extent. */
export function advanced(value: number, by: number): number {
  return value < 0 ? value : value + by;
}

export class ExtentMap {
  readonly #chunks: Chunk[] = [];
  #extents = 0;

  /** Number of extents; neighbours that continue each other are one. */
  get extentCount(): number {
    return this.#extents;
  }

  /** Memory held, in bytes, near enough for a budget. */
  get memoryBytes(): ByteCount {
    return this.#chunks.length * CHUNK_EXTENTS * 24;
  }

  /** Visits every byte of [start, end) in order, covered or not. The visitor must not change the map. */
  visit(start: ByteOffset, end: ByteOffset, visitor: PieceVisitor): void {
    let at = start;
    for (let chunkIndex = this.#chunkOf(start); chunkIndex < this.#chunks.length && at < end; chunkIndex++) {
      const chunk = this.#chunks[chunkIndex] as Chunk;
      for (let index = chunk.locate(at); index < chunk.count && at < end; index++) {
        const extentStart = chunk.starts[index] as number;
        if (extentStart >= end) break;
        if (at < extentStart) visitor(at, extentStart, UNCOVERED);
        const from = Math.max(at, extentStart);
        const to = Math.min(end, chunk.ends[index] as number);
        visitor(from, to, advanced(chunk.values[index] as number, from - extentStart));
        at = to;
      }
      if (chunkIndex + 1 < this.#chunks.length && ((this.#chunks[chunkIndex + 1] as Chunk).starts[0] as number) >= end) break;
    }
    if (at < end) visitor(at, end, UNCOVERED);
  }

  /** Gives `value` to those bytes of [start, end) that no extent covers; the others keep theirs. */
  insertUncovered(start: ByteOffset, end: ByteOffset, value: number): void {
    let at = start;
    while (at < end) {
      const chunkIndex = this.#chunkOf(at);
      const chunk = this.#chunks[chunkIndex];
      const index = chunk ? chunk.locate(at) : 0;
      const inside = chunk !== undefined && index < chunk.count;
      const next = inside ? chunk : this.#chunks[chunkIndex + 1];
      const nextStart = next ? (next.starts[inside ? index : 0] as number) : Infinity;
      const nextEnd = next ? (next.ends[inside ? index : 0] as number) : end;
      if (at < nextStart) this.#insertAt({ chunkIndex, index }, { start: at, end: Math.min(end, nextStart), value: advanced(value, at - start) });
      at = nextStart < end ? nextEnd : end;
    }
  }

  /** Gives `value` to all of [start, end), whatever was there. */
  overwrite(start: ByteOffset, end: ByteOffset, value: number): void {
    this.remove(start, end);
    this.#insert(start, end, value);
  }

  /** Makes [start, end) uncovered. */
  remove(start: ByteOffset, end: ByteOffset): void {
    let chunkIndex = this.#chunkOf(start);
    while (chunkIndex < this.#chunks.length) {
      const chunk = this.#chunks[chunkIndex] as Chunk;
      let index = chunk.locate(start);
      if (index < chunk.count && (chunk.starts[index] as number) >= end) return;
      if (index < chunk.count && (chunk.starts[index] as number) < start) {
        const oldEnd = chunk.ends[index] as number;
        chunk.ends[index] = start;
        if (oldEnd > end) {
          const value = advanced(chunk.values[index] as number, end - (chunk.starts[index] as number));
          this.#insert(end, oldEnd, value);
          return;
        }
        index++;
      }
      const last = this.#removeInside(chunk, { index, end });
      if (chunk.count === 0) this.#chunks.splice(chunkIndex, 1);
      else chunkIndex++;
      if (last) return;
    }
  }

  /** Removes the extents from `index` on that start before `end`; true when something at or past `end` follows in this chunk. */
  #removeInside(chunk: Chunk, { index, end }: { index: number; end: number }): boolean {
    let stop = index;
    while (stop < chunk.count && (chunk.ends[stop] as number) <= end) stop++;
    chunk.remove(index, stop - index);
    this.#extents -= stop - index;
    if (index >= chunk.count) return false;
    const extentStart = chunk.starts[index] as number;
    if (extentStart < end) {
      chunk.values[index] = advanced(chunk.values[index] as number, end - extentStart);
      chunk.starts[index] = end;
    }
    return true;
  }

  /** Index of the last chunk that starts at or before `offset`, else 0. */
  #chunkOf(offset: number): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (((this.#chunks[middle] as Chunk).starts[0] as number) <= offset) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  #insert(start: number, end: number, value: number): void {
    const chunkIndex = this.#chunkOf(start);
    this.#insertAt({ chunkIndex, index: this.#chunks[chunkIndex]?.locate(start) ?? 0 }, { start, end, value });
  }

  /** Inserts into an uncovered range, joining a neighbour in the same chunk that it continues. `index`: of the first extent after it. */
  #insertAt({ chunkIndex, index }: { chunkIndex: number; index: number }, extent: { start: number; end: number; value: number }): void {
    let chunk = this.#chunks[chunkIndex];
    if (!chunk) this.#chunks.push((chunk = new Chunk()));
    if (this.#joinPrevious(chunk, index - 1, extent)) return;
    if (this.#joinNext(chunk, index, extent)) return;
    chunk.insert(index, extent);
    this.#extents++;
    if (chunk.count === CHUNK_EXTENTS) this.#chunks.splice(chunkIndex + 1, 0, chunk.splitOff());
  }

  #joinPrevious(chunk: Chunk, index: number, { start, end, value }: { start: number; end: number; value: number }): boolean {
    if (index < 0 || chunk.ends[index] !== start) return false;
    if (advanced(chunk.values[index] as number, start - (chunk.starts[index] as number)) !== value) return false;
    chunk.ends[index] = end;
    return true;
  }

  #joinNext(chunk: Chunk, index: number, { start, end, value }: { start: number; end: number; value: number }): boolean {
    if (index >= chunk.count || chunk.starts[index] !== end || advanced(value, end - start) !== chunk.values[index]) return false;
    chunk.starts[index] = start;
    chunk.values[index] = value;
    return true;
  }
}
