// SPDX-License-Identifier: Apache-2.0
// Which recovery points retention keeps (F23). Pure. A ladder is a list of rules, each for the points up to some age; ages count back from the
// newest applied instant. What a rule keeps it chooses from what the rules before it kept, and it chooses inside fixed periods of the
// calendar (UTC), not by the age at the moment: so the kept points do not depend on when somebody looked, and a kept point stays kept.
import type { ByteCount, TimeMicros } from '@secondsite/units';
import { RecoveryPoints } from './recovery-points';
import type { Span } from './timeline';

export type KeepRule =
  /** Every instant. */
  | { readonly keep: 'all'; readonly untilMicros: TimeMicros }
  /** The first instant of each period and, by level, bookmarks. A rule lasts at least one period. */
  | { readonly keep: 'periodic'; readonly untilMicros: TimeMicros; readonly everyMicros: TimeMicros; readonly bookmarks: BookmarkChoice }
  /** Bookmarks only. */
  | { readonly keep: 'bookmarks'; readonly untilMicros: TimeMicros; readonly bookmarks: BookmarkChoice };

/** All of them, or those of some levels. */
export type BookmarkChoice = 'every' | readonly string[];

export interface RetentionLimits {
  /** Points older than the newest by more than this are dropped, whatever the rules say. */
  readonly windowMicros: TimeMicros;
  /** The oldest points go when the journal is larger; undefined: no limit. */
  readonly spaceBytes?: ByteCount;
  /** In ascending order of `untilMicros`; default: every instant of the window. */
  readonly rules?: readonly KeepRule[];
  /** Instants that stay although rules and window drop them. */
  readonly pins?: readonly TimeMicros[];
}

/** Age up to which every instant is kept: younger undo is never merged. */
export function fullDetailMicros({ rules, windowMicros }: RetentionLimits): TimeMicros {
  if (rules === undefined) return windowMicros;
  const first = rules.findIndex(({ keep }) => keep !== 'all');
  return Math.min(windowMicros, rules[first < 0 ? rules.length - 1 : first - 1]?.untilMicros ?? 0);
}

/**
 * The points that stay of those that the journal has. The newest always stays, so that a long resynchronisation leaves one to go back to.
 * Before `spaceFloor` only pins stay: the others had to go because space ran out.
 */
export function keptPoints(points: RecoveryPoints, limits: RetentionLimits, spaceFloor: TimeMicros = 0): RecoveryPoints {
  const { latest } = points;
  if (latest === undefined) return points;
  const pins = (limits.pins ?? []).filter((time) => points.isOffered(time));
  const kept = joined([...clipped(spansByAge(points, limits), { from: spaceFloor, to: Infinity }), ...[latest, ...pins].map(instant)]);
  return RecoveryPoints.of({ spans: withReasons(kept, points.spans), bookmarks: points.bookmarks, coveredTime: points.coveredTime });
}

/** Times that `before` offers and `after` does not, in order. */
export function droppedTimes(before: RecoveryPoints, after: RecoveryPoints): Stretch[] {
  const dropped: Stretch[] = [];
  for (const { from, to } of before.spans) {
    let at = from;
    for (const kept of after.spans.slice(Math.max(0, lastAtOrBefore(after.spans, from)))) {
      if (kept.from > to) break;
      if (kept.from > at) dropped.push({ from: at, to: kept.from - 1 });
      at = Math.max(at, kept.to + 1);
    }
    if (at <= to) dropped.push({ from: at, to });
  }
  return dropped;
}

/** A run of instants, both ends included. */
export interface Stretch {
  readonly from: TimeMicros;
  readonly to: TimeMicros;
}

function instant(time: TimeMicros): Stretch {
  return { from: time, to: time };
}

/** What each rule leaves of the points of its age, unsorted. */
function spansByAge(points: RecoveryPoints, { rules = [], windowMicros }: RetentionLimits): Stretch[] {
  const now = points.coveredTime;
  const kept: Stretch[] = [];
  let left: readonly Stretch[] = points.spans;
  let younger = 0;
  for (const rule of rules.length > 0 ? rules : [{ keep: 'all' as const, untilMicros: windowMicros }]) {
    const until = Math.min(rule.untilMicros, windowMicros);
    if (until <= younger) break;
    // What is older than the rule may still be the first of a period, so only what is younger is left out.
    const newest = younger === 0 ? Infinity : now - younger - 1;
    left = select(clipped(left, { from: 0, to: newest }), { rule, points });
    kept.push(...clipped(left, { from: now - until, to: newest }));
    younger = until;
  }
  return kept;
}

function select(left: Stretch[], { rule, points }: { rule: KeepRule; points: RecoveryPoints }): Stretch[] {
  if (rule.keep === 'all') return left;
  const { bookmarks } = rule;
  const named = points.bookmarks.filter(({ level, time }) => (bookmarks === 'every' || bookmarks.includes(level)) && contains(left, time));
  const periodic = rule.keep === 'periodic' ? firstOfPeriods(left, rule.everyMicros) : [];
  return joined([...periodic, ...named.map(({ time }) => instant(time))]);
}

function firstOfPeriods(stretches: readonly Stretch[], everyMicros: TimeMicros): Stretch[] {
  const firsts: Stretch[] = [];
  let lastPeriod = -1;
  for (const { from, to } of stretches) {
    for (let time = from; time <= to; time = (Math.floor(time / everyMicros) + 1) * everyMicros) {
      const period = Math.floor(time / everyMicros);
      if (period > lastPeriod) firsts.push(instant(time));
      lastPeriod = period;
    }
  }
  return firsts;
}

function clipped(stretches: readonly Stretch[], { from, to }: Stretch): Stretch[] {
  const inside = stretches.filter((stretch) => stretch.to >= from && stretch.from <= to);
  return inside.map((stretch) => ({ from: Math.max(from, stretch.from), to: Math.min(to, stretch.to) }));
}

/** Index of the last of ascending stretches that begins at or before `time`; -1 when none does. */
function lastAtOrBefore(stretches: readonly Stretch[], time: TimeMicros): number {
  let low = 0;
  let high = stretches.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((stretches[middle] as Stretch).from <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function contains(stretches: readonly Stretch[], time: TimeMicros): boolean {
  const stretch = stretches[lastAtOrBefore(stretches, time)];
  return stretch !== undefined && time <= stretch.to;
}

/** In order, without overlaps and repeats. */
function joined(stretches: readonly Stretch[]): Stretch[] {
  const result: Stretch[] = [];
  for (const stretch of [...stretches].sort((left, right) => left.from - right.from)) {
    const last = result.at(-1);
    if (last && stretch.from <= last.to) result[result.length - 1] = { from: last.from, to: Math.max(last.to, stretch.to) };
    else result.push(stretch);
  }
  return result;
}

/** The gap before a kept span has the reason that it had, unless retention made or widened it. */
function withReasons(kept: readonly Stretch[], spans: readonly Span[]): Span[] {
  return kept.map(({ from, to }, index) => {
    const previous = kept[index - 1];
    const origin = lastAtOrBefore(spans, from);
    const before = spans[origin - 1];
    const isOriginal = spans[origin]?.from === from && before?.to === previous?.to;
    return { from, to, gapBefore: isOriginal ? (spans[origin] as Span).gapBefore : previous === undefined ? 'retention' : 'merged' };
  });
}
