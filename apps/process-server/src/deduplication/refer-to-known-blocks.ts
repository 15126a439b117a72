// SPDX-License-Identifier: Apache-2.0
import { type BlockTable, type DeduplicationScope, KnownBlocks, referToBlocks, type Sha256 } from '@secondsite/wan-deduplication';
import type { Refer } from './pair-deduplicator';

export interface ReferToKnownBlocksOptions {
  readonly scope: DeduplicationScope;
  readonly table: BlockTable;
  readonly sha256: Sha256;
}

/** Looks in this thread. */
export function referToKnownBlocks({ scope, table, sha256 }: ReferToKnownBlocksOptions): Refer {
  return (bytes, { target, isWanted }) => {
    const known = new KnownBlocks(table, { target });
    return referToBlocks(bytes, { scope, isKnown: (fingerprint) => isWanted && known.has(fingerprint), sha256 });
  };
}
