// SPDX-License-Identifier: Apache-2.0
import { bytesOf, decodeMarker, type StoredChangeSet, verifyContent } from '@secondsite/change-set';

/**
 * What a set says about the stage of its pair: `differential` from the marker `resync-read` (or a clean new epoch) on, `resync` from the start of
 * a resynchronisation on; undefined when it says nothing. Sets compressed at the source are not looked into: their pair keeps the smaller limit.
 */
export function stageOfSet(set: StoredChangeSet): 'resync' | 'differential' | undefined {
  if (set.header.compression !== 'none') return undefined;
  const content = verifyContent(set, set.stored);
  if (!content.ok) return undefined;
  let stage: 'resync' | 'differential' | undefined;
  for (const entry of content.entries()) {
    if (entry.kind !== 'marker') continue;
    const marker = decodeMarker(bytesOf(entry, content.data));
    if (marker?.kind === 'resync-read') stage = 'differential';
    if (marker?.kind === 'resync-started') stage = 'resync';
    if (marker?.kind === 'epoch-started') stage = marker.reason === 'none' ? 'differential' : 'resync';
  }
  return stage;
}
