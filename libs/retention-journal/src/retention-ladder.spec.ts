// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RecoveryPoints } from './recovery-points';
import { droppedTimes, fullDetailMicros, type KeepRule, keptPoints, type RetentionLimits } from './retention-ladder';
import type { Bookmark } from './stream-state';
import type { Span } from './timeline';

const END = 600;

/** Ladders whose rules last at least one period, as the contract demands. */
const ladder = fc
  .array(fc.record({ kind: fc.constantFrom('all', 'periodic', 'bookmarks'), lasts: fc.integer({ min: 1, max: 200 }), every: fc.integer({ min: 1, max: 80 }), users: fc.boolean() }), { minLength: 1, maxLength: 5 })
  .map((steps) => {
    let until = 0;
    return steps.map(({ kind, lasts, every, users }): KeepRule => {
      until += kind === 'periodic' ? Math.max(lasts, every) : lasts;
      const bookmarks = users ? (['user'] as const) : 'every';
      if (kind === 'periodic') return { keep: 'periodic', untilMicros: until, everyMicros: every, bookmarks };
      return kind === 'all' ? { keep: 'all', untilMicros: until } : { keep: 'bookmarks', untilMicros: until, bookmarks };
    });
  });

const stream = fc.record({
  gaps: fc.array(fc.record({ from: fc.integer({ min: 1, max: END }), length: fc.integer({ min: 1, max: 60 }) }), { maxLength: 4 }),
  marks: fc.uniqueArray(fc.integer({ min: 0, max: END }), { maxLength: 20 }),
});

interface Stream {
  readonly offered: boolean[];
  readonly bookmarks: Bookmark[];
}

function streamOf({ gaps, marks }: { gaps: readonly { from: number; length: number }[]; marks: number[] }): Stream {
  const offered = Array.from({ length: END + 1 }, (_, time) => time === END || !gaps.some(({ from, length }) => time >= from && time < from + length));
  const bookmarks = marks.sort((left, right) => left - right).map((time) => ({ bookmarkId: `${time}`, name: `${time}`, level: time % 2 === 0 ? ('user' as const) : ('crash' as const), time }));
  return { offered, bookmarks };
}

/** What is known of the stream at `now`. */
function pointsAt({ offered, bookmarks }: Stream, now: number): RecoveryPoints {
  const spans: Span[] = [];
  for (let time = 0; time <= now; time++) {
    if (!offered[time]) continue;
    if (time > 0 && offered[time - 1]) spans[spans.length - 1] = { ...(spans.at(-1) as Span), to: time };
    else spans.push({ from: time, to: time, gapBefore: time === 0 ? 'retention' : 'resync' });
  }
  return RecoveryPoints.of({ spans, bookmarks: bookmarks.filter(({ time }) => time <= now), coveredTime: now });
}

/** The rules in the words of their definition, instant by instant. */
function naive({ offered, bookmarks }: Stream, { now, rules, pins = [] }: { now: number; rules: readonly KeepRule[]; pins?: readonly number[] }): number[] {
  let left = offered.flatMap((is, time) => (is && time <= now ? [time] : []));
  const kept = new Set([...left.slice(-1), ...pins.filter((time) => left.includes(time))]);
  let younger = -1;
  for (const rule of rules) {
    const survivors = left;
    const named = rule.keep === 'all' ? [] : bookmarks.filter(({ level }) => rule.bookmarks === 'every' || rule.bookmarks.includes(level)).map(({ time }) => time);
    const isFirst = (time: number, every: number): boolean => survivors.find((other) => Math.floor(other / every) === Math.floor(time / every)) === time;
    left = survivors.filter((time) => rule.keep === 'all' || named.includes(time) || (rule.keep === 'periodic' && isFirst(time, rule.everyMicros)));
    for (const time of left) if (now - time > younger && now - time <= rule.untilMicros) kept.add(time);
    younger = rule.untilMicros;
  }
  return [...kept].sort((one, other) => one - other);
}

function instantsOf(points: RecoveryPoints): number[] {
  return points.spans.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index));
}

function limitsOf(rules: readonly KeepRule[], pins: readonly number[] = []): RetentionLimits {
  return { windowMicros: (rules.at(-1) as KeepRule).untilMicros, rules, pins };
}

describe('a retention ladder', () => {
  it('keeps exactly the instants that its rules name, bookmarks and pins included', () => {
    fc.assert(
      fc.property(stream, ladder, fc.array(fc.integer({ min: 0, max: END }), { maxLength: 3 }), fc.integer({ min: 0, max: END }), (shape, rules, pins, now) => {
        const source = streamOf(shape);
        expect(instantsOf(keptPoints(pointsAt(source, now), limitsOf(rules, pins)))).toEqual(naive(source, { now, rules, pins }));
      }),
      { numRuns: 150 },
    );
  });

  it('keeps the same whether or not what it dropped was merged before', () => {
    fc.assert(
      fc.property(stream, ladder, fc.array(fc.integer({ min: 0, max: END }), { minLength: 1, maxLength: 6 }), (shape, rules, moments) => {
        // The newest point stays whatever its rule says; while it is one of those that all stay, that changes nothing.
        fc.pre(rules[0]?.keep === 'all');
        const source = streamOf(shape);
        let there = new Set<number>(source.offered.keys());
        for (const now of [...moments.filter((time) => source.offered[time]).sort((left, right) => left - right), END]) {
          const known = { ...source, offered: source.offered.map((is, time) => is && (there.has(time) || time > now)) };
          const kept = instantsOf(keptPoints(pointsAt(known, now), limitsOf(rules)));
          const untouched = instantsOf(keptPoints(pointsAt(source, now), limitsOf(rules)));
          expect(kept).toEqual(untouched);
          there = new Set([...kept, ...[...source.offered.keys()].filter((time) => time > now)]);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('drops, compared with another, exactly the instants that only the other keeps', () => {
    fc.assert(
      fc.property(stream, ladder, ladder, (shape, rules, others) => {
        const points = pointsAt(streamOf(shape), END);
        const [before, after] = [keptPoints(points, limitsOf(rules)), keptPoints(points, limitsOf(others))];
        const dropped = droppedTimes(before, after).flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index));
        expect(dropped).toEqual(instantsOf(before).filter((time) => !after.isOffered(time)));
      }),
      { numRuns: 100 },
    );
  });

  it('says why an instant between kept points is not offered, and which are nearest', () => {
    const rules: KeepRule[] = [{ keep: 'all', untilMicros: 100 }, { keep: 'periodic', untilMicros: 400, everyMicros: 50, bookmarks: 'every' }];
    const points = keptPoints(pointsAt(streamOf({ gaps: [{ from: 560, length: 5 }], marks: [] }), END), limitsOf(rules));
    expect(points.resolve({ kind: 'time', time: 260 })).toEqual({ ok: false, reason: 'between-kept-points', nearestBefore: 250, nearestAfter: 300 });
    expect(points.resolve({ kind: 'time', time: 562 })).toMatchObject({ ok: false, reason: 'resynchronising' });
    expect(points.resolve({ kind: 'time', time: 150 })).toEqual({ ok: false, reason: 'before-earliest', nearestAfter: 200 });
    expect(points.resolve({ kind: 'time', time: 250 })).toEqual({ ok: true, time: 250 });
  });

  it('has every instant up to the end of its first rules that keep all', () => {
    expect(fullDetailMicros({ windowMicros: 50 })).toBe(50);
    expect(fullDetailMicros(limitsOf([{ keep: 'all', untilMicros: 10 }, { keep: 'all', untilMicros: 20 }, { keep: 'bookmarks', untilMicros: 30, bookmarks: 'every' }]))).toBe(20);
    expect(fullDetailMicros(limitsOf([{ keep: 'periodic', untilMicros: 10, everyMicros: 5, bookmarks: 'every' }]))).toBe(0);
  });
});
