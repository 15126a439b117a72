// SPDX-License-Identifier: Apache-2.0
import { listPointsOperation, type PairPoints, type PointRequest, type PointSelection, resolvePointOperation } from '@secondsite/contracts';
import type { MessageBus } from '@secondsite/messaging';
import { commonPoints } from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import { isoFromMicros, parsePointInTime, type TimeMicros } from '@secondsite/units';
import type { PairRow } from '../read-models/directory';

/** A point that cannot be served, and the nearest that can. */
export interface Refusal {
  readonly outcome: 'refused';
  readonly reason: 'before-retention' | 'after-newest' | 'not-green' | 'no-such-bookmark' | 'nothing-recoverable' | 'inside-folded-set';
  readonly detail: string;
  readonly nearestBefore?: string | undefined;
  readonly nearestAfter?: string | undefined;
  readonly pairId: string;
}

export interface FoundPoint {
  readonly outcome: 'found';
  /** Time of each pair's view; equal for all unless a bookmark cut several hosts one after the other. */
  readonly times: ReadonlyMap<string, string>;
}

/** Reads a time as users write it. Throws RefusedRequest `point/unreadable-time`. */
export function readTime(text: string, now: TimeMicros): string {
  const time = parsePointInTime(text, now);
  if (time !== undefined && Number.isSafeInteger(time) && time >= 0) return isoFromMicros(time);
  const hint = 'Write ISO 8601 such as 2026-11-21T22:50:32.000001Z, or a span before now such as -90s.';
  throw new RefusedRequest({ status: 400, code: 'point/unreadable-time', detail: `${text.slice(0, 64)} is no time`, hint });
}

/** Points of pairs from the master targets that hold them. Throws OperationError `bus/…` when one does not answer. */
export async function fetchPoints(bus: MessageBus, { pairs, from, to }: { readonly pairs: readonly PairRow[]; readonly from?: string; readonly to?: string }): Promise<PairPoints[]> {
  const limits = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  const replies = await Promise.all(
    [...byMasterTarget(pairs)].map(([componentId, own]) =>
      bus.request(listPointsOperation, { componentId }, { pairIds: own.map((pair) => pair.pairId), ...limits }),
    ),
  );
  return replies.flatMap((reply) => reply.pairs);
}

/** The point that all pairs can serve, or why one cannot. */
export async function resolvePoint(bus: MessageBus, { pairs, point, holdSeconds }: { readonly pairs: readonly PairRow[]; readonly point: PointSelection; readonly holdSeconds?: number }): Promise<FoundPoint | Refusal> {
  const groups = [...byMasterTarget(pairs)];
  const selection = point.kind === 'latest' && groups.length > 1 ? await latestCommon(bus, pairs) : point;
  if (selection.kind === 'refused') return selection.refusal;
  const times = new Map<string, string>();
  for (const [componentId, own] of groups) {
    const reply = await bus.request(resolvePointOperation, { componentId }, { pairIds: own.map((pair) => pair.pairId), point: selection, ...(holdSeconds !== undefined && { holdSeconds }) });
    if (reply.outcome === 'refused') return { ...reply, pairId: (own[0] as PairRow).pairId };
    for (const pair of own) times.set(pair.pairId, reply.time);
  }
  return { outcome: 'found', times };
}

/** What the user asked for, with times made exact. */
export function pointSelection(point: PointRequest, now: TimeMicros): PointSelection {
  return point.kind === 'at' ? { kind: 'at', time: readTime(point.time, now) } : point;
}

async function latestCommon(bus: MessageBus, pairs: readonly PairRow[]): Promise<PointSelection | { readonly kind: 'refused'; readonly refusal: Refusal }> {
  const { latest } = commonPoints(await fetchPoints(bus, { pairs }));
  if (latest !== undefined) return { kind: 'at', time: latest };
  const detail = 'the volumes have no recovery point in common yet';
  return { kind: 'refused', refusal: { outcome: 'refused', reason: 'nothing-recoverable', detail, pairId: (pairs[0] as PairRow).pairId } };
}

function byMasterTarget(pairs: readonly PairRow[]): Map<string, PairRow[]> {
  return Map.groupBy(pairs, (pair) => pair.masterTargetId);
}
