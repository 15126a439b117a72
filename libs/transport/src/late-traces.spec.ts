// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { lateTracesFromHeader, lateTracesText, LateTraceQueue } from './late-traces';

const place = (sequence: number) => ({ epoch: 2, sequence });

describe('late traces', () => {
  it('travel as text', () => {
    expect(lateTracesFromHeader(lateTracesText([place(7), place(9)]))).toEqual([place(7), place(9)]);
    expect(lateTracesFromHeader(undefined)).toEqual([]);
  });

  it('are left out where they are nonsense or too many', () => {
    expect(lateTracesFromHeader('2/7,,0/1,2/x,99999999999/1,2/8')).toEqual([place(7), place(8)]);
    expect(lateTracesFromHeader(Array.from({ length: 100 }, (_, index) => `1/${index + 1}`).join(','))).toHaveLength(16);
  });

  it('are told until a request that carried them was answered well', () => {
    const queue = new LateTraceQueue();
    queue.add([place(1), place(2)]);
    const carried = queue.next();
    queue.add([place(3)]);
    expect(queue.next()).toEqual([place(1), place(2), place(3)]);
    queue.told(carried);
    expect(queue.next()).toEqual([place(3)]);
  });

  it('are bounded: the oldest are dropped', () => {
    const queue = new LateTraceQueue();
    queue.add(Array.from({ length: 200 }, (_, index) => place(index + 1)));
    expect(queue.next()[0]).toEqual(place(137));
    expect(queue.next()).toHaveLength(16);
  });
});
