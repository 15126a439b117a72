// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { largeMemory } from './large-memory';

const mebibyte = 1 << 20;
const onLinux = process.platform === 'linux';

describe('large memory', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.runAllTimers();
    jest.useRealTimers();
  });

  it('has room for what was asked for', () => {
    for (const size of [0, 1, mebibyte - 1, mebibyte, 3 * mebibyte, 9 * mebibyte]) {
      const memory = new Uint8Array(largeMemory.take(size));
      memory.fill(7);
      expect(memory.length).toBeGreaterThanOrEqual(size);
    }
  });

  it('is used again for what is as large, once', () => {
    const [first, other] = [largeMemory.take(3 * mebibyte), largeMemory.take(3 * mebibyte)];
    expect(first).not.toBe(other);
    largeMemory.giveBack(first);
    expect(largeMemory.take(5 * mebibyte)).not.toBe(first);
    expect(largeMemory.take(3 * mebibyte - 100)).toBe(first);
    expect(largeMemory.take(3 * mebibyte)).not.toBe(first);
  });

  (onLinux ? it : it.skip)(`goes back to the system ten seconds after its last use, and at once when it is very large${onLinux ? '' : ' (skipped: not on this system)'}`, () => {
    const [kept, tooLarge] = [3, 40].map((size) => largeMemory.take(size * mebibyte)) as [ArrayBufferLike, ArrayBufferLike];
    for (const memory of [kept, tooLarge]) {
      new Uint8Array(memory).fill(7);
      largeMemory.giveBack(memory);
    }
    expect([middleOf(kept), middleOf(tooLarge)]).toEqual([7, 0]);
    jest.advanceTimersByTime(11_000);
    expect(middleOf(kept)).toBe(0);
  });
});

/** Pages that the system has back read as zeros. */
function middleOf(memory: ArrayBufferLike): number {
  return new Uint8Array(memory)[memory.byteLength >> 1] as number;
}
