// SPDX-License-Identifier: Apache-2.0
import { bytesOf, ENTRY_BYTES, type VerifiedChangeSet } from '@secondsite/change-set';
import type { ByteCount } from '@secondsite/units';

/** A block of the volume that one write of a set covers in full. */
export interface FullBlock {
  /** Shares the set's memory; `bytes.length` is that of a block. */
  readonly bytes: Uint8Array;
  /** Where they stand in the set's content (entry table, then data). */
  readonly position: ByteCount;
  /** In blocks from the beginning of the volume, below 2^32. */
  readonly block: number;
}

const BLOCK_MAX = 0xffffffff;

/** In the order of their positions. What lies further behind in a volume than 2^32 blocks is left out. */
export function* fullBlocksOf(set: VerifiedChangeSet, blockBytes: ByteCount): Generator<FullBlock> {
  const tableBytes = set.header.entryCount * ENTRY_BYTES;
  for (const entry of set.entries()) {
    if (entry.kind !== 'write' && entry.kind !== 'resync-write') continue;
    const bytes = bytesOf(entry, set.data);
    let block = Math.ceil(entry.offset / blockBytes);
    for (let at = block * blockBytes - entry.offset; at + blockBytes <= entry.length && block <= BLOCK_MAX; at += blockBytes, block += 1) {
      yield { bytes: bytes.subarray(at, at + blockBytes), position: tableBytes + entry.dataPosition + at, block };
    }
  }
}

/** No set has more of them. */
export function fullBlocksMax(set: VerifiedChangeSet, blockBytes: ByteCount): number {
  return Math.floor(set.data.byteLength / blockBytes);
}
