// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { lowestOf, measureInterleaved, quantile } from './measure';

describe('measuring', () => {
  it('takes turns, does not count the first round, and reports medians', async () => {
    const order: string[] = [];
    const contestant = (name: string, figures: number[]) => ({
      name,
      run: async (): Promise<number> => {
        order.push(name);
        return figures.shift() as number;
      },
    });
    const [ours, peer] = await measureInterleaved([contestant('ours', [99, 1, 5, 3]), contestant('peer', [99, 2, 2, 8])], 3);
    expect(order.join(' ')).toBe('ours peer ours peer ours peer ours peer');
    expect([ours.median, peer.median, peer.maximum]).toEqual([3, 2, 8]);
  });

  it('has nearest-rank quantiles', () => {
    expect([quantile([3, 1, 2], 0.5), quantile([1, 2, 3, 4], 0.99)]).toEqual([2, 4]);
  });

  it('finds the lowest that holds by halving', async () => {
    const found = Array.from({ length: 8 }, (_, lowest) => lowestOf(7, (candidate) => Promise.resolve(candidate >= lowest)));
    expect(await Promise.all(found)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    let asked = 0;
    await lowestOf(13, async () => (asked += 1) > 100);
    expect(asked).toBeLessThanOrEqual(4);
  });
});
