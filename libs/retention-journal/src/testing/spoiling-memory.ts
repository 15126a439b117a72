// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';
import type { JournalMemory } from '../journal-memory';

/** Memory of which nobody has written anything reads as garbage, before and after its use. */
export class SpoilingMemory implements JournalMemory {
  readonly #inUse = new Set<ArrayBufferLike>();

  get piecesInUse(): number {
    return this.#inUse.size;
  }

  take(sizeBytes: ByteCount): ArrayBufferLike {
    const memory = new SharedArrayBuffer(sizeBytes + 8 * (this.#inUse.size % 2));
    spoil(memory);
    this.#inUse.add(memory);
    return memory;
  }

  giveBack(memory: ArrayBufferLike): void {
    if (!this.#inUse.delete(memory)) throw new Error('memory was given back that is not in use');
    spoil(memory);
  }
}

function spoil(memory: ArrayBufferLike): void {
  new Uint8Array(memory).fill(0x3d);
}
