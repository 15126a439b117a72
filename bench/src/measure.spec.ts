// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { measureInterleaved, quantile } from './measure';

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
});
