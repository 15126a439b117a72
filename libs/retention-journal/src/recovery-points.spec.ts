// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { RecoveryPoints } from './recovery-points';
import { initialStreamState, type SetFacts, type TimelineStep } from './stream-state';
import { Timeline } from './timeline';

function facts(sequence: number, times: readonly [number, number], more: { coarse?: boolean; steps?: TimelineStep[] } = {}): SetFacts {
  return { epoch: 1, sequence, firstTime: times[0], lastTime: times[1], coarse: more.coarse ?? false, steps: more.steps ?? [] };
}

function pointsOf(...sets: SetFacts[]): RecoveryPoints {
  const timeline = new Timeline(initialStreamState);
  for (const set of sets) timeline.observe(set);
  return RecoveryPoints.ofVolume([timeline]);
}

const green = (at: number): TimelineStep => ({ kind: 'green', at });
const broken = (at: number): TimelineStep => ({ kind: 'broken', at });
const bookmark = (bookmarkId: string, time: number): TimelineStep => ({ kind: 'bookmark', bookmarkId, name: bookmarkId, level: 'user', time });

describe('recovery points', () => {
  it('offer nothing before the baseline is complete', () => {
    expect(pointsOf(facts(1, [10, 20])).resolve({ kind: 'latest' })).toEqual({ ok: false, reason: 'no-points-yet' });
  });

  it('refuse a time with the reason and the nearest points', () => {
    const points = pointsOf(facts(1, [10, 20], { steps: [green(15)] }), facts(2, [30, 40], { steps: [broken(32)] }), facts(3, [50, 60], { steps: [green(55)] }));
    expect(points.resolve({ kind: 'time', time: 32 })).toEqual({ ok: true, time: 32 });
    expect(points.resolve({ kind: 'time', time: 14 })).toEqual({ ok: false, reason: 'before-earliest', nearestAfter: 15 });
    expect(points.resolve({ kind: 'time', time: 40 })).toEqual({ ok: false, reason: 'resynchronising', nearestBefore: 32, nearestAfter: 55 });
    expect(points.resolve({ kind: 'time', time: 61 })).toEqual({ ok: false, reason: 'after-latest', nearestBefore: 60 });
    expect(points.resolve({ kind: 'latest' })).toEqual({ ok: true, time: 60 });
  });

  it('offer of a folded set only its end', () => {
    const points = pointsOf(facts(1, [10, 20], { steps: [green(10)] }), facts(2, [30, 40], { coarse: true }), facts(3, [50, 60]));
    expect([20, 25, 35, 40, 45, 60].map((time) => points.isOffered(time))).toEqual([true, false, false, true, true, true]);
    expect(points.resolve({ kind: 'time', time: 35 })).toEqual({ ok: false, reason: 'inside-folded-set', nearestBefore: 20, nearestAfter: 40 });
  });

  it('find bookmarks by name, the latest, and the one before a time; not one made while resynchronising', () => {
    const steps = [green(10), bookmark('a', 12), bookmark('b', 18)];
    const points = pointsOf(facts(1, [10, 20], { steps }), facts(2, [30, 40], { steps: [broken(30), bookmark('lost', 35)] }));
    expect(points.resolve({ kind: 'bookmark', nameOrId: 'a' })).toMatchObject({ ok: true, time: 12 });
    expect(points.resolve({ kind: 'latest-bookmark' })).toMatchObject({ ok: true, time: 18 });
    expect(points.resolve({ kind: 'bookmark-at-or-before', time: 17 })).toMatchObject({ ok: true, time: 12 });
    expect(points.resolve({ kind: 'bookmark', nameOrId: 'lost' })).toMatchObject({ ok: false, reason: 'bookmark-not-recoverable', nearestBefore: 30 });
    expect(points.resolve({ kind: 'bookmark', nameOrId: 'never' })).toEqual({ ok: false, reason: 'bookmark-unknown' });
  });

  it('common to several volumes are exact on all of them', () => {
    const one = pointsOf(facts(1, [10, 50], { steps: [green(10), bookmark('all', 20), bookmark('one', 25)] }));
    const other = pointsOf(facts(1, [15, 40], { steps: [green(15), bookmark('all', 20)] }));
    const common = RecoveryPoints.common([one, other]);
    expect(common.spans).toMatchObject([{ from: 15, to: 40 }]);
    expect(common.resolve({ kind: 'latest' })).toEqual({ ok: true, time: 40 });
    expect(common.resolve({ kind: 'latest-bookmark' })).toMatchObject({ ok: true, time: 20 });
    expect(common.resolve({ kind: 'time', time: 12 })).toEqual({ ok: false, reason: 'before-earliest', nearestAfter: 15 });
    expect(common.resolve({ kind: 'time', time: 45 })).toMatchObject({ ok: false, reason: 'after-latest', nearestBefore: 40 });
  });
});
