// SPDX-License-Identifier: Apache-2.0
// Turns the entries of one set into bounded parts of undo: old content is read straight into the part's buffer; what is all zeros takes
// no bytes. Memory: one buffer of PART_BYTES plus the table, whatever the set covers.
import { type ChangeEntry, isAllZeros } from '@secondsite/change-set';
import { readBuffer } from '@secondsite/durable-storage';
import { type ByteCount, type ByteOffset, KIB, MIB, type TimeMicros } from '@secondsite/units';
import { LOST, UNCOVERED, ZEROS } from './extent-map';
import { UndoEntries } from './undo-entries';
import type { WriteGroup } from './write-group';

/** Most data bytes in one part. */
export const PART_BYTES = 8 * MIB;
/** Most entries in one part. */
const PART_ENTRIES = 128 * KIB;
/** Zeros are looked for in pieces of this size. */
const PIECE_BYTES = 256 * KIB;
/** From this length on holes of the replica are skipped instead of read. */
const SPARSE_BYTES = 1 * MIB;

/** The replica as it is before the group is written to it. */
export interface OldContent {
  /** Fills all of `into` from `offset`. */
  read(into: Uint8Array, offset: ByteOffset): void;
  /** First range at or after `offset` that may hold other than zeros; undefined when none follows. */
  nextData(offset: ByteOffset): { readonly offset: ByteOffset; readonly length: ByteCount } | undefined;
  /** Parts of [start, end) that are known not to hold what was written, ascending; absent: there are none. Their undo says so. */
  lostIn?(start: ByteOffset, end: ByteOffset): readonly { readonly offset: ByteOffset; readonly length: ByteCount }[];
}

export interface BuiltPart {
  /** Positions count from the first byte of `data`. */
  readonly entries: UndoEntries;
  /** Valid until the emitting call returns. */
  readonly data: Uint8Array;
}

/** Receives a part; must be done with its memory when it returns. */
export type PartSink = (part: BuiltPart) => void;

export class UndoBuilder {
  readonly #old: OldContent;
  readonly #buffer = readBuffer(PART_BYTES);
  #entries = new UndoEntries(1024);
  #used = 0;

  constructor(old: OldContent) {
    this.#old = old;
  }

  /** Adds the undo of `entry`, whose effective time is `time`; full parts go to `sink`. */
  add(entry: ChangeEntry, { time, group, sink }: { time: TimeMicros; group: WriteGroup; sink: PartSink }): void {
    group.visit(entry.offset, entry.offset + entry.length, (start, end, value) => {
      const piece = { time, start, end, sink };
      if (value === UNCOVERED) this.#addReplica(piece);
      else if (value === ZEROS) this.#addWithoutBytes(piece, ZEROS);
      else this.#addBytes(piece, group.bytesAt(value, end - start));
    });
  }

  /** The rest as the set's last part, possibly empty. */
  finish(sink: PartSink): void {
    sink({ entries: this.#entries, data: this.#buffer.subarray(0, this.#used) });
    this.#entries = new UndoEntries(1024);
    this.#used = 0;
  }

  #addReplica(piece: Piece): void {
    let at = piece.start;
    for (const { offset, length } of this.#old.lostIn?.(piece.start, piece.end) ?? []) {
      if (at < offset) this.#addIntact({ ...piece, start: at, end: offset });
      this.#addWithoutBytes({ ...piece, start: offset, end: offset + length }, LOST);
      at = offset + length;
    }
    if (at < piece.end) this.#addIntact({ ...piece, start: at });
  }

  #addIntact(piece: Piece): void {
    if (piece.end - piece.start < SPARSE_BYTES) return this.#addRead(piece);
    let at = piece.start;
    while (at < piece.end) {
      const data = this.#old.nextData(at);
      const dataStart = Math.min(piece.end, Math.max(at, data?.offset ?? piece.end));
      const dataEnd = data ? Math.min(piece.end, data.offset + data.length) : piece.end;
      if (at < dataStart) this.#addWithoutBytes({ ...piece, start: at, end: dataStart }, ZEROS);
      if (dataStart < dataEnd) this.#addRead({ ...piece, start: dataStart, end: dataEnd });
      at = Math.max(dataStart, dataEnd);
    }
  }

  #addRead(piece: Piece): void {
    for (let at = piece.start; at < piece.end; ) {
      const room = this.#room(piece.sink);
      const length = Math.min(room, PIECE_BYTES, piece.end - at);
      const bytes = this.#buffer.subarray(this.#used, this.#used + length);
      this.#old.read(bytes, at);
      this.#take({ ...piece, start: at, end: at + length }, bytes);
      at += length;
    }
  }

  #addBytes(piece: Piece, source: Uint8Array): void {
    if (source.length !== piece.end - piece.start) throw new RangeError(`${source.length} old bytes for a piece of ${piece.end - piece.start}`);
    for (let done = 0; done < source.length; ) {
      const room = this.#room(piece.sink);
      const length = Math.min(room, PIECE_BYTES, source.length - done);
      const bytes = this.#buffer.subarray(this.#used, this.#used + length);
      bytes.set(source.subarray(done, done + length));
      this.#take({ ...piece, start: piece.start + done, end: piece.start + done + length }, bytes);
      done += length;
    }
  }

  /** Keeps bytes that stand at the buffer's end already, unless they are zeros. */
  #take(piece: Piece, bytes: Uint8Array): void {
    if (isAllZeros(bytes)) return this.#addWithoutBytes(piece, ZEROS);
    this.#entries.push({ time: piece.time, offset: piece.start, length: bytes.length, position: this.#used });
    this.#used += bytes.length;
  }

  #addWithoutBytes({ time, start, end, sink }: Piece, position: typeof ZEROS | typeof LOST): void {
    this.#room(sink);
    this.#entries.push({ time, offset: start, length: end - start, position });
  }

  /** Bytes free in the part; hands a full one over first. */
  #room(sink: PartSink): ByteCount {
    if (this.#used === PART_BYTES || this.#entries.count >= PART_ENTRIES) {
      sink({ entries: this.#entries, data: this.#buffer.subarray(0, this.#used) });
      this.#entries = new UndoEntries(1024);
      this.#used = 0;
    }
    return PART_BYTES - this.#used;
  }
}

interface Piece {
  readonly time: TimeMicros;
  readonly start: ByteOffset;
  readonly end: ByteOffset;
  readonly sink: PartSink;
}
