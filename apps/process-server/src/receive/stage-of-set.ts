// SPDX-License-Identifier: Apache-2.0
import { markersOf, type StoredChangeSet } from '@secondsite/change-set';

/**
 * What a set says about the stage of its pair: `differential` from the marker `resync-read` (or a clean new epoch) on, `resync` from the start of
 * a resynchronisation on; undefined when it says nothing. Sets compressed at the source are not looked into: their pair keeps the smaller limit.
 */
export function stageOfSet(set: StoredChangeSet): 'resync' | 'differential' | undefined {
  let stage: 'resync' | 'differential' | undefined;
  for (const marker of markersOf(set)) {
    if (marker.kind === 'resync-read') stage = 'differential';
    if (marker.kind === 'resync-started') stage = 'resync';
    if (marker.kind === 'epoch-started') stage = marker.reason === 'none' ? 'differential' : 'resync';
  }
  return stage;
}
