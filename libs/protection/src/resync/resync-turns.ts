// SPDX-License-Identifier: Apache-2.0
/**
 * Batch resync: which pairs may resynchronise their whole volume now, and which place of the queue the others have. Pure and without memory: the
 * same pairs get the same answer, so a restart of anybody changes nothing, and a place that becomes free goes to the next in line by itself.
 */
import type { TimeMicros } from '@secondsite/units';

export interface ResyncCandidate {
  readonly pairId: string;
  /** When the resynchronisation became needed: the order of the queue. ISO 8601. */
  readonly since: string;
  readonly paused: boolean;
  /** It has its turn and does not move on: it keeps its turn, but takes no place from others. */
  readonly stalled: boolean;
  /** Not before; undefined: at once; `asked`: only when an operator asks for it. */
  readonly notBefore: TimeMicros | 'asked' | undefined;
}

export type ResyncTurn =
  | { readonly kind: 'go' }
  /** `place` 1 is the next. */
  | { readonly kind: 'queued'; readonly place: number }
  | { readonly kind: 'too-early'; readonly notBefore: TimeMicros }
  | { readonly kind: 'to-be-asked' }
  | { readonly kind: 'paused' };

/** `pairsAtOnce`: at least 1. Pairs that are not candidates need no turn. */
export function resyncTurns(candidates: readonly ResyncCandidate[], { pairsAtOnce, now }: { readonly pairsAtOnce: number; readonly now: TimeMicros }): Map<string, ResyncTurn> {
  const turns = new Map<string, ResyncTurn>();
  let going = 0;
  let place = 0;
  for (const { pairId, paused, stalled, notBefore } of candidates.toSorted(bySince)) {
    if (paused) turns.set(pairId, { kind: 'paused' });
    else if (notBefore === 'asked') turns.set(pairId, { kind: 'to-be-asked' });
    else if (notBefore !== undefined && notBefore > now) turns.set(pairId, { kind: 'too-early', notBefore });
    else if (stalled) turns.set(pairId, { kind: 'go' });
    else if (going < pairsAtOnce) {
      going += 1;
      turns.set(pairId, { kind: 'go' });
    } else turns.set(pairId, { kind: 'queued', place: (place += 1) });
  }
  return turns;
}

function bySince(left: ResyncCandidate, right: ResyncCandidate): number {
  if (left.since !== right.since) return left.since < right.since ? -1 : 1;
  return left.pairId < right.pairId ? -1 : 1;
}
