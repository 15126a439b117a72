// SPDX-License-Identifier: Apache-2.0
import { type ByteCount, MIB } from '@secondsite/units';

const stepBytes = MIB;
const pooledBytesMin = 256 * 1024;

/**
 * Memory of request bodies, used again and again: a fresh 8 MiB buffer for each body would make the garbage collector run for every few of
 * them, which costs more than receiving. Whoever owns a body may give its memory back, once, when nothing reads it any more; a body that is
 * never given back is collected as usual. At most `idleBytesMax` wait here for the next body.
 */
export class BodyPool {
  readonly #idleBytesMax: ByteCount;
  readonly #idle = new Map<ByteCount, ArrayBuffer[]>();
  #idleBytes: ByteCount = 0;

  constructor({ idleBytesMax }: { readonly idleBytesMax: ByteCount }) {
    this.#idleBytesMax = idleBytesMax;
  }

  /** Memory of at least that size; what it holds is not defined. */
  take(lengthBytes: ByteCount): ArrayBuffer {
    if (lengthBytes < pooledBytesMin) return Buffer.allocUnsafeSlow(lengthBytes).buffer;
    const sizeBytes = Math.ceil(lengthBytes / stepBytes) * stepBytes;
    const memory = this.#idle.get(sizeBytes)?.pop();
    if (!memory) return Buffer.allocUnsafeSlow(sizeBytes).buffer;
    this.#idleBytes -= sizeBytes;
    return memory;
  }

  /** The memory must not be read or written by the giver afterwards. Memory that did not come from a pool is left to the collector. */
  giveBack(memory: ArrayBufferLike): void {
    const sizeBytes = memory.byteLength;
    if (!(memory instanceof ArrayBuffer) || sizeBytes === 0 || sizeBytes % stepBytes !== 0 || this.#idleBytes + sizeBytes > this.#idleBytesMax) return;
    const idle = this.#idle.get(sizeBytes);
    if (idle) idle.push(memory);
    else this.#idle.set(sizeBytes, [memory]);
    this.#idleBytes += sizeBytes;
  }
}
