// SPDX-License-Identifier: Apache-2.0
import { type ByteCount, MIB } from '@secondsite/units';

export interface ReadAheadOptions {
  /** Of the memory for captured writes. */
  readonly bytesMax: ByteCount;
  /** Read at once. */
  readonly regionBytes: ByteCount;
  /** Monotonic. */
  readonly millis: () => number;
  /** Change sets that wait for the next hop, and memory that is left. */
  readonly memory: () => { readonly heldBytes: ByteCount; readonly freeBytes: ByteCount };
}

const BYTES_MAX = 96 * MIB;
const WINDOW_MILLIS = 500;

/**
 * How much a resynchronisation may have on its way. The application's writes come first: a quarter of the memory stays free for them, and the more it
 * wrote lately, the less is read ahead, down to a quarter of what would be read when nobody writes, but never less than two regions.
 */
export class ReadAhead {
  readonly #options: ReadAheadOptions;
  readonly #most: ByteCount;
  readonly #least: ByteCount;
  #windowStart = 0;
  #written: ByteCount = 0;
  #writtenBefore: ByteCount = 0;

  constructor(options: ReadAheadOptions) {
    this.#options = options;
    this.#most = Math.min(BYTES_MAX, options.bytesMax / 2);
    this.#least = Math.min(this.#most, Math.max(this.#most / 4, 2 * options.regionBytes));
  }

  /** The application wrote. */
  written(bytes: ByteCount): void {
    this.#written += bytes;
  }

  /** True when so much, in all, may be read ahead. */
  may(bytes: ByteCount): boolean {
    const { heldBytes, freeBytes } = this.#options.memory();
    return heldBytes + bytes <= Math.max(this.#most - this.#lately, this.#least) && freeBytes - bytes >= this.#options.bytesMax / 4;
  }

  /** Written in the last half to whole second. */
  get #lately(): ByteCount {
    const now = this.#options.millis();
    const windows = Math.floor((now - this.#windowStart) / WINDOW_MILLIS);
    if (windows > 0) {
      this.#writtenBefore = windows === 1 ? this.#written : 0;
      this.#written = 0;
      this.#windowStart = now;
    }
    return this.#writtenBefore + this.#written;
  }
}
