// SPDX-License-Identifier: Apache-2.0
import { checksum } from '@secondsite/change-set';

/** Whole numbers up to 2^53-1 as little-endian u64, and checksum fields, at fixed places of a header. */
export class ByteFields {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u16(at: number): number {
    return this.#view.getUint16(at, true);
  }

  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  /** NaN when the number is too large to be exact. */
  u64(at: number): number {
    const high = this.#view.getUint32(at + 4, true);
    return high > 0x1fffff ? NaN : high * 0x1_0000_0000 + this.#view.getUint32(at, true);
  }

  setU16(at: number, value: number): this {
    this.#view.setUint16(at, value, true);
    return this;
  }

  setU32(at: number, value: number): this {
    this.#view.setUint32(at, value, true);
    return this;
  }

  setU64(at: number, value: number): this {
    this.#view.setUint32(at, value % 0x1_0000_0000, true);
    this.#view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
    return this;
  }

  /** Writes the XXH3-64 of `parts` at `at`. */
  setChecksum(at: number, parts: readonly Uint8Array[]): this {
    this.bytes.set(checksum(parts), at);
    return this;
  }

  /** True when the XXH3-64 of `parts` stands at `at`. */
  hasChecksum(at: number, parts: readonly Uint8Array[]): boolean {
    return Buffer.from(checksum(parts)).equals(this.bytes.subarray(at, at + 8));
  }

  /** Seals the first `at` bytes with their checksum, which stands at `at`. */
  seal(at: number): this {
    return this.setChecksum(at, [this.bytes.subarray(0, at)]);
  }

  isSealed(at: number): boolean {
    return this.hasChecksum(at, [this.bytes.subarray(0, at)]);
  }
}
