// SPDX-License-Identifier: Apache-2.0
// Which instants can be recovered to, and why others cannot (F24). Pure; works on the timelines of one volume's segments or on the common
// part of several volumes.
import type { TimeMicros } from '@secondsite/units';
import type { Bookmark } from './stream-state';
import type { GapReason, Span, TimelineRecord } from './timeline';

export type PointRequest =
  | { readonly kind: 'latest' }
  /** Exactly this instant. */
  | { readonly kind: 'time'; readonly time: TimeMicros }
  /** By id, or the newest of that name. */
  | { readonly kind: 'bookmark'; readonly nameOrId: string }
  | { readonly kind: 'latest-bookmark' }
  | { readonly kind: 'bookmark-at-or-before'; readonly time: TimeMicros };

export type PointRefusalReason =
  | 'no-points-yet'
  | 'before-earliest'
  | 'after-latest'
  | 'resynchronising'
  | 'inside-folded-set'
  | 'between-kept-points'
  | 'bookmark-unknown'
  | 'bookmark-not-recoverable';

export type ResolvedPoint =
  | { readonly ok: true; readonly time: TimeMicros; readonly bookmark?: Bookmark }
  | {
      readonly ok: false;
      readonly reason: PointRefusalReason;
      readonly nearestBefore?: TimeMicros;
      readonly nearestAfter?: TimeMicros;
    };

export interface PointRange {
  readonly from: TimeMicros;
  readonly to: TimeMicros;
  /** True: every instant from `from` to `to` is exact. False: none strictly between them is offered. */
  readonly green: boolean;
  readonly reason?: GapReason;
}

export interface OfferedBookmark extends Bookmark {
  readonly recoverable: boolean;
}

/** Instants and bookmarks of one volume, or common to several. `coveredTime`: how far the stream was applied. */
export class RecoveryPoints {
  readonly spans: readonly Span[];
  readonly bookmarks: readonly Bookmark[];
  readonly coveredTime: TimeMicros;

  private constructor(parts: { spans: readonly Span[]; bookmarks: readonly Bookmark[]; coveredTime: TimeMicros }) {
    this.spans = parts.spans;
    this.bookmarks = parts.bookmarks;
    this.coveredTime = parts.coveredTime;
  }

  /** Points of one volume from its segments' timelines, oldest first. */
  static ofVolume(timelines: readonly TimelineRecord[]): RecoveryPoints {
    const spans: Span[] = [];
    for (const timeline of timelines) {
      for (const span of timeline.spans) {
        const last = spans.at(-1);
        if (last && span.from <= last.to) spans[spans.length - 1] = { ...last, to: Math.max(last.to, span.to) };
        else spans.push(span);
      }
    }
    return new RecoveryPoints({ spans, bookmarks: timelines.flatMap((timeline) => timeline.bookmarks), coveredTime: timelines.at(-1)?.end.lastTime ?? 0 });
  }

  /** Points that crossed a thread boundary. */
  static of(parts: { readonly spans: readonly Span[]; readonly bookmarks: readonly Bookmark[]; readonly coveredTime: TimeMicros }): RecoveryPoints {
    return new RecoveryPoints(parts);
  }

  /** Instants exact on every volume, and bookmarks that cut all of them. */
  static common(volumes: readonly RecoveryPoints[]): RecoveryPoints {
    const [first, ...others] = volumes;
    if (!first) return new RecoveryPoints({ spans: [], bookmarks: [], coveredTime: 0 });
    return others.reduce((shared, volume) => {
      const ids = new Set(volume.bookmarks.filter((bookmark) => volume.isOffered(bookmark.time)).map((bookmark) => bookmark.bookmarkId));
      return new RecoveryPoints({
        spans: intersect(shared.spans, volume.spans),
        bookmarks: shared.bookmarks.filter((bookmark) => ids.has(bookmark.bookmarkId)),
        coveredTime: Math.min(shared.coveredTime, volume.coveredTime),
      });
    }, first);
  }

  get earliest(): TimeMicros | undefined {
    return this.spans[0]?.from;
  }

  get latest(): TimeMicros | undefined {
    return this.spans.at(-1)?.to;
  }

  isOffered(time: TimeMicros): boolean {
    const span = this.spans[this.#spanAtOrBefore(time)];
    return span !== undefined && time <= span.to;
  }

  /** Ranges in order, offered and not, clipped to the asked time; at most `limit` of the newest. */
  ranges({ from = 0, to = Infinity, limit = 1000 }: { readonly from?: TimeMicros; readonly to?: TimeMicros; readonly limit?: number } = {}): PointRange[] {
    const ranges: PointRange[] = [];
    for (const [index, span] of this.spans.entries()) {
      const previous = this.spans[index - 1];
      if (previous) ranges.push({ from: previous.to, to: span.from, green: false, reason: span.gapBefore });
      ranges.push({ from: span.from, to: span.to, green: true });
    }
    const latest = this.latest;
    if (latest !== undefined && latest < this.coveredTime) ranges.push({ from: latest, to: this.coveredTime, green: false, reason: 'resync' });
    const inside = ranges.filter((range) => range.to >= from && range.from <= to);
    return inside.slice(-limit).map((range) => ({ ...range, from: Math.max(from, range.from), to: Math.min(to, range.to) }));
  }

  offeredBookmarks({ from = 0, to = Infinity }: { readonly from?: TimeMicros; readonly to?: TimeMicros } = {}): OfferedBookmark[] {
    const inside = this.bookmarks.filter((bookmark) => bookmark.time >= from && bookmark.time <= to);
    return inside.map((bookmark) => ({ ...bookmark, recoverable: this.isOffered(bookmark.time) }));
  }

  /** The point that a request means, or why there is none and which are nearest. */
  resolve(request: PointRequest): ResolvedPoint {
    const latest = this.latest;
    if (latest === undefined) return { ok: false, reason: 'no-points-yet' };
    switch (request.kind) {
      case 'latest':
        return { ok: true, time: latest };
      case 'time':
        return this.isOffered(request.time) ? { ok: true, time: request.time } : this.#refuse(request.time, this.#reasonAgainst(request.time));
      case 'bookmark':
        return this.#resolveNamed(request.nameOrId);
      case 'latest-bookmark':
        return this.#resolveBookmark(() => true, latest);
      case 'bookmark-at-or-before':
        return this.#resolveBookmark((bookmark) => bookmark.time <= request.time, request.time);
    }
  }

  #resolveNamed(nameOrId: string): ResolvedPoint {
    const named = this.bookmarks.filter((bookmark) => bookmark.bookmarkId === nameOrId || bookmark.name === nameOrId);
    const offered = named.filter((bookmark) => this.isOffered(bookmark.time)).at(-1);
    if (offered) return { ok: true, time: offered.time, bookmark: offered };
    const last = named.at(-1);
    return last ? this.#refuse(last.time, 'bookmark-not-recoverable') : { ok: false, reason: 'bookmark-unknown' };
  }

  #resolveBookmark(fits: (bookmark: Bookmark) => boolean, around: TimeMicros): ResolvedPoint {
    const bookmark = this.bookmarks.filter((candidate) => fits(candidate) && this.isOffered(candidate.time)).at(-1);
    return bookmark ? { ok: true, time: bookmark.time, bookmark } : this.#refuse(around, 'bookmark-unknown');
  }

  #reasonAgainst(time: TimeMicros): PointRefusalReason {
    if (time < (this.earliest as number)) return 'before-earliest';
    if (time > this.coveredTime) return 'after-latest';
    const next = this.spans[this.#spanAtOrBefore(time) + 1];
    if (next?.gapBefore === 'merged') return 'between-kept-points';
    return next?.gapBefore === 'folded' ? 'inside-folded-set' : 'resynchronising';
  }

  #refuse(time: TimeMicros, reason: PointRefusalReason): ResolvedPoint {
    const index = this.#spanAtOrBefore(time);
    const before = this.spans[index];
    const after = this.spans[index + 1];
    return {
      ok: false,
      reason,
      ...(before && { nearestBefore: Math.min(time, before.to) }),
      ...(after && { nearestAfter: after.from }),
    };
  }

  /** Index of the last span that begins at or before `time`; -1 when none does. */
  #spanAtOrBefore(time: TimeMicros): number {
    let low = 0;
    let high = this.spans.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.spans[middle] as Span).from <= time) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

function intersect(left: readonly Span[], right: readonly Span[]): Span[] {
  const shared: Span[] = [];
  let [leftIndex, rightIndex] = [0, 0];
  for (;;) {
    const one = left[leftIndex];
    const other = right[rightIndex];
    if (!one || !other) return shared;
    const from = Math.max(one.from, other.from);
    const to = Math.min(one.to, other.to);
    if (from <= to) shared.push({ from, to, gapBefore: one.from > other.from ? one.gapBefore : other.gapBefore });
    if (one.to < other.to) leftIndex++;
    else rightIndex++;
  }
}
