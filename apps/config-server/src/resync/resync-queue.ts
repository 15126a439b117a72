// SPDX-License-Identifier: Apache-2.0
import { type AutomaticResync, automaticResyncDefault } from '@secondsite/contracts';
import { nextInWindow, type ResyncCandidate, type ResyncTurn, resyncTurns } from '@secondsite/protection';
import { isoFromMicros, microsFromIso, type TimeMicros } from '@secondsite/units';
import type { Directory, PairRow } from '../read-models/directory';
import { livePairs } from '../read-models/find';
import type { ServerClock } from '../server-clock';

/** Who may resynchronise a whole volume now. Computed from the read models each time, so that nothing can be stranded. */
export class ResyncQueue {
  constructor(private readonly clock: Pick<ServerClock, 'now'>, readonly pairsAtOnce: number) {}

  /** By pair; a pair that is missing needs no turn. */
  turns(directory: Directory): ReadonlyMap<string, ResyncTurn> {
    const now = this.clock.now();
    return resyncTurns(resyncCandidates(directory, now), { pairsAtOnce: this.pairsAtOnce, now });
  }
}

function resyncCandidates(directory: Directory, now: TimeMicros): ResyncCandidate[] {
  const plans = new Map(directory.plans.map((plan) => [plan.planId, plan]));
  return livePairs(directory).filter(needsTurn).map((pair) => {
    const plan = plans.get(pair.planId);
    return {
      pairId: pair.pairId, since: pair.wholeSince ?? pair.createdAt, paused: plan?.state === 'paused', stalled: pair.stalledSince !== undefined,
      notBefore: beginsAt(pair, { automatic: plan?.automaticResync ?? automaticResyncDefault, now }),
    };
  });
}

/** Baselines and what an operator asked for begin at once, what was begun goes on; the rest waits for its time. */
function beginsAt(pair: PairRow, { automatic, now }: { readonly automatic: AutomaticResync; readonly now: TimeMicros }): ResyncCandidate['notBefore'] {
  if (pair.state === 'queued' || pair.requiredWork !== 'whole' || pair.resyncRequestedAt !== undefined) return undefined;
  if (!automatic.enabled) return 'asked';
  const required = microsFromIso(pair.resyncRequiredSince ?? '') ?? now;
  return nextInWindow(automatic, Math.max(now, required + automatic.waitSeconds * 1e6));
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
    case 'too-early':
      return `its whole volume has to be read; that begins by itself at ${isoFromMicros(turn.notBefore)}, or now with secondsite resync VOLUME`;
    case 'to-be-asked':
      return 'its whole volume has to be read, and its plan wants to be asked: secondsite resync VOLUME';
    case 'paused':
      return 'its plan is paused; it takes its place in the queue when that is resumed';
    default:
      return undefined;
  }
}
