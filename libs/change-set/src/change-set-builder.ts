// SPDX-License-Identifier: Apache-2.0
// Gathers consecutive writes into one change set, in memory that was reserved before. Invariants: times never go back; nothing is
// allocated per write; what `seal` returned is not touched again until `reset`.
import type { ByteCount, ByteOffset, TimeMicros } from '@secondsite/units';
import type { StreamMarker } from './change-set';
import { DATA_BYTES_TARGET, ENTRIES_MAX, ENTRY_BYTES, ENTRY_LENGTH_MAX, HEADER_BYTES, viewOf } from './change-set-layout';
import { type ChangeSetIdentity, type SealedChangeSet, sealParts } from './encode-change-set';
import { encodeEntry } from './entry-table';
import { encodeMarker } from './stream-marker';

const zeros = Buffer.alloc(64 * 1024);

export interface BytesEntry {
  readonly kind: 'write' | 'resync-write';
  readonly time: TimeMicros;
  readonly offset: ByteOffset;
}

export interface RangeEntry {
  readonly kind: 'zero' | 'trim' | 'resync-zero';
  readonly time: TimeMicros;
  readonly offset: ByteOffset;
  readonly length: ByteCount;
}

export class ChangeSetBuilder {
  readonly #segment: Buffer;
  readonly #table: DataView;
  readonly #dataStart: number;
  readonly #entriesMax: number;
  #dataBytes = 0;
  #entryCount = 0;
  #firstTime: TimeMicros = 0;
  #lastTime: TimeMicros = 0;
  #before = { dataBytes: 0, lastTime: 0 };
  /** All of the memory that the part copied last lay in. */
  #source: Buffer = Buffer.alloc(0);

  /** `segment` (of at least `segmentBytes({…})`) belongs to the builder from here on. */
  constructor(segment: Uint8Array, options: { readonly entriesMax?: number } = {}) {
    this.#entriesMax = options.entriesMax ?? ENTRIES_MAX;
    this.#segment = Buffer.from(segment.buffer, segment.byteOffset, segment.byteLength);
    this.#dataStart = HEADER_BYTES + this.#entriesMax * ENTRY_BYTES;
    this.#table = viewOf(this.#segment.subarray(HEADER_BYTES, this.#dataStart));
  }

  /** Memory that a builder needs for so much data and so many entries. */
  static segmentBytes({ dataBytes = DATA_BYTES_TARGET, entriesMax = ENTRIES_MAX }: { readonly dataBytes?: ByteCount; readonly entriesMax?: number } = {}): ByteCount {
    return HEADER_BYTES + entriesMax * ENTRY_BYTES + dataBytes;
  }

  get entryCount(): number {
    return this.#entryCount;
  }

  /** Data bytes gathered so far. */
  get dataBytes(): ByteCount {
    return this.#dataBytes;
  }

  /** Time of the last entry; 0 when empty. */
  get lastTime(): TimeMicros {
    return this.#lastTime;
  }

  get firstTime(): TimeMicros {
    return this.#firstTime;
  }

  /** True when one more entry with so many bytes has room. */
  fits(dataBytes: ByteCount): boolean {
    return this.#entryCount < this.#entriesMax && this.#dataStart + this.#dataBytes + dataBytes <= this.#segment.byteLength;
  }

  /**
   * Copies `parts` (together the content of the range at `offset`) behind the data gathered so far. With `detectZeros`, content of
   * nothing but zeros becomes a zero entry without data. Returns the copied bytes in one piece, valid until the next call. RangeError
   * unless it fits.
   */
  appendBytes(entry: BytesEntry, parts: readonly Uint8Array[], options: { readonly detectZeros?: boolean } = {}): Uint8Array {
    let end = this.#dataStart + this.#dataBytes;
    const start = end;
    for (const part of parts) {
      // `copy` would leave out silently what does not fit.
      if (end + part.byteLength > this.#segment.byteLength) throw new RangeError(`${part.byteLength} bytes at ${end} of a segment are out of bounds`);
      // Not `set`, which copies into shared memory at half the speed, nor `copy` of a whole buffer, which is `set`; of a part of one it is not.
      if (this.#source.buffer !== part.buffer) this.#source = Buffer.from(part.buffer);
      this.#source.copy(this.#segment, end, part.byteOffset, part.byteOffset + part.byteLength);
      end += part.byteLength;
    }
    const length = end - start;
    const bytes = this.#segment.subarray(start, end);
    const { kind, time, offset } = entry;
    if (options.detectZeros === true && isAllZeros(bytes)) this.appendRange({ kind: kind === 'write' ? 'zero' : 'resync-zero', time, offset, length });
    else this.#append({ kind, time, offset, length, dataPosition: this.#dataBytes, dataLength: length });
    return bytes;
  }

  /** Appends a range without data; at most 4 GiB - 1 long. */
  appendRange(entry: RangeEntry): void {
    if (entry.length > ENTRY_LENGTH_MAX) throw new RangeError(`a range of ${entry.length} bytes must be split`);
    this.#append({ ...entry, dataPosition: this.#dataBytes, dataLength: 0 });
  }

  appendMarker(time: TimeMicros, marker: StreamMarker): void {
    const bytes = encodeMarker(marker);
    this.#segment.set(bytes, this.#dataStart + this.#dataBytes);
    this.#append({ kind: 'marker', time, offset: 0, length: 0, dataPosition: this.#dataBytes, dataLength: bytes.byteLength });
  }

  /** Takes the entry appended last back, once. */
  dropLast(): void {
    if (this.#entryCount === 0) throw new RangeError('there is no entry to drop');
    this.#entryCount -= 1;
    this.#dataBytes = this.#before.dataBytes;
    this.#lastTime = this.#before.lastTime;
  }

  /** Finishes the set without copying: the parts stay in the segment, valid until `reset`. RangeError when it is empty. */
  seal(identity: ChangeSetIdentity): SealedChangeSet {
    if (this.#entryCount === 0) throw new RangeError('an empty change set cannot be sealed');
    const table = this.#segment.subarray(HEADER_BYTES, HEADER_BYTES + this.#entryCount * ENTRY_BYTES);
    const data = this.#segment.subarray(this.#dataStart, this.#dataStart + this.#dataBytes);
    const fields = { ...identity, firstTime: this.#firstTime, lastTime: this.#lastTime, folded: false, entryCount: this.#entryCount };
    return sealParts(fields, data.byteLength > 0 ? [table, data] : [table], this.#segment.subarray(0, HEADER_BYTES));
  }

  /** Empties the builder for the next set. */
  reset(): void {
    this.#dataBytes = 0;
    this.#entryCount = 0;
    this.#firstTime = 0;
    this.#lastTime = 0;
  }

  #append(entry: Parameters<typeof encodeEntry>[2]): void {
    if (this.#entryCount >= this.#entriesMax) throw new RangeError('the entry table is full');
    if (entry.time < this.#lastTime) throw new RangeError('the time of an entry is before the one in front of it');
    encodeEntry(this.#table, this.#entryCount, entry);
    this.#before.dataBytes = this.#dataBytes;
    this.#before.lastTime = this.#lastTime;
    if (this.#entryCount === 0) this.#firstTime = entry.time;
    this.#lastTime = entry.time;
    this.#entryCount += 1;
    this.#dataBytes += entry.dataLength;
  }
}

/** True when every byte is 0 (and there is one). */
export function isAllZeros(bytes: Uint8Array): boolean {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length === 0 || buffer[0] !== 0 || buffer[buffer.length - 1] !== 0) return false;
  for (let at = 0; at < buffer.length; at += zeros.length) {
    const end = Math.min(at + zeros.length, buffer.length);
    if (buffer.compare(zeros, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}
