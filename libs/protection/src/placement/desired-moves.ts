// SPDX-License-Identifier: Apache-2.0
// What master targets are told of moves (ADR 21). `placement` says how far a target may trust that a pair is its own: at home it is the number of
// the newest move that ended, so while a move goes on the target that hands over is one behind the number of that move.
import type { ArrivingPair, DepartedPair, MasterTargetPair } from '@secondsite/contracts';
import type { DesiredPair } from './desired-state';

export function placementAtHome({ placement = 0, movingTo }: DesiredPair): Pick<MasterTargetPair, 'placement' | 'movingTo'> {
  if (placement === 0) return {};
  return movingTo === undefined ? { placement } : { placement: placement - 1, movingTo };
}

/** Pairs on their way to a target, as they are at the one that has them. One whose address is not known waits. */
export function arrivingPairs(masterTargetId: string, { pairs, urls, atHome }: {
  readonly pairs: readonly DesiredPair[];
  readonly urls: ReadonlyMap<string, string>;
  /** Undefined for a pair without a plan. */
  readonly atHome: (pair: DesiredPair) => MasterTargetPair | undefined;
}): ArrivingPair[] {
  return pairs.filter((pair) => pair.movingTo === masterTargetId).flatMap((pair) => {
    const [home, sourceUrl] = [atHome(pair), urls.get(pair.masterTargetId)];
    if (!home || sourceUrl === undefined) return [];
    const { movingTo: _, ...arriving } = home;
    return [{ ...arriving, placement: pair.placement ?? 0, sourceUrl }];
  });
}

/** Pairs of which a target may still have something, and which are not its own: they moved away, or their move to it was cancelled. */
export function departedPairs(masterTargetId: string, { pairs, removedPairs }: { readonly pairs: readonly DesiredPair[]; readonly removedPairs: readonly DesiredPair[] }): DepartedPair[] {
  const hasLeft = ({ formerTargets = [], masterTargetId: home, movingTo }: DesiredPair): boolean => formerTargets.includes(masterTargetId) && home !== masterTargetId && movingTo !== masterTargetId;
  const left = [...pairs.filter(hasLeft), ...removedPairs.filter((pair) => hasLeft(pair) || pair.movingTo === masterTargetId)];
  return left.map(({ pairId, volumeId, volumeName, sizeBytes }) => ({ pairId, volumeId, volumeName, sizeBytes }));
}
