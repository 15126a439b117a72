// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';

/** Large memory for a while: the maps of views, some 24 MB for a million extents, until they are closed, and what undo is read into for a moment. */
export interface JournalMemory {
  /** At least so many bytes; what it holds is not defined. */
  take(sizeBytes: ByteCount): ArrayBufferLike;
  /** Nothing reads or writes it any more. */
  giveBack(memory: ArrayBufferLike): void;
}

/** Whatever the collector frees some time. */
export const collectedMemory: JournalMemory = { take: (sizeBytes) => new ArrayBuffer(sizeBytes), giveBack: () => undefined };

/** What is read into one after the other: what was read before does not hold any more. */
export class ReusedMemory {
  readonly #source: JournalMemory;
  #memory: ArrayBufferLike | undefined;

  constructor(source: JournalMemory = collectedMemory) {
    this.#source = source;
  }

  take(length: ByteCount): Uint8Array {
    if (!this.#memory || this.#memory.byteLength < length) {
      this.close();
      this.#memory = this.#source.take(length);
    }
    return new Uint8Array(this.#memory, 0, length);
  }

  /** What was read last does not hold any more either. */
  close(): void {
    if (this.#memory) this.#source.giveBack(this.#memory);
    this.#memory = undefined;
  }
}
