// SPDX-License-Identifier: Apache-2.0
import { type ByteCount, type ByteOffset, KIB } from '@secondsite/units';

/** Blocks with one digest together. */
export const BLOCKS_PER_CHUNK = 16;
/** What is compared, and sent when it differs. */
export const BLOCK_BYTES = 64 * KIB;
export const CHUNK_BYTES = BLOCKS_PER_CHUNK * BLOCK_BYTES;
/** XXH3-128. */
export const CHECKSUM_BYTES = 16;
/** In one question; an answer in which all of them differ still fits into 64 KiB. */
export const CHUNKS_MAX = 240;
/** The same for the first receivers, to which a longer question is malformed. */
export const CHUNKS_MAX_FIRST = 64;

/** How a volume is cut into blocks and chunks. Agent and target of a pair use the same; the format knows only the standard one. */
export class BlockLayout {
  static readonly standard = new BlockLayout(BLOCK_BYTES);
  readonly blockBytes: ByteCount;
  readonly chunkBytes: ByteCount;

  constructor(blockBytes: ByteCount) {
    this.blockBytes = blockBytes;
    this.chunkBytes = BLOCKS_PER_CHUNK * blockBytes;
  }

  /** Blocks of so many bytes, the last of which may be short. */
  blockCountOf(bytes: ByteCount): number {
    return Math.ceil(bytes / this.blockBytes);
  }

  /** Bytes of the chunk at an offset of a volume; the last one may be short. */
  chunkBytesAt(offset: ByteOffset, volumeBytes: ByteCount): ByteCount {
    return Math.min(this.chunkBytes, volumeBytes - offset);
  }
}
