// SPDX-License-Identifier: Apache-2.0
// What is remembered of blocks, in memory of a fixed size (I9): where there is no room the oldest is forgotten. Several threads share the memory and take
// no lock, so an entry may be lost or show the place of another one: whoever uses an entry looks at the block itself. Invariant: a wrong entry
// costs bandwidth, never content.
import type { ByteCount } from '@secondsite/units';
import type { Fingerprint } from './block-fingerprinter';

/** Where a block was seen. Both below 2^32; what `volume` names is the owner's affair. */
export interface BlockPlace {
  readonly volume: number;
  /** In blocks from the beginning of the volume. */
  readonly block: number;
}

const WAYS = 8;
const ENTRY_WORDS = 4;
const BUCKET_WORDS = WAYS * ENTRY_WORDS;
export const ENTRY_BYTES = ENTRY_WORDS * 4;

export class BlockTable {
  /** Give it to the constructor in another thread: the same table. */
  readonly memory: SharedArrayBuffer;
  readonly #words: Uint32Array;
  readonly #buckets: number;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#words = new Uint32Array(memory);
    this.#buckets = Math.floor(this.#words.length / BUCKET_WORDS);
  }

  /** An empty table of at most so many bytes, 16 for each block; pages of it that were never used cost nothing. */
  static ofBytes(bytesMax: ByteCount): BlockTable {
    const bucketBytes = WAYS * ENTRY_BYTES;
    return new BlockTable(new SharedArrayBuffer(Math.max(1, Math.floor(bytesMax / bucketBytes)) * bucketBytes));
  }

  has(fingerprint: Fingerprint): boolean {
    return this.#find(fingerprint) >= 0;
  }

  placeOf(fingerprint: Fingerprint): BlockPlace | undefined {
    const at = this.#find(fingerprint);
    return at < 0 ? undefined : { volume: this.#word(at + 2), block: this.#word(at + 3) };
  }

  /** The newest place counts. */
  put({ low, high }: Fingerprint, { volume, block }: BlockPlace): void {
    const bucket = this.#bucketOf({ low, high });
    const known = this.#find({ low, high });
    // The newest in front: what stands before the known one, or all but the last, moves one entry on.
    const end = known < 0 ? bucket + BUCKET_WORDS - ENTRY_WORDS : known;
    this.#words.copyWithin(bucket + ENTRY_WORDS, bucket, end);
    this.#words.set([low, high, volume, block], bucket);
  }

  forget(fingerprint: Fingerprint): void {
    const at = this.#find(fingerprint);
    if (at >= 0) this.#words.fill(0, at, at + ENTRY_WORDS);
  }

  /** Position of the entry in words; -1: there is none. */
  #find({ low, high }: Fingerprint): number {
    const bucket = this.#bucketOf({ low, high });
    for (let at = bucket; at < bucket + BUCKET_WORDS; at += ENTRY_WORDS) if (this.#words[at] === low && this.#words[at + 1] === high) return at;
    return -1;
  }

  #bucketOf({ low, high }: Fingerprint): number {
    return ((low ^ Math.imul(high, 0x9e3779b1)) >>> 0) % this.#buckets * BUCKET_WORDS;
  }

  #word(at: number): number {
    return this.#words[at] as number;
  }
}
