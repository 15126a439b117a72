// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { WriteHolds } from './write-holds';

let closed: boolean;
let holds: WriteHolds;

describe('holds of the writes of a volume', () => {
  beforeEach(() => {
    jest.useFakeTimers();
    closed = false;
    holds = new WriteHolds({ hold: () => (closed = true), release: () => (closed = false) }, () => performance.now());
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('end when the last of several lets go', () => {
    holds.hold('a', 100);
    holds.hold('b', 100);
    holds.release('a');
    holds.release('a');
    expect([closed, holds.heldMillis('a') === undefined, holds.heldMillis('b') === undefined]).toEqual([true, true, false]);
    holds.release('b');
    expect(closed).toBe(false);
  });

  it('end by themselves after the limit, and are not taken over by who holds next', () => {
    holds.hold('a', 100);
    jest.advanceTimersByTime(99);
    expect([closed, holds.heldMillis('a')]).toEqual([true, 99]);
    jest.advanceTimersByTime(1);
    expect(closed).toBe(false);
    holds.hold('b', 100);
    expect(holds.heldMillis('a')).toBeUndefined();
    expect(closed).toBe(true);
  });

  it('begin anew when somebody holds again, and last without a limit until all are released', () => {
    holds.hold('a', 100);
    jest.advanceTimersByTime(60);
    holds.hold('a', 100);
    jest.advanceTimersByTime(60);
    expect(holds.heldMillis('a')).toBe(60);
    holds.hold('b');
    jest.advanceTimersByTime(10_000);
    expect([closed, holds.heldMillis('a')]).toEqual([true, undefined]);
    holds.releaseAll();
    expect(closed).toBe(false);
  });
});
