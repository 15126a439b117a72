// SPDX-License-Identifier: Apache-2.0
import { listPointsOperation, type PairPoints, type PointRequest, type PointSelection, resolvePointOperation } from '@secondsite/contracts';
import type { MessageBus } from '@secondsite/messaging';
import { commonPoints } from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import { isoFromMicros, parsePointInTime, type TimeMicros } from '@secondsite/units';
import type { PairRow } from '../read-models/directory';
import type { BookmarkRecords } from './bookmark-records';

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
  /** Time of each pair's view; equal for all unless a bookmark cuts several hosts, each at a time of its own clock. */
  readonly times: ReadonlyMap<string, string>;
}

/** Where points are asked for, and which bookmarks count. */
export interface PointSources {
  readonly bus: MessageBus;
  readonly records: BookmarkRecords;
}

/** Reads a time as users write it. Throws RefusedRequest `point/unreadable-time`. */
export function readTime(text: string, now: TimeMicros): string {
  const time = parsePointInTime(text, now);
  if (time !== undefined && Number.isSafeInteger(time) && time >= 0) return isoFromMicros(time);
  const hint = 'Write ISO 8601 such as 2026-11-21T22:50:32.000001Z, or a span before now such as -90s.';
  throw new RefusedRequest({ status: 400, code: 'point/unreadable-time', detail: `${text.slice(0, 64)} is no time`, hint });
}

/** Points of pairs from the master targets that hold them. Throws OperationError `bus/…` when one does not answer. */
export async function fetchPoints({ bus, records }: PointSources, { pairs, from, to }: { readonly pairs: readonly PairRow[]; readonly from?: string; readonly to?: string }): Promise<PairPoints[]> {
  const limits = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  const replies = await Promise.all(
    [...byMasterTarget(pairs)].map(([componentId, own]) =>
      bus.request(listPointsOperation, { componentId }, { pairIds: own.map((pair) => pair.pairId), ...limits }),
    ),
  );
  return records.onlyRecorded(replies.flatMap((reply) => reply.pairs));
}

/** The point that all pairs can serve, or why one cannot. */
export async function resolvePoint(
  sources: PointSources,
  { pairs, point, holdSeconds }: { readonly pairs: readonly PairRow[]; readonly point: PointSelection; readonly holdSeconds?: number },
): Promise<FoundPoint | Refusal> {
  if (point.kind === 'bookmark') return resolveBookmark(sources, { pairs, point });
  const groups = [...byMasterTarget(pairs)];
  const selection = point.kind === 'latest' && groups.length > 1 ? await latestCommon(sources, pairs) : point;
  if (selection.kind === 'refused') return selection.refusal;
  const times = new Map<string, string>();
  for (const [componentId, own] of groups) {
    const hold = holdSeconds === undefined ? {} : { holdSeconds };
    const reply = await sources.bus.request(resolvePointOperation, { componentId }, { pairIds: own.map((pair) => pair.pairId), point: selection, ...hold });
    if (reply.outcome === 'refused') return { ...reply, pairId: (own[0] as PairRow).pairId };
    for (const pair of own) times.set(pair.pairId, reply.time);
  }
  return { outcome: 'found', times };
}

/** What the user asked for, with times made exact. */
export function pointSelection(point: PointRequest, now: TimeMicros): PointSelection {
  return point.kind === 'at' ? { kind: 'at', time: readTime(point.time, now) } : point;
}

/** The newest common bookmark of that name or id, each volume at its own cut. */
async function resolveBookmark(
  sources: PointSources, { pairs, point }: { readonly pairs: readonly PairRow[]; readonly point: PointSelection & { readonly kind: 'bookmark' } },
): Promise<FoundPoint | Refusal> {
  const points = await fetchPoints(sources, { pairs });
  const named = commonPoints(points).bookmarks.filter(({ bookmarkId, name }) => bookmarkId === point.name || name === point.name);
  const newest = named.toSorted((left, right) => (left.time < right.time ? -1 : 1)).at(-1);
  if (newest) return { outcome: 'found', times: bookmarkTimes(points, newest.bookmarkId) };
  return (await refusalOf(sources.bus, { pairs, point })) ?? notCommon(pairs);
}

function bookmarkTimes(points: readonly PairPoints[], bookmarkId: string): Map<string, string> {
  return new Map(points.flatMap(({ pairId, bookmarks }) => bookmarks.filter((one) => one.bookmarkId === bookmarkId).map(({ time }): [string, string] => [pairId, time])));
}

/** Why a master target does not offer it; undefined when each of them does. */
async function refusalOf(bus: MessageBus, { pairs, point }: { readonly pairs: readonly PairRow[]; readonly point: PointSelection }): Promise<Refusal | undefined> {
  for (const [componentId, own] of byMasterTarget(pairs)) {
    const reply = await bus.request(resolvePointOperation, { componentId }, { pairIds: own.map((pair) => pair.pairId), point });
    if (reply.outcome === 'refused') return { ...reply, pairId: (own[0] as PairRow).pairId };
  }
  return undefined;
}

function notCommon(pairs: readonly PairRow[]): Refusal {
  const detail = 'there is no such bookmark that cut all of these volumes';
  return { outcome: 'refused', reason: 'no-such-bookmark', detail, pairId: (pairs[0] as PairRow).pairId };
}

async function latestCommon(sources: PointSources, pairs: readonly PairRow[]): Promise<PointSelection | { readonly kind: 'refused'; readonly refusal: Refusal }> {
  const { latest } = commonPoints(await fetchPoints(sources, { pairs }));
  if (latest !== undefined) return { kind: 'at', time: latest };
  const detail = 'the volumes have no recovery point in common yet';
  return { kind: 'refused', refusal: { outcome: 'refused', reason: 'nothing-recoverable', detail, pairId: (pairs[0] as PairRow).pairId } };
}

function byMasterTarget(pairs: readonly PairRow[]): Map<string, PairRow[]> {
  return Map.groupBy(pairs, (pair) => pair.masterTargetId);
}
