// SPDX-License-Identifier: Apache-2.0
// Reads the replica chunk by chunk and compares it with the checksums that were kept of its blocks. A block without one gets it from what is read:
// whether that is what was written only a comparison with the source can tell, and that is made with this very checksum (ADR 23). Applying goes on
// meanwhile: a block that is written while it is looked at is left for the next round.
import { BlockHasher, type BlockLayout, CHECKSUM_BYTES, type KeptChecksums } from '@secondsite/block-checksums';
import { readBuffer, type StorageFile } from '@secondsite/durable-storage';
import { type ByteCount, type ByteOffset, isOperationError } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';
import type { DamagedBlock } from './replica-damage';

export interface ReplicaScrubberOptions {
  readonly replica: StorageFile;
  /** Of the replica. */
  readonly checksums: KeptChecksums;
  readonly hasher: BlockHasher;
  /** Blocks that do not hold what was written to them; called in the turn in which nothing has been written to them. */
  readonly damaged: (blocks: readonly DamagedBlock[]) => void;
}

interface Look {
  readonly readBytes: ByteCount;
  readonly damaged: readonly DamagedBlock[];
}

export class ReplicaScrubber {
  readonly #options: ReplicaScrubberOptions;
  readonly #layout: BlockLayout;
  #memory: Buffer | undefined;

  constructor(options: ReplicaScrubberOptions) {
    this.#options = options;
    this.#layout = options.hasher.layout;
  }

  /**
   * `offset`: of a chunk. What seems damaged is read twice. Returns how much was read; holes are not. One call at a time. Rejects with the
   * storage's OperationError.
   */
  async scrubChunk(offset: ByteOffset): Promise<ByteCount> {
    const chunk = { offset, length: this.#layout.chunkBytesAt(offset, this.#options.replica.size()) };
    const first = await this.#look(chunk, () => undefined);
    if (first.damaged.length === 0) return first.readBytes;
    const seen = new Set(first.damaged.map((block) => block.offset));
    const second = await this.#look(chunk, (damaged) => this.#options.damaged(damaged.filter((block) => seen.has(block.offset))));
    return first.readBytes + second.readBytes;
  }

  /** `judge` is called before anything can be written to what it gets. */
  async #look(chunk: ByteRange, judge: (damaged: readonly DamagedBlock[]) => void): Promise<Look> {
    const { checksums } = this.#options;
    const keeping = checksums.begin(chunk);
    try {
      const kept = await checksums.lookUp(chunk);
      const found = await this.#checksumsOf(chunk);
      const damaged: DamagedBlock[] = [];
      let isNew = false;
      kept.forEach((expected, index) => {
        const block = this.#blockOf(chunk, index);
        if (keeping.changed.has(block.offset / this.#layout.blockBytes)) return;
        const is = found.checksums[index];
        if (is === undefined || (expected && !expected.equals(is))) damaged.push({ ...block, expected });
        isNew ||= expected === undefined;
      });
      if (isNew && damaged.length === 0) checksums.keep(keeping, Buffer.concat(found.checksums as Buffer[]));
      judge(damaged);
      return { readBytes: found.readBytes, damaged };
    } finally {
      checksums.forget(keeping);
    }
  }

  #blockOf(chunk: ByteRange, index: number): ByteRange {
    const { blockBytes } = this.#layout;
    const offset = chunk.offset + index * blockBytes;
    return { offset, length: Math.min(blockBytes, chunk.offset + chunk.length - offset) };
  }

  /** Undefined for a block that the disk does not give back. */
  async #checksumsOf(chunk: ByteRange): Promise<{ readonly checksums: readonly (Buffer | undefined)[]; readonly readBytes: ByteCount }> {
    const { hasher, replica } = this.#options;
    const data = replica.nextData(chunk.offset);
    if (!data || data.offset >= chunk.offset + chunk.length) return { checksums: each(hasher.checksumsOfZeros(chunk.length)), readBytes: 0 };
    const bytes = (this.#memory ??= readBuffer(this.#layout.chunkBytes)).subarray(0, chunk.length);
    try {
      bytes.fill(0, await replica.read(bytes, chunk.offset));
      return { checksums: each(hasher.checksumsOf(bytes)), readBytes: chunk.length };
    } catch (error) {
      if (!isOperationError(error, 'storage/io-error')) throw error;
      return { checksums: await this.#blockByBlock(chunk, bytes), readBytes: chunk.length };
    }
  }

  async #blockByBlock(chunk: ByteRange, memory: Buffer): Promise<(Buffer | undefined)[]> {
    const checksums: (Buffer | undefined)[] = [];
    for (let index = 0; index < this.#layout.blockCountOf(chunk.length); index++) {
      const { offset, length } = this.#blockOf(chunk, index);
      const bytes = memory.subarray(0, length);
      try {
        bytes.fill(0, await this.#options.replica.read(bytes, offset));
        checksums.push(this.#options.hasher.checksumsOf(bytes));
      } catch (error) {
        if (!isOperationError(error, 'storage/io-error')) throw error;
        checksums.push(undefined);
      }
    }
    return checksums;
  }
}

function each(checksums: Buffer): Buffer[] {
  return Array.from({ length: checksums.length / CHECKSUM_BYTES }, (_, index) => checksums.subarray(index * CHECKSUM_BYTES, (index + 1) * CHECKSUM_BYTES));
}
