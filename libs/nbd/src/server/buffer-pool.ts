// SPDX-License-Identifier: Apache-2.0
const smallestClassBytes = 4096;
const slackBytes = 4096;

/**
 * Large buffers kept for reuse, because fresh memory costs a page fault per 4 KiB. Sizes are powers of two plus room for a reply's
 * header. Content is arbitrary. Keeps at most `keepBytesMax`; the rest goes to the garbage collector.
 */
export class BufferPool {
  readonly #free = new Map<number, Buffer[]>();
  #keptBytes = 0;

  constructor(private readonly keepBytesMax: number) {}

  /** A buffer of at least `bytes`, owned by the caller until it is given back. */
  take(bytes: number): Buffer {
    let size = smallestClassBytes;
    while (size + slackBytes < bytes) size *= 2;
    const kept = this.#free.get(size + slackBytes)?.pop();
    if (!kept) return Buffer.allocUnsafeSlow(size + slackBytes);
    this.#keptBytes -= kept.length;
    return kept;
  }

  /** Only buffers from `take`, once, when nobody reads or writes them any more. */
  give(buffer: Buffer): void {
    if (this.#keptBytes + buffer.length > this.keepBytesMax) return;
    this.#keptBytes += buffer.length;
    const list = this.#free.get(buffer.length);
    if (list) list.push(buffer);
    else this.#free.set(buffer.length, [buffer]);
  }
}
