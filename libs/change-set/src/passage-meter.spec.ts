// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { PassageMeter } from './passage-meter';

const second = 1_000_000;

describe('a passage meter', () => {
  it('tells the mean stay of the sets that left, and their bytes per second', () => {
    const meter = new PassageMeter(0);
    for (let at = 1; at <= 4; at++) meter.left(at * second, { micros: at * 100_000, bytes: 1000 });
    expect(meter.reading(4 * second)).toEqual({ seconds: 0.25, bytesPerSecond: 1000 });
  });

  it('forgets within ten seconds', () => {
    const meter = new PassageMeter(0);
    meter.left(1, { micros: 9 * second, bytes: 1000 });
    expect(meter.reading(6 * second).seconds).toBe(9);
    meter.left(7 * second, { micros: second });
    expect(meter.reading(12 * second).seconds).toBe(1);
    expect(meter.reading(30 * second)).toEqual({ seconds: 0, bytesPerSecond: 0 });
  });

  it('grows with the age of the set that waits longest when nothing leaves', () => {
    const meter = new PassageMeter(0);
    meter.left(second, { micros: 100_000 });
    expect(meter.reading(2 * second, 1.95 * second).seconds).toBe(0.1);
    expect(meter.reading(60 * second, second).seconds).toBe(59);
  });

  it('starts anew when its clock was set back, and never tells a negative stay', () => {
    const meter = new PassageMeter(100 * second);
    meter.left(100 * second, { micros: -5, bytes: 10 });
    expect(meter.reading(50 * second, 90 * second)).toEqual({ seconds: 0, bytesPerSecond: 0 });
  });
});
