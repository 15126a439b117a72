// SPDX-License-Identifier: Apache-2.0
import { compressSealed, foldChangeSet, HEADER_BYTES, type SealedChangeSet, verifyChangeSet } from '@secondsite/change-set';
import { compressZstd } from '@secondsite/zstd';
import type { PairSettings } from './volume-thread';

/** Folds and compresses a set on its way out, as the pair's settings say now. */
export async function prepareChangeSet(set: SealedChangeSet, { compression, folding }: Pick<PairSettings, 'compression' | 'folding'>): Promise<SealedChangeSet> {
  const folded = folding ? fold(set) : set;
  return compression === 'source' ? compressSealed(folded, compressZstd) : folded;
}

/** A set of which at most the header is worth sending is left alone. */
function fold(set: SealedChangeSet): SealedChangeSet {
  if (set.header.contentBytes <= HEADER_BYTES) return set;
  const verified = verifyChangeSet(Buffer.concat(set.parts));
  return (verified.ok ? foldChangeSet(verified) : undefined) ?? set;
}
