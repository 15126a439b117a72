// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { BackgroundWork } from './background-work';

/** Work in pieces that take so many milliseconds each; how long it rested after each of them. */
async function restsAfter(pieces: readonly number[]): Promise<number[]> {
  const rests: number[] = [];
  const ended = Promise.withResolvers<void>();
  let now = 1e15;
  let isDone = false;
  const work = new BackgroundWork({
    clock: () => now, lookMicros: 1e6, restMicros: 1e6, onFailure: ({ code }) => ended.reject(new Error(code)),
    delay: async (millis) => {
      rests.push(millis);
      now += millis * 1000;
    },
    next: async (pause) => {
      if (isDone) {
        ended.resolve();
        return false;
      }
      for (const millis of pieces) {
        now += millis * 1000;
        await pause();
      }
      return (isDone = true);
    },
  });
  work.nudge();
  await ended.promise;
  return rests;
}

describe('work beside applying', () => {
  it('rests twice as long as each piece took, but not for ever', async () => {
    expect(await restsAfter([10, 0, 3, 400])).toEqual([20, 0, 6, 100]);
  });

  it('does not wait for a clock that was set back', async () => {
    expect(await restsAfter([-3_600_000, 5])).toEqual([0, 10]);
  });
});
