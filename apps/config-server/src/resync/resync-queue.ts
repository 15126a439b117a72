// SPDX-License-Identifier: Apache-2.0
import { type ResyncCandidate, type ResyncTurn, resyncTurns } from '@secondsite/protection';
import type { Directory, PairRow } from '../read-models/directory';
import { livePairs } from '../read-models/find';
import type { ServerClock } from '../server-clock';

/** Who may resynchronise a whole volume now. Computed from the read models each time, so that nothing can be stranded. */
export class ResyncQueue {
  constructor(private readonly clock: Pick<ServerClock, 'now'>, readonly pairsAtOnce: number) {}

  /** By pair; a pair that is missing needs no turn. */
  turns(directory: Directory): ReadonlyMap<string, ResyncTurn> {
    return resyncTurns(resyncCandidates(directory), { pairsAtOnce: this.pairsAtOnce, now: this.clock.now() });
  }
}

function resyncCandidates(directory: Directory): ResyncCandidate[] {
  const paused = new Set(directory.plans.filter((plan) => plan.state === 'paused').map((plan) => plan.planId));
  return livePairs(directory).filter(needsTurn).map((pair) => ({
    pairId: pair.pairId, since: pair.wholeSince ?? pair.createdAt, paused: paused.has(pair.planId), stalled: pair.stalledSince !== undefined, notBefore: undefined,
  }));
}

/** Its whole volume has to be read, or is being read. */
function needsTurn({ state, requiredWork, resyncRequestedAt, wholeSince }: PairRow): boolean {
  if (state === 'queued' || requiredWork === 'whole' || resyncRequestedAt !== undefined) return true;
  return state === 'resync-step-1' && wholeSince !== undefined;
}

/** Why a pair does not read its volume now, in words; undefined when it may. */
export function waitInWords(turn: ResyncTurn | undefined): string | undefined {
  switch (turn?.kind) {
    case 'queued':
      return `it waits for its turn to read the whole volume: place ${turn.place} of the queue`;
    case 'paused':
      return 'its plan is paused; it takes its place in the queue when that is resumed';
    default:
      return undefined;
  }
}
