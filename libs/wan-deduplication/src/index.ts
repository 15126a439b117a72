// SPDX-License-Identifier: Apache-2.0
export { BlockFingerprinter, type Fingerprint, sameFingerprint } from './block-fingerprinter';
export { type BlockPlace, BlockTable } from './block-table';
export { BLOCK_BYTES, blockBytesOf, type DeduplicationScope } from './deduplication-scope';
export { type FullBlock, fullBlocksOf } from './full-blocks';
export { FingerprintList, KnownBlocks } from './known-blocks';
export type { Sha256 } from './proof';
export { type ReadBlocks, type RebuildOptions, type RebuiltSet, rebuildSet } from './rebuild-set';
export { type ReferOptions, type ReferredSet, referToBlocks } from './refer-to-blocks';
export { type BlockReference, decodeReferences, isReferringSet, type ReferringSet, sealReferringSet } from './referring-set';
