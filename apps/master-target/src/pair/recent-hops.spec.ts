// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from '@jest/globals';
import { RecentHops } from './recent-hops';

const second = 1_000_000;
const place = (sequence: number) => ({ epoch: 1, sequence });

describe('the hops of a pair at the target', () => {
  let now: number;
  let hops: RecentHops;
  const begin = (sequence: number): void => hops.begin({ ...place(sequence), storedBytes: 1, entryCount: 1, traceparent: undefined, receivedAt: now });
  beforeEach(() => {
    now = 100 * second;
    hops = new RecentHops(() => now);
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
});
