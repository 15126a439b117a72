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
 * Points that all volumes have in common: the times covered by a range of every one (green where all are), bookmarks that lie in every one,
 * and the newest time of those.
 */
export function commonPoints(volumes: readonly Points[]): Points {
  const [first, ...others] = volumes;
  if (!first) return { ranges: [], bookmarks: [] };
  const ranges = others.reduce((common, volume) => intersect(common, volume.ranges.map(rangeOf)), first.ranges.map(rangeOf));
  const bookmarks = first.bookmarks.filter((bookmark) => others.every((volume) => volume.bookmarks.some((one) => one.bookmarkId === bookmark.bookmarkId)));
  const latest = latestOf(ranges, bookmarks.map((bookmark) => micros(bookmark.time)));
  const texts = ranges.map(({ from, to, green }) => ({ from: isoFromMicros(from), to: isoFromMicros(to), green }));
  return { ranges: texts, bookmarks, ...(latest === undefined ? {} : { latest: isoFromMicros(latest) }) };
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
