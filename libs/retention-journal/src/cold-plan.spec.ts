// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { coldDue } from './cold-plan';
import type { RetentionLimits } from './retention-ladder';

const HOUR = 3600e6;
const policy = { afterMicros: 24 * HOUR, aboveShare: 0.5 };
const week: RetentionLimits = { windowMicros: 168 * HOUR };

/** One segment of 100 bytes per hour, the oldest first; the newest ends at hour `count`. */
function hourly(count: number, change: Partial<{ merged: boolean; cold: boolean }> = {}) {
  return Array.from({ length: count }, (_, index) => ({ sealed: index < count - 1, merged: false, cold: false, lastTime: (index + 1) * HOUR, storedBytes: 100, ...change }));
}

function dueHours(segments: ReturnType<typeof hourly>, limits: RetentionLimits, localBytes = 0): number[] {
  return coldDue(segments, { limits, policy, appliedTime: segments.length * HOUR, localBytes }).map(({ lastTime }) => lastTime / HOUR);
}

describe('what goes to the cold store', () => {
  it('is old enough, oldest first, and neither cold already nor the newest', () => {
    expect(dueHours(hourly(26), week)).toEqual([1, 2]);
    expect(dueHours(hourly(24), week)).toEqual([]);
    expect(dueHours(hourly(26, { cold: true }), week)).toEqual([]);
    expect(coldDue(hourly(26), { limits: week, policy: { ...policy, afterMicros: 0 }, appliedTime: 26 * HOUR, localBytes: 0 })).toHaveLength(25);
  });

  it('waits with a ladder until it was merged', () => {
    const ladder: RetentionLimits = { ...week, rules: [{ keep: 'all', untilMicros: 24 * HOUR }, { keep: 'periodic', untilMicros: 168 * HOUR, everyMicros: 4 * HOUR, bookmarks: 'every' }] };
    expect(dueHours(hourly(26), ladder)).toEqual([]);
    expect(dueHours(hourly(26, { merged: true }), ladder)).toEqual([1, 2]);
  });

  it('is of any age, as much as the share of the space is exceeded by', () => {
    expect(dueHours(hourly(10), { ...week, spaceBytes: 1000 }, 750)).toEqual([1, 2, 3]);
    expect(dueHours(hourly(10), { ...week, spaceBytes: 1000 }, 500)).toEqual([]);
  });
});
