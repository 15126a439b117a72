// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Idle } from './idle';

describe('what is idle', () => {
  const closed: number[] = [];
  const idle = () => new Idle<number>({ max: 2, restMillis: 1000, close: (kind) => closed.push(kind) });

  beforeEach(() => {
    closed.length = 0;
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('is used again, the newest first, and only what fits', () => {
    const kept = idle();
    expect(kept.take()).toBeUndefined();
    kept.giveBack(10);
    kept.giveBack(5);
    expect([kept.take((kind) => kind > 7), kept.take((kind) => kind > 7), kept.take(), kept.take()]).toEqual([10, undefined, 5, undefined]);
  });

  it('is closed when there is too much of it, the oldest first', () => {
    const kept = idle();
    for (const kind of [1, 2, 3]) kept.giveBack(kind);
    expect(closed).toEqual([1]);
  });

  it('is closed when nothing was given back for a while, and what is in use is not', () => {
    const kept = idle();
    kept.giveBack(1);
    jest.advanceTimersByTime(900);
    kept.giveBack(2);
    expect(kept.take()).toBe(2);
    jest.advanceTimersByTime(900);
    expect(closed).toEqual([]);
    jest.advanceTimersByTime(200);
    expect([closed, kept.take()]).toEqual([[1], undefined]);
  });
});
