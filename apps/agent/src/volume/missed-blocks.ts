// SPDX-License-Identifier: Apache-2.0
import { type ByteCount, KIB } from '@secondsite/units';
import { type ByteRange, RegionSet } from '@secondsite/write-intent-bitmap';

const BLOCK_BYTES_MIN = 4 * KIB;
/** A bit each: 4 MiB of memory. */
const BLOCKS_MAX = 32 * 1024 * 1024;

/**
 * Blocks of a volume that changed without being captured, for as long as the process lives: what is marked on disk is a whole region, of which a
 * database may have changed one page. A block has 4 KiB, or a region when that is smaller, doubled until a volume has at most 32 Mi of them
 * (128 GiB: 4 KiB, 1 TiB: 32 KiB), so a region is whole blocks.
 */
export class MissedBlocks {
  readonly blockBytes: ByteCount;
  readonly #volumeBytes: ByteCount;
  readonly #blocks: RegionSet;

  constructor({ volumeBytes, regionBytes }: { readonly volumeBytes: ByteCount; readonly regionBytes: ByteCount }) {
    let blockBytes = Math.min(BLOCK_BYTES_MIN, regionBytes);
    while (Math.ceil(volumeBytes / blockBytes) > BLOCKS_MAX) blockBytes *= 2;
    this.blockBytes = blockBytes;
    this.#volumeBytes = volumeBytes;
    this.#blocks = new RegionSet(Math.ceil(volumeBytes / blockBytes));
  }

  /** In whole blocks. */
  get bytes(): ByteCount {
    return this.#blocks.size * this.blockBytes;
  }

  add(range: ByteRange): void {
    const { first, end } = this.#blocksOf(range);
    for (let block = first; block < end; block++) this.#blocks.add(block);
  }

  delete(range: ByteRange): void {
    const { first, end } = this.#blocksOf(range);
    for (let block = first; block < end; block++) this.#blocks.delete(block);
  }

  /** The missed parts of a range that begins and ends with a block or the volume, ascending, those in a row together. */
  partsOf(range: ByteRange): ByteRange[] {
    const { first, end } = this.#blocksOf(range);
    const parts: ByteRange[] = [];
    for (let block = this.#blocks.nextFrom(first); block !== undefined && block < end; ) {
      const runEnd = Math.min(this.#blocks.endOfRun(block), end);
      const offset = block * this.blockBytes;
      parts.push({ offset, length: Math.min(runEnd * this.blockBytes, this.#volumeBytes) - offset });
      block = this.#blocks.nextFrom(runEnd);
    }
    return parts;
  }

  #blocksOf({ offset, length }: ByteRange): { readonly first: number; readonly end: number } {
    return { first: Math.floor(offset / this.blockBytes), end: Math.ceil((offset + length) / this.blockBytes) };
  }
}
