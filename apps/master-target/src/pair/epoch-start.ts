// SPDX-License-Identifier: Apache-2.0
import type { StreamMarker, VerifiedChangeSet } from '@secondsite/change-set';
import { compareStreamPlaces } from '@secondsite/retention-journal';
import type { StreamPlace } from './pair-types';
import { streamMarkersOf } from './stream-watch';

/** How an epoch begins, in its first set; undefined in every other one. */
export function epochStartOf(set: VerifiedChangeSet): Extract<StreamMarker, { kind: 'epoch-started' }> | undefined {
  return set.header.sequence === 1 ? streamMarkersOf(set).find((marker) => marker.kind === 'epoch-started') : undefined;
}

/** In words, when a set begins an epoch that builds on more than was ever received here: the replica was lost, or is an older copy. */
export function missingBase(set: VerifiedChangeSet, held: StreamPlace): string | undefined {
  const base = epochStartOf(set)?.base;
  if (!base || compareStreamPlaces(held, base) >= 0) return undefined;
  return `the epoch builds on set ${base.sequence} of epoch ${base.epoch}, but the replica ends at set ${held.sequence} of epoch ${held.epoch}`;
}
