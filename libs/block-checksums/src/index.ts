// SPDX-License-Identifier: Apache-2.0
export { BlockHasher } from './block-hasher';
export { BLOCK_BYTES, BlockLayout, BLOCKS_PER_CHUNK, CHECKSUM_BYTES, CHUNK_BYTES, CHUNKS_MAX, CHUNKS_MAX_FIRST } from './block-layout';
export { type Answer, chunkCountOf, decodeAnswer, decodeQuestion, encodeAnswer, encodeQuestion, type Question, QUESTION_BYTES_MAX } from './comparison-format';
export { type ChecksummedContentOptions, ChecksummedContent, type ChunkChecksums } from './checksummed-content';
export { KeptChecksums, type KeptChecksumsOptions } from './kept-checksums';
