// SPDX-License-Identifier: Apache-2.0
// Memory for captured writes of one volume. Segments are reserved whole and filled one after another; a set that fills only a small
// part of its segment moves to memory of its own size, so that many small sets do not hold many segments. Segments are shared memory, which
// the garbage collector does not count: ordinary memory would make it run for every few of them.
import { ChangeSetBuilder, type ChangeSetIdentity, ENTRIES_MAX, ENTRY_BYTES, HEADER_BYTES, type SealedChangeSet } from '@secondsite/change-set';
import { giveBackPages, hugePagesSize, sharedMemory } from '@secondsite/disk-files';
import { type ByteCount, MIB } from '@secondsite/units';
import type { BufferBudget } from './buffer-budget';

/** A sealed set and the memory it lies in. */
export interface HeldChangeSet extends SealedChangeSet {
  /** Memory that `release` frees. */
  readonly heldBytes: ByteCount;
  /** Gives the memory back; the parts must not be read afterwards. Once. */
  release(): void;
}

/** Segments kept for reuse: under load (fresh memory costs page faults and garbage collections), and when little is written. */
const IDLE_SEGMENTS_MAX = 12;
const IDLE_SEGMENTS_AT_REST = 1;

/** Data of the largest ordinary segment, a little less than 8 MiB: its memory lies in huge pages as a whole. */
const SEGMENT_DATA_BYTES_MAX = hugePagesSize(7 * MIB) - ChangeSetBuilder.segmentBytes({ dataBytes: 0 });

export interface ChangeBufferOptions {
  readonly budget: BufferBudget;
  /** Data of an ordinary segment; default and at most a little less than 8 MiB. */
  readonly dataBytes?: ByteCount | undefined;
  /** Entries of a segment; default as many as a set may have. */
  readonly entriesMax?: number | undefined;
}

export class ChangeBuffer {
  readonly #budget: BufferBudget;
  readonly #dataBytes: ByteCount;
  readonly #entriesMax: number;
  readonly #segmentBytes: ByteCount;
  readonly #idleMax: number;
  #idle: Buffer[] = [];
  #segment: Buffer | undefined;
  #builder: ChangeSetBuilder | undefined;

  constructor({ budget, dataBytes = SEGMENT_DATA_BYTES_MAX, entriesMax = ENTRIES_MAX }: ChangeBufferOptions) {
    this.#budget = budget;
    this.#dataBytes = Math.min(dataBytes, SEGMENT_DATA_BYTES_MAX);
    this.#entriesMax = entriesMax;
    this.#segmentBytes = this.#bytesFor(this.#dataBytes);
    this.#idleMax = Math.min(IDLE_SEGMENTS_MAX, Math.floor(budget.bytesMax / 2 / this.#segmentBytes));
  }

  /** The set being gathered; undefined when there is no segment. */
  get builder(): ChangeSetBuilder | undefined {
    return this.#builder;
  }

  get isEmpty(): boolean {
    return this.#builder === undefined || this.#builder.entryCount === 0;
  }

  /** Of the set being gathered. */
  get openBytes(): ByteCount {
    const { dataBytes = 0, entryCount = 0 } = this.#builder ?? {};
    return dataBytes + entryCount * ENTRY_BYTES;
  }

  /** Memory that is left, in this buffer or in the budget. */
  get freeBytes(): ByteCount {
    return this.#budget.freeBytes + this.#idle.length * this.#segmentBytes;
  }

  /** Opens an empty segment with room for so much data. False when there is no memory. Only when `isEmpty`. */
  open(dataBytes: ByteCount): boolean {
    if (this.#builder?.fits(dataBytes) === true) return true;
    this.#drop();
    const ordinary = dataBytes <= this.#dataBytes;
    const segment = (ordinary ? this.#idle.pop() : undefined) ?? this.#allocate(ordinary ? this.#segmentBytes : this.#bytesFor(dataBytes));
    if (!segment) return false;
    this.#segment = segment;
    this.#builder = new ChangeSetBuilder(segment, { entriesMax: this.#entriesMax });
    return true;
  }

  /** Ends the set being gathered, which must not be empty. */
  seal(identity: ChangeSetIdentity): HeldChangeSet {
    const { builder, segment } = this.#require();
    const set = builder.seal(identity);
    const bytes = set.parts.reduce((sum, part) => sum + part.byteLength, 0);
    if (bytes * 4 < segment.byteLength && this.#budget.tryTake(bytes)) {
      const copy = Buffer.concat(set.parts, bytes);
      builder.reset();
      this.#trim();
      return { header: set.header, parts: [copy.subarray(0, HEADER_BYTES), copy.subarray(HEADER_BYTES)], heldBytes: bytes, release: () => this.#budget.give(bytes) };
    }
    this.#builder = undefined;
    this.#segment = undefined;
    return { ...set, heldBytes: segment.byteLength, release: () => this.#recycle(segment) };
  }

  /** Forgets what is being gathered. */
  discard(): void {
    this.#builder?.reset();
  }

  /** Gives all memory back that no sealed set holds. */
  close(): void {
    this.#drop();
    for (const segment of this.#idle.splice(0)) this.#giveUp(segment);
  }

  #drop(): void {
    if (this.#segment) this.#recycle(this.#segment);
    this.#segment = undefined;
    this.#builder = undefined;
  }

  #bytesFor(dataBytes: ByteCount): ByteCount {
    return ChangeSetBuilder.segmentBytes({ dataBytes, entriesMax: this.#entriesMax });
  }

  #allocate(bytes: ByteCount): Buffer | undefined {
    return this.#budget.tryTake(bytes) ? Buffer.from(sharedMemory(bytes)) : undefined;
  }

  #recycle(segment: Buffer): void {
    if (segment.byteLength === this.#segmentBytes && this.#idle.length < this.#idleMax) this.#idle.push(segment);
    else this.#giveUp(segment);
  }

  #giveUp(segment: Buffer): void {
    giveBackPages(segment);
    this.#budget.give(segment.byteLength);
  }

  /** A small set says that little is written: memory goes back to the other volumes. */
  #trim(): void {
    for (const segment of this.#idle.splice(IDLE_SEGMENTS_AT_REST)) this.#giveUp(segment);
  }

  #require(): { readonly builder: ChangeSetBuilder; readonly segment: Buffer } {
    if (!this.#builder || !this.#segment) throw new RangeError('there is no change set to seal');
    return { builder: this.#builder, segment: this.#segment };
  }
}
