// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';

const UNIT_BYTES = 1024;

/** Memory for captured writes, shared by all volumes of the host across their threads: one atomic counter. I9: nobody exceeds it. */
export class BufferBudget {
  readonly #usedUnits: Int32Array;
  readonly bytesMax: ByteCount;

  constructor(options: { readonly shared: SharedArrayBuffer; readonly bytesMax: ByteCount }) {
    this.#usedUnits = new Int32Array(options.shared);
    this.bytesMax = options.bytesMax;
  }

  /** The counter to hand to every thread. */
  static createShared(): SharedArrayBuffer {
    return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  }

  get usedBytes(): ByteCount {
    return Atomics.load(this.#usedUnits, 0) * UNIT_BYTES;
  }

  get freeBytes(): ByteCount {
    return Math.max(0, this.bytesMax - this.usedBytes);
  }

  /** False when so much is not left; nothing is taken then. */
  tryTake(bytes: ByteCount): boolean {
    const units = unitsOf(bytes);
    const before = Atomics.add(this.#usedUnits, 0, units);
    if ((before + units) * UNIT_BYTES <= this.bytesMax) return true;
    Atomics.sub(this.#usedUnits, 0, units);
    return false;
  }

  give(bytes: ByteCount): void {
    Atomics.sub(this.#usedUnits, 0, unitsOf(bytes));
  }
}

function unitsOf(bytes: ByteCount): number {
  return Math.ceil(bytes / UNIT_BYTES);
}
