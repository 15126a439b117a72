// SPDX-License-Identifier: Apache-2.0
import { type Rejection } from '../decider';

/** A process server or master target that could take a pair. */
export interface Candidate {
  readonly componentId: string;
  readonly role: 'process-server' | 'master-target';
  readonly pairCount: number;
  /** Was heard a moment ago and said where it can be reached. */
  readonly available: boolean;
  /** It takes no more pairs than this; absent: as many as there are. */
  readonly pairsMax?: number;
}

export type Placement =
  | { readonly placed: true; readonly processServerId: string; readonly masterTargetId: string }
  | { readonly placed: false; readonly rejection: Rejection };

/** The least loaded process server and master target; ties are decided by id, so that the choice is repeatable. */
export function placePair(candidates: readonly Candidate[]): Placement {
  const processServer = leastLoaded(candidates, 'process-server');
  const masterTarget = leastLoaded(candidates, 'master-target');
  if (!processServer) return { placed: false, rejection: nobody('process-server', candidates) };
  if (!masterTarget) return { placed: false, rejection: nobody('master-target', candidates) };
  return { placed: true, processServerId: processServer.componentId, masterTargetId: masterTarget.componentId };
}

/** The candidates after one more pair was placed, for placing several at once. */
export function withPlacement(candidates: readonly Candidate[], placement: Extract<Placement, { placed: true }>): Candidate[] {
  const taken = new Set([placement.processServerId, placement.masterTargetId]);
  return candidates.map((candidate) => (taken.has(candidate.componentId) ? { ...candidate, pairCount: candidate.pairCount + 1 } : candidate));
}

function leastLoaded(candidates: readonly Candidate[], role: Candidate['role']): Candidate | undefined {
  const able = candidates.filter((candidate) => candidate.role === role && candidate.available && !isFull(candidate));
  return able.sort((left, right) => left.pairCount - right.pairCount || left.componentId.localeCompare(right.componentId))[0];
}

export function isFull({ pairCount, pairsMax = Infinity }: Pick<Candidate, 'pairCount' | 'pairsMax'>): boolean {
  return pairCount >= pairsMax;
}

function nobody(role: Candidate['role'], candidates: readonly Candidate[]): Rejection {
  const words = role.replace('-', ' ');
  if (candidates.some((candidate) => candidate.role === role && candidate.available)) return full(words);
  const known = candidates.some((candidate) => candidate.role === role);
  return {
    kind: 'conflict',
    code: `placement/no-${role}`,
    detail: known ? `no ${words} has been heard lately` : `no ${words} is enrolled`,
    hint: known ? `Start the ${words}; try again when the status shows it online.` : `Enrol a ${words}: secondsite enroll token --role ${role}`,
  };
}

/** There are some, and each has all the pairs that it may have. */
function full(words: string): Rejection {
  return {
    kind: 'conflict', code: 'placement/full', detail: `every ${words} has as many pairs as it may have`,
    hint: `Enrol another ${words}, move or remove pairs, or raise SECONDSITE_PAIRS_PER_TARGET of the configuration server.`,
  };
}
