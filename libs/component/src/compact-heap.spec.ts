// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { compactHeap } from './compact-heap';

/** One object in a hundred stays, so that hardly a page of the heap is empty. */
function scatter(): object[] {
  const kept: object[] = [];
  for (let made = 0; made < 500_000; made++) {
    const object = { made, text: `object ${made}` };
    if (made % 100 === 0) kept.push(object);
  }
  return kept;
}

describe('a compacted heap', () => {
  it('takes hardly more memory than what is in use, and keeps that', () => {
    const kept = scatter();
    compactHeap();
    const { heapTotal, heapUsed } = process.memoryUsage();
    expect(heapTotal).toBeLessThan(1.25 * heapUsed);
    expect(kept).toHaveLength(5000);
    expect(kept.at(-1)).toEqual({ made: 499_900, text: 'object 499900' });
  });
});
