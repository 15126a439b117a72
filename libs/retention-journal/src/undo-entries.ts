// SPDX-License-Identifier: Apache-2.0
// Undo entries as columns: time, offset, journal position (f64 each) and length (u32). The same columns stand in records and in segment
// indexes, so opening a view reads them without looking at single entries. Entries are in stream order, times never go back.
import type { ByteCount, ByteOffset, TimeMicros } from '@secondsite/units';
import { LOST } from './extent-map';

/** Bytes that an entry takes in a record's table or an index. */
export const UNDO_ENTRY_BYTES = 28;
/** Longest single entry. */
export const UNDO_LENGTH_MAX = 0xffffffff;

/** Byte address in the journal as one endless file: the base of a segment plus the place in its file. */
export type JournalPosition = number;

export interface UndoEntry {
  /** Effective time of the write whose old content this is. */
  readonly time: TimeMicros;
  readonly offset: ByteOffset;
  readonly length: ByteCount;
  /** Where the old bytes are, `ZEROS` or `LOST`. */
  readonly position: JournalPosition;
}

export class UndoEntries {
  #times: Float64Array<ArrayBufferLike>;
  #offsets: Float64Array<ArrayBufferLike>;
  #positions: Float64Array<ArrayBufferLike>;
  #lengths: Uint32Array<ArrayBufferLike>;
  #count = 0;

  constructor(capacity = 64) {
    this.#times = new Float64Array(capacity);
    this.#offsets = new Float64Array(capacity);
    this.#positions = new Float64Array(capacity);
    this.#lengths = new Uint32Array(capacity);
  }

  get count(): number {
    return this.#count;
  }

  get encodedBytes(): ByteCount {
    return this.#count * UNDO_ENTRY_BYTES;
  }

  /** True when the old bytes of an entry are lost. */
  get hasLost(): boolean {
    return this.#positions.subarray(0, this.#count).includes(LOST);
  }

  /** Columns of entries `from` to `to` (exclusive); they share the memory, and hold as long as nothing is appended. */
  columns({ from = 0, to = this.#count }: { readonly from?: number; readonly to?: number } = {}) {
    return {
      offsets: this.#offsets.subarray(from, to),
      lengths: this.#lengths.subarray(from, to),
      positions: this.#positions.subarray(from, to),
    };
  }

  at(index: number): UndoEntry {
    return {
      time: this.#times[index] as number,
      offset: this.#offsets[index] as number,
      length: this.#lengths[index] as number,
      position: this.#positions[index] as number,
    };
  }

  /** Appends, or lengthens the last entry when this one continues it (same write, next block, next bytes). */
  push(entry: UndoEntry): void {
    if (this.#continuesLast(entry)) {
      this.#lengths[this.#count - 1] = (this.#lengths[this.#count - 1] as number) + entry.length;
      return;
    }
    if (this.#count === this.#times.length) this.#grow(this.#count + 1);
    this.#times[this.#count] = entry.time;
    this.#offsets[this.#count] = entry.offset;
    this.#positions[this.#count] = entry.position;
    this.#lengths[this.#count] = entry.length;
    this.#count++;
  }

  #continuesLast({ time, offset, length, position }: UndoEntry): boolean {
    const last = this.#count - 1;
    if (last < 0 || this.#times[last] !== time) return false;
    const lastLength = this.#lengths[last] as number;
    if ((this.#offsets[last] as number) + lastLength !== offset || lastLength + length > UNDO_LENGTH_MAX) return false;
    const lastPosition = this.#positions[last] as number;
    return position < 0 ? lastPosition === position : lastPosition >= 0 && lastPosition + lastLength === position;
  }

  append(other: UndoEntries): void {
    if (this.#count + other.#count > this.#times.length) this.#grow(this.#count + other.#count);
    this.#times.set(other.#times.subarray(0, other.#count), this.#count);
    this.#offsets.set(other.#offsets.subarray(0, other.#count), this.#count);
    this.#positions.set(other.#positions.subarray(0, other.#count), this.#count);
    this.#lengths.set(other.#lengths.subarray(0, other.#count), this.#count);
    this.#count += other.#count;
  }

  truncate(count: number): void {
    this.#count = Math.min(count, this.#count);
  }

  /** Adds `base` to the place of every entry that has bytes (records are built before their place is known). */
  shiftPositions(base: JournalPosition): void {
    for (let index = 0; index < this.#count; index++) {
      const position = this.#positions[index] as number;
      if (position >= 0) this.#positions[index] = position + base;
    }
  }

  /** Index of the first entry with a time after `time`. */
  firstAfter(time: TimeMicros): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#times[middle] as number) > time) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The columns as bytes, copied into `bytes`. Numbers are little-endian, as on every machine this runs on. */
  encode(bytes: Uint8Array = new Uint8Array(this.encodedBytes)): Uint8Array {
    let at = 0;
    for (const column of [this.#times, this.#offsets, this.#positions, this.#lengths]) {
      bytes.set(new Uint8Array(column.buffer, column.byteOffset, this.#count * column.BYTES_PER_ELEMENT), at);
      at += this.#count * column.BYTES_PER_ELEMENT;
    }
    return bytes;
  }

  /**
   * Reads what `encode` made; takes the memory of `bytes` over where it is aligned for the columns, else copies. `bytes.length` must be
   * `count * UNDO_ENTRY_BYTES`.
   */
  static decode(bytes: Uint8Array, count: number): UndoEntries {
    return bytes.byteOffset % Float64Array.BYTES_PER_ELEMENT === 0 && count > 0 ? UndoEntries.#over(bytes, count) : UndoEntries.#copyOf(bytes, count);
  }

  static #over({ buffer, byteOffset }: Uint8Array, count: number): UndoEntries {
    const entries = new UndoEntries(0);
    const columnBytes = count * Float64Array.BYTES_PER_ELEMENT;
    entries.#times = new Float64Array(buffer, byteOffset, count);
    entries.#offsets = new Float64Array(buffer, byteOffset + columnBytes, count);
    entries.#positions = new Float64Array(buffer, byteOffset + 2 * columnBytes, count);
    entries.#lengths = new Uint32Array(buffer, byteOffset + 3 * columnBytes, count);
    entries.#count = count;
    return entries;
  }

  static #copyOf(bytes: Uint8Array, count: number): UndoEntries {
    const entries = new UndoEntries(Math.max(1, count));
    let at = 0;
    for (const column of [entries.#times, entries.#offsets, entries.#positions, entries.#lengths]) {
      const length = count * column.BYTES_PER_ELEMENT;
      new Uint8Array(column.buffer, column.byteOffset, length).set(bytes.subarray(at, at + length));
      at += length;
    }
    entries.#count = count;
    return entries;
  }

  #grow(needed: number): void {
    const capacity = Math.max(needed, this.#times.length * 2);
    const grown = new UndoEntries(capacity);
    grown.append(this);
    this.#times = grown.#times;
    this.#offsets = grown.#offsets;
    this.#positions = grown.#positions;
    this.#lengths = grown.#lengths;
  }
}
