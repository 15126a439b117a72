// SPDX-License-Identifier: Apache-2.0
import { BodyPool } from '@secondsite/transport/body-pool';
import type { ByteCount } from '@secondsite/units';

/** Memory for sets that are read back from the cache, used again and again; knows its own from that of received bodies. */
export class ReadMemory {
  readonly #pool: BodyPool;
  readonly #own = new WeakSet<ArrayBufferLike>();

  constructor(idleBytesMax: ByteCount) {
    this.#pool = new BodyPool({ idleBytesMax });
  }

  take(bytes: ByteCount): ArrayBufferLike {
    const memory = this.#pool.take(bytes);
    this.#own.add(memory);
    return memory;
  }

  /** False: it is not from here. */
  giveBack(memory: ArrayBufferLike): boolean {
    if (!this.#own.has(memory)) return false;
    this.#pool.giveBack(memory);
    return true;
  }
}
