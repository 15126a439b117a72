// SPDX-License-Identifier: Apache-2.0
import { giveBackPages, hugePagesSize, sharedMemory } from '@secondsite/disk-files';
import { type ByteCount, MIB } from '@secondsite/units';

const stepBytes = MIB;
const pooledBytesMin = 256 * 1024;

/**
 * Memory of request bodies, used again and again. It is shared memory: the garbage collector does not count it, while 8 MiB of ordinary
 * memory, fresh or moved to another thread, make it run for every few bodies, which costs more than receiving them. Whoever owns a body may
 * give its memory back, once, when nothing reads it any more; memory that is never given back is collected some time, which may be late, so
 * nothing is thrown away here as long as `idleBytesMax` is not passed: choose it as large as the most that can be in use. Idle memory that is
 * too small for a body makes room for what is made for it, so that bodies of many sizes take no more than the largest ones would.
 */
export class BodyPool {
  readonly #idleBytesMax: ByteCount;
  /** Smallest first. */
  readonly #idle: SharedArrayBuffer[] = [];
  #idleBytes: ByteCount = 0;

  constructor({ idleBytesMax }: { readonly idleBytesMax: ByteCount }) {
    this.#idleBytesMax = idleBytesMax;
  }

  /** Memory of at least that size; what it holds is not defined. Small pieces are ordinary memory and are not kept. */
  take(lengthBytes: ByteCount): ArrayBufferLike {
    if (lengthBytes < pooledBytesMin) return Buffer.allocUnsafeSlow(lengthBytes).buffer;
    const index = this.#idle.findIndex((memory) => memory.byteLength >= lengthBytes);
    const [memory] = index < 0 ? [] : this.#idle.splice(index, 1);
    if (!memory) return this.#make(sizeFor(lengthBytes));
    this.#idleBytes -= memory.byteLength;
    return memory;
  }

  #make(sizeBytes: ByteCount): SharedArrayBuffer {
    for (let freedBytes = 0; freedBytes < sizeBytes; ) {
      const unfit = this.#idle.pop();
      if (!unfit) break;
      this.#idleBytes -= unfit.byteLength;
      freedBytes += unfit.byteLength;
      giveBackPages(new Uint8Array(unfit));
    }
    return sharedMemory(sizeBytes);
  }

  /** The memory must not be read or written by the giver afterwards. Memory that did not come from a pool is left to the collector. */
  giveBack(memory: ArrayBufferLike): void {
    const sizeBytes = memory.byteLength;
    if (!(memory instanceof SharedArrayBuffer)) return;
    if (this.#idleBytes + sizeBytes > this.#idleBytesMax) return giveBackPages(new Uint8Array(memory));
    const index = this.#idle.findIndex((other) => other.byteLength >= sizeBytes);
    this.#idle.splice(index < 0 ? this.#idle.length : index, 0, memory);
    this.#idleBytes += sizeBytes;
  }
}

/** Whole huge pages when the body fills them: what is touched of one is all of it. */
function sizeFor(lengthBytes: ByteCount): ByteCount {
  const wholeBytes = hugePagesSize(lengthBytes);
  return wholeBytes - lengthBytes < stepBytes ? wholeBytes : Math.ceil(lengthBytes / stepBytes) * stepBytes;
}
