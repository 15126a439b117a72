// SPDX-License-Identifier: Apache-2.0
import type { ByteCount, ByteOffset } from '@secondsite/units';
import { type ByteRange, RegionSet } from '@secondsite/write-intent-bitmap';

/** First block and how many. */
export type BlockRun = [first: number, count: number];

/** Blocks of a replica that have to be copied, as bits; grows with the replica. */
export class ChangedBlocks {
  readonly blockBytes: ByteCount;
  #set: RegionSet;

  constructor(blockBytes: ByteCount) {
    this.blockBytes = blockBytes;
    this.#set = new RegionSet(0);
  }

  get size(): number {
    return this.#set.size;
  }

  /** Marks the blocks that the range touches. */
  mark({ offset, length }: ByteRange): void {
    if (length > 0) this.addRun([Math.floor(offset / this.blockBytes), Math.ceil((offset + length) / this.blockBytes) - Math.floor(offset / this.blockBytes)]);
  }

  /** Marks every block of a file that may hold other bytes than zeros. */
  markData(file: { nextData(offset: ByteOffset): ByteRange | undefined }): void {
    for (let data = file.nextData(0); data; data = file.nextData(data.offset + data.length)) this.mark(data);
  }

  addRun([first, count]: BlockRun): void {
    if (first + count > this.#set.regionCount) {
      const grown = new RegionSet(Math.max(first + count, 2 * this.#set.regionCount));
      grown.addAll(this.#set);
      this.#set = grown;
    }
    for (let block = first; block < first + count; block++) this.#set.add(block);
  }

  /** Takes the first runs out, at most so many, with at most `blocksMax` blocks together. */
  take({ runsMax = Infinity, blocksMax = Infinity }: { readonly runsMax?: number; readonly blocksMax?: number }): BlockRun[] {
    const runs: BlockRun[] = [];
    let left = blocksMax;
    for (let first = this.#set.nextFrom(0); first !== undefined && runs.length < runsMax && left > 0; first = this.#set.nextFrom(first)) {
      const end = Math.min(this.#set.endOfRun(first), first + left);
      for (let block = first; block < end; block++) this.#set.delete(block);
      runs.push([first, end - first]);
      left -= end - first;
    }
    return runs;
  }
}
