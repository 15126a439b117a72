// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from '@jest/globals';
import { OverloadPause } from './overload-pause';

const calmBytesPerSecond = 1000;

describe('the pause after an overload', () => {
  let now: number;
  let pause: OverloadPause;
  beforeEach(() => {
    now = 5;
    pause = new OverloadPause({ millis: () => now, calmBytesPerSecond });
  });

  /** Seconds until it is over, at these rates in bytes per second; asked every 10 ms. */
  function secondsUntilOver({ written, shipped = () => 0 }: { written: (seconds: number) => number; shipped?: (seconds: number) => number }): number {
    const start = now;
    while (!pause.isOver) {
      now += 10;
      pause.written(written((now - start) / 1000) / 100);
      pause.shipped(shipped((now - start) / 1000) / 100);
    }
    return (now - start) / 1000;
  }

  it('never held anything up before the first overload', () => {
    expect(pause.isOver).toBe(true);
  });

  it('lasts 10 s under load, and twice as long each time until the pair has caught up', () => {
    const lasted = [1, 2, 3, 4, 5].map(() => {
      pause.begin();
      return secondsUntilOver({ written: () => 9999 });
    });
    expect(lasted).toEqual([10, 20, 40, 60, 60]);
    pause.caughtUp();
    pause.begin();
    expect(secondsUntilOver({ written: () => 9999 })).toBe(10);
  });

  it('ends when the application has calmed down', () => {
    pause.begin();
    expect(secondsUntilOver({ written: (seconds) => (seconds <= 2 ? 9999 : 900) })).toBeCloseTo(2.4, 5);
  });

  it('ends when the application writes at most a quarter as fast as sets are shipped', () => {
    pause.begin();
    expect(secondsUntilOver({ written: () => 4900, shipped: () => 20_000 })).toBe(0.3);
    pause.begin();
    expect(secondsUntilOver({ written: () => 25_100, shipped: () => 20_000 })).toBe(20);
  });

  it('lasts a tenth of that when the application writes hardly faster than sets are shipped', () => {
    const lasted = [1, 2, 3, 4].map(() => {
      pause.begin();
      return secondsUntilOver({ written: () => 24_900, shipped: () => 20_000 });
    });
    expect(lasted).toEqual([1, 2, 4, 6].map((seconds) => expect.closeTo(seconds, 5)));
  });

  it('is not shortened by a burst of shipping', () => {
    pause.begin();
    expect(secondsUntilOver({ written: () => 24_900, shipped: (seconds) => (seconds > 0.3 && seconds <= 0.6 ? 30_000 : 0) })).toBe(10);
  });
});
