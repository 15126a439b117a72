// SPDX-License-Identifier: Apache-2.0
import { type ByteCount, KIB } from '@secondsite/units';

/** What is compared, and sent when it differs. */
export const BLOCK_BYTES = 64 * KIB;
/** Blocks with one digest together. */
export const BLOCKS_PER_CHUNK = 16;
export const CHUNK_BYTES = BLOCKS_PER_CHUNK * BLOCK_BYTES;
/** XXH3-128. */
export const CHECKSUM_BYTES = 16;
/** In one question; what is read for it is at most so many chunks. */
export const CHUNKS_MAX = 64;

/** Blocks of so many bytes, the last of which may be short. */
export function blockCountOf(bytes: ByteCount): number {
  return Math.ceil(bytes / BLOCK_BYTES);
}

/** Bytes of a chunk of a volume; the last one may be short. */
export function chunkBytesAt(offset: number, volumeBytes: ByteCount): ByteCount {
  return Math.min(CHUNK_BYTES, volumeBytes - offset);
}
