// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { isoFromMicros } from '@secondsite/units';
import fc from 'fast-check';
import { commonPoints, type Points } from './common-points';

const at = (second: number): string => isoFromMicros(second * 1e6);
const volume = (...ranges: (readonly [number, number, boolean])[]): Points => ({
  ranges: ranges.map(([from, to, green]) => ({ from: at(from), to: at(to), green })), bookmarks: [],
});

describe('common recovery points', () => {
  it('of volumes are where all of them have one, green where all are green', () => {
    const common = commonPoints([volume([0, 10, true], [20, 30, true]), volume([5, 25, true]), volume([0, 22, true], [22, 40, false])]);
    expect(common.ranges).toEqual(volume([5, 10, true], [20, 22, true], [22, 25, false]).ranges);
    expect(common.latest).toBe(at(22));
  });

  it('include bookmarks that lie in every volume, and only those', () => {
    const bookmark = (bookmarkId: string) => ({ bookmarkId, name: bookmarkId, level: 'user' as const, time: at(50) });
    const common = commonPoints([{ ...volume(), bookmarks: [bookmark('a'), bookmark('b')] }, { ...volume([0, 1, true]), bookmarks: [bookmark('b')] }]);
    expect(common).toEqual({ ranges: [], bookmarks: [bookmark('b')], latest: at(50) });
  });

  it('include a bookmark that cut the volumes at times of their own, with the newest; but that is no time to go to', () => {
    const cutAt = (second: number) => ({ bookmarkId: 'a', name: 'a', level: 'user' as const, time: at(second) });
    const volumes = [{ ...volume([0, 9, true]), bookmarks: [cutAt(50)] }, { ...volume([0, 8, true]), bookmarks: [cutAt(70)] }];
    expect(commonPoints(volumes)).toMatchObject({ bookmarks: [cutAt(70)], latest: at(8) });
  });

  it('of nothing are none', () => {
    expect(commonPoints([])).toEqual({ ranges: [], bookmarks: [] });
  });

  it('contain a second exactly when a green range of every volume does', () => {
    const sorted = fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { maxLength: 10 }).map((cuts) => {
      const times = [...cuts].sort((left, right) => left - right);
      const pairs: [number, number, boolean][] = [];
      for (let index = 0; index + 1 < times.length; index += 2) pairs.push([times[index] as number, times[index + 1] as number, true]);
      return volume(...pairs);
    });
    const covers = (points: Points, second: number): boolean => points.ranges.some((range) => range.from <= at(second) && at(second) <= range.to);
    fc.assert(
      fc.property(fc.array(sorted, { minLength: 1, maxLength: 4 }), fc.integer({ min: 0, max: 60 }), (volumes, second) => {
        expect(covers(commonPoints(volumes), second)).toBe(volumes.every((one) => covers(one, second)));
      }),
    );
  });
});
