// SPDX-License-Identifier: Apache-2.0
import type { PairPoints } from '@secondsite/contracts';
import { isoFromMicros, microsFromIso, type TimeMicros } from '@secondsite/units';

export type Points = Omit<PairPoints, 'pairId'>;

interface Range {
  readonly from: TimeMicros;
  readonly to: TimeMicros;
  readonly green: boolean;
}

/**
 * Points that all volumes have in common: the times covered by a range of every one (green where all are), bookmarks that lie in every one
 * (each with its newest time), and the newest time of those. A bookmark that cut the volumes at different times, by the clocks of their hosts,
 * is a point but no time.
 */
export function commonPoints(volumes: readonly Points[]): Points {
  const [first, ...others] = volumes;
  if (!first) return { ranges: [], bookmarks: [] };
  const ranges = others.reduce((common, volume) => intersect(common, volume.ranges.map(rangeOf)), first.ranges.map(rangeOf));
  const cuts = commonCuts(first, others);
  const bookmarks = cuts.map(({ bookmark, times }) => ({ ...bookmark, time: isoFromMicros(Math.max(...times)) }));
  const latest = latestOf(ranges, cuts.flatMap(({ times }) => (new Set(times).size === 1 ? times.slice(0, 1) : [])));
  const texts = ranges.map(({ from, to, green }) => ({ from: isoFromMicros(from), to: isoFromMicros(to), green }));
  return { ranges: texts, bookmarks, ...(latest === undefined ? {} : { latest: isoFromMicros(latest) }) };
}

interface CommonCut {
  readonly bookmark: Points['bookmarks'][number];
  /** One per volume. */
  readonly times: readonly TimeMicros[];
}

function commonCuts(first: Points, others: readonly Points[]): CommonCut[] {
  const timesById = others.map((volume) => new Map(volume.bookmarks.map(({ bookmarkId, time }) => [bookmarkId, micros(time)])));
  return first.bookmarks.flatMap((bookmark) => {
    const times = timesById.map((byId) => byId.get(bookmark.bookmarkId)).filter((time) => time !== undefined);
    return times.length === others.length ? [{ bookmark, times: [micros(bookmark.time), ...times] }] : [];
  });
}

/** Both lists are in order and free of overlaps, and so is the result. */
function intersect(left: readonly Range[], right: readonly Range[]): Range[] {
  const common: Range[] = [];
  let at = 0;
  for (const range of left) {
    while ((right[at]?.to ?? Infinity) < range.from) at += 1;
    for (let other = at; other < right.length && (right[other] as Range).from <= range.to; other += 1) {
      const { from, to, green } = right[other] as Range;
      const shared = { from: Math.max(from, range.from), to: Math.min(to, range.to), green: green && range.green };
      // Where one ends and the next begins, only a point that is offered counts.
      if (shared.green || shared.from < shared.to) common.push(shared);
    }
  }
  return common;
}

function latestOf(ranges: readonly Range[], bookmarks: readonly TimeMicros[]): TimeMicros | undefined {
  const times = [...ranges.filter((range) => range.green).map((range) => range.to), ...bookmarks];
  return times.length === 0 ? undefined : Math.max(...times);
}

function rangeOf({ from, to, green }: Points['ranges'][number]): Range {
  return { from: micros(from), to: micros(to), green };
}

function micros(text: string): TimeMicros {
  const time = microsFromIso(text);
  if (time === undefined) throw new RangeError(`${text} is not a time`);
  return time;
}
