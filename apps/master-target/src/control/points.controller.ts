// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { listPointsOperation, type PairRetentionPreview, type PointSelection, previewRetentionOperation, type ReplyInputOf, type RequestOf, resolvePointOperation } from '@secondsite/contracts';
import type { Bookmark, PointRequest } from '@secondsite/retention-journal';
import { Answers } from '@secondsite/service-kit';
import { isoFromMicros, type TimeMicros } from '@secondsite/units';
import { DataPlane } from '../data-plane/data-plane';
import type { RetentionPreview } from '../pair/pair-thread';
import { retentionLimits } from '../target/retention-limits';
import { timeOf } from './time-of';
import { pointRefusal } from './point-refusal';

type PairPoints = ReplyInputOf<typeof listPointsOperation>['pairs'][number];

/** Which instants can be recovered. */
@Controller()
export class PointsController {
  constructor(private readonly dataPlane: DataPlane) {}

  @Answers(listPointsOperation)
  async list({ pairIds, from, to }: RequestOf<typeof listPointsOperation>): Promise<{ pairs: PairPoints[] }> {
    const range = { ...(from !== undefined && { from: timeOf(from) }), ...(to !== undefined && { to: timeOf(to) }) };
    return { pairs: await Promise.all(pairIds.map((pairId) => this.#pointsOf(pairId, range))) };
  }

  @Answers(previewRetentionOperation)
  async preview({ pairIds, retention }: RequestOf<typeof previewRetentionOperation>): Promise<ReplyInputOf<typeof previewRetentionOperation>> {
    const limits = retentionLimits(retention);
    return { pairs: await Promise.all(pairIds.map(async (pairId) => previewOf(pairId, await this.dataPlane.server.previewRetention(pairId, limits)))) };
  }

  @Answers(resolvePointOperation)
  async resolve({ pairIds, point, holdSeconds }: RequestOf<typeof resolvePointOperation>): Promise<ReplyInputOf<typeof resolvePointOperation>> {
    const { server } = this.dataPlane;
    const resolved = await server.resolve(pairIds, requestOf(point));
    if (!resolved.ok) return pointRefusal(resolved);
    if (holdSeconds !== undefined && !(await server.hold(pairIds, { time: resolved.time, micros: holdSeconds * 1e6 }))) {
      return pointRefusal({ ok: false, reason: 'before-earliest' });
    }
    return { outcome: 'found', time: isoFromMicros(resolved.time), ...(resolved.bookmark && { bookmark: bookmarkOf(resolved.bookmark) }) };
  }

  async #pointsOf(pairId: string, range: { readonly from?: TimeMicros; readonly to?: TimeMicros }): Promise<PairPoints> {
    const points = await this.dataPlane.server.points(pairId, range);
    return {
      pairId,
      ranges: points.ranges.map(({ from, to, green }) => ({ from: isoFromMicros(from), to: isoFromMicros(to), green })),
      bookmarks: points.bookmarks.filter((bookmark) => bookmark.recoverable).map(bookmarkOf),
      ...(points.latest !== undefined && { latest: isoFromMicros(points.latest) }),
      ...(points.localFrom > 0 && { localFrom: isoFromMicros(points.localFrom) }),
    };
  }
}

function requestOf(point: PointSelection): PointRequest {
  if (point.kind === 'at') return { kind: 'time', time: timeOf(point.time) };
  return point.kind === 'latest' ? { kind: 'latest' } : { kind: 'bookmark', nameOrId: point.name };
}

const DROPPED_MAX = 200;

function previewOf(pairId: string, { earliestNow, earliestThen, dropped, droppedBookmarks, freedBytes }: RetentionPreview): PairRetentionPreview {
  return {
    pairId, freedBytes,
    dropped: dropped.slice(-DROPPED_MAX).map(({ from, to }) => ({ from: isoFromMicros(from), to: isoFromMicros(to) })),
    droppedBookmarks: droppedBookmarks.map(({ name, level, time }) => ({ name, level, time: isoFromMicros(time) })),
    ...(earliestNow !== undefined && { earliestNow: isoFromMicros(earliestNow) }),
    ...(earliestThen !== undefined && { earliestThen: isoFromMicros(earliestThen) }),
  };
}

function bookmarkOf({ bookmarkId, name, level, time, hosts }: Bookmark) {
  return { bookmarkId, name, level, time: isoFromMicros(time), ...(hosts === undefined ? {} : { hosts }) };
}
