// SPDX-License-Identifier: Apache-2.0
// The one ordered stream of a pair: every entry gets its time here, sets get their numbers here. Invariants: times strictly increase
// over all epochs; sequences are 1, 2, 3 … in each epoch without gaps; what was appended is in exactly one set.
import { type ByteCount, type ByteOffset, type Epoch, type SequenceNumber, type TimeMicros } from '@secondsite/units';
import type { StreamMarker } from '@secondsite/change-set';
import type { ChangeBuffer, HeldChangeSet } from './change-buffer';

/** Room that a marker may need. */
export const MARKER_ROOM_BYTES = 2048;

/** Times that strictly increase. `advanceTo`: every later time is after the one given. */
export interface StreamClock {
  now(): TimeMicros;
  readonly last: TimeMicros;
  advanceTo(time: TimeMicros): void;
}

export interface ChangeStreamOptions {
  readonly pairId: string;
  readonly buffer: ChangeBuffer;
  readonly clock: StreamClock;
  /** Monotonic. */
  readonly millis: () => number;
  /** Takes every sealed set, in order. */
  readonly ship: (set: HeldChangeSet) => void;
  /** A new W3C trace context for a set, or undefined when it is not traced. */
  readonly newTraceparent: () => string | undefined;
}

export class ChangeStream {
  readonly #options: ChangeStreamOptions;
  #epoch: Epoch = 0;
  #sealed: SequenceNumber = 0;
  #openedMillis = 0;
  #lastWriteTime: TimeMicros = 0;

  constructor(options: ChangeStreamOptions) {
    this.#options = options;
  }

  get epoch(): Epoch {
    return this.#epoch;
  }

  /** Newest sealed set of the epoch. */
  get sealedSequence(): SequenceNumber {
    return this.#sealed;
  }

  /** The set that the next entry goes to, as long as `makeRoom` does not seal. */
  get openSequence(): SequenceNumber {
    return this.#sealed + 1;
  }

  get isEmpty(): boolean {
    return this.#options.buffer.isEmpty;
  }

  /** Of the open set. */
  get openBytes(): ByteCount {
    return this.#options.buffer.openBytes;
  }

  /** How long ago the first entry of the open set came, whatever became of the host's clock since. */
  get openMillis(): number {
    return this.#options.millis() - this.#openedMillis;
  }

  /** Newest write of the application in the stream; 0 before the first. */
  get lastWriteTime(): TimeMicros {
    return this.#lastWriteTime;
  }

  /** Starts an epoch at sequence 1; an open set is forgotten. */
  begin(epoch: Epoch): void {
    this.#options.buffer.discard();
    this.#epoch = epoch;
    this.#sealed = 0;
  }

  /** Room for one more entry with so much data; seals a full set. False when the memory is used up. Before every append. */
  makeRoom(dataBytes: ByteCount): boolean {
    const { buffer } = this.#options;
    if (buffer.builder?.fits(dataBytes) === true) return true;
    if (!buffer.isEmpty) this.seal();
    return buffer.open(dataBytes);
  }

  /**
   * Copies a write or a resync block into the stream; zeros become an entry without data. Returns the bytes in one piece, valid until the
   * next call.
   *
   * @writePath 2 The tap's bytes are copied into the change buffer with their time; they live in memory only, a crash loses them, and the marked region brings them back.
   */
  appendBytes(entry: { readonly kind: 'write' | 'resync-write'; readonly offset: ByteOffset }, parts: readonly Uint8Array[]): Uint8Array {
    const time = this.#nextTime(entry.kind === 'write');
    return this.#builder.appendBytes({ kind: entry.kind, offset: entry.offset, time }, parts, { detectZeros: true });
  }

  appendRange(entry: { readonly kind: 'zero' | 'trim' | 'resync-zero'; readonly offset: ByteOffset; readonly length: ByteCount }): void {
    this.#builder.appendRange({ ...entry, time: this.#nextTime(entry.kind !== 'resync-zero') });
  }

  /** Takes the last entry back: its write failed. */
  dropLast(): void {
    this.#builder.dropLast();
  }

  /** Needs `makeRoom(MARKER_ROOM_BYTES)`. `time`: of a cut agreed with other volumes, after everything in the stream. */
  appendMarker(marker: StreamMarker, time: TimeMicros = this.#nextTime(false)): void {
    this.#noteOpening();
    this.#builder.appendMarker(time, marker);
    this.#options.clock.advanceTo(time);
  }

  /**
   * Ends the open set, if there is something in it, and ships it.
   *
   * @writePath 3 Consecutive writes are sealed into a change set with sequence and checksums; still in memory only, nothing is durable, and a crash loses it like the buffer.
   */
  seal(): void {
    const { buffer, pairId, ship, newTraceparent } = this.#options;
    if (buffer.isEmpty) return;
    this.#sealed += 1;
    ship(buffer.seal({ pairId, epoch: this.#epoch, sequence: this.#sealed, traceparent: newTraceparent() }));
  }

  get #builder(): NonNullable<ChangeBuffer['builder']> {
    const { builder } = this.#options.buffer;
    if (!builder) throw new RangeError('makeRoom comes before an append');
    return builder;
  }

  #noteOpening(): void {
    if (this.isEmpty) this.#openedMillis = this.#options.millis();
  }

  #nextTime(isWrite: boolean): TimeMicros {
    const time = this.#options.clock.now();
    this.#noteOpening();
    if (isWrite) this.#lastWriteTime = time;
    return time;
  }
}


