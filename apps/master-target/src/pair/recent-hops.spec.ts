// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { SetHops } from './pair-types';
import { RecentHops } from './recent-hops';

const second = 1_000_000;
const place = (sequence: number) => ({ epoch: 1, sequence });

describe('the hops of a pair at the target', () => {
  let now: number;
  let hops: RecentHops;
  let traced: SetHops[];
  const begin = (sequence: number, flags = '00'): void => {
    hops.begin({ ...place(sequence), storedBytes: 1, entryCount: 1, traceparent: `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-${flags}`, receivedAt: now });
  };
  beforeEach(() => {
    now = 100 * second;
    traced = [];
    hops = new RecentHops(() => now, (set) => traced.push(set));
  });

  it('are measured: until answered, until the turn of the set has come, until applied', () => {
    begin(1);
    now += second;
    hops.cacheDurable(place(1));
    hops.answered(place(1));
    now += 2 * second;
    hops.applyBegan([place(1)]);
    now += 0.5 * second;
    hops.applied([place(1)]);
    expect(hops.stays(undefined)).toEqual({ answerSeconds: 1, queueSeconds: 3, applySeconds: 0.5 });
  });

  it('grow with the group that is being applied and the set that waits longest', () => {
    begin(1);
    hops.applyBegan([place(1)]);
    now += 20 * second;
    expect(hops.stays(now - 30 * second)).toMatchObject({ queueSeconds: 30, applySeconds: 20 });
    hops.applyFailed();
    expect(hops.stays(undefined)).toMatchObject({ queueSeconds: 0, applySeconds: 0 });
  });

  it('of a sampled set are handed over when a checkpoint covers it; of one that is wanted late at once if one does already', () => {
    begin(1, '01');
    begin(2);
    begin(3);
    const all = [place(1), place(2), place(3)];
    hops.applyBegan(all);
    hops.applied(all);
    expect(traced).toEqual([]);
    now += second;
    hops.covered(all);
    hops.traceLate(place(3));
    hops.traceLate(place(3));
    hops.traceLate(place(99));
    expect(traced.map(({ sequence, traceparent, coveredAt }) => [sequence, traceparent?.slice(-2), coveredAt])).toEqual([[1, '01', now], [3, '01', now]]);
  });

  it('of a set that is wanted late are remembered until it is covered, however many come meanwhile', () => {
    begin(1);
    hops.traceLate(place(1));
    for (let sequence = 2; sequence <= 1000; sequence++) begin(sequence);
    hops.applyBegan([place(1)]);
    hops.applied([place(1)]);
    hops.covered([place(1)]);
    expect(traced).toMatchObject([{ sequence: 1, receivedAt: 100 * second, appliedAt: now, coveredAt: now }]);
  });
});
