// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { isoFromMicros } from '@secondsite/units';
import type { Directory } from '../read-models/directory';
import { PeriodicBookmarks } from './periodic-bookmarks';

interface Plan {
  readonly planId: string;
  readonly hosts: readonly string[];
  readonly interval?: number;
  readonly state?: 'active' | 'paused';
  readonly level?: 'crash' | 'application';
}

function directoryOf(plans: readonly Plan[]): Directory {
  return {
    plans: plans.map(({ planId, interval, state = 'active', level = 'crash' }) => ({ planId, state, consistencyIntervalSeconds: interval, consistencyLevel: level })),
    pairs: plans.flatMap(({ planId, hosts }) => hosts.map((hostId) => ({ planId, hostId, state: 'differential-sync' }))),
  } as unknown as Directory;
}

/** `wallSecond`: what the wall clock shows at that second. */
async function madeWhile(plans: (second: number) => readonly Plan[], seconds: number, wallSecond: (second: number) => number = (second) => second): Promise<string[]> {
  const made: string[] = [];
  let second = 0;
  const periodic = new PeriodicBookmarks({
    bookmarks: { create: async ({ plan, name, level }) => Promise.reject(new Error(String(made.push(`${plan} ${name} ${level}`)))) },
    directories: { load: async () => directoryOf(plans(second)) }, clock: { now: () => wallSecond(second) * 1e6, steadyMicros: () => second * 1e6 }, logger: { warn: () => undefined },
  }, 1e6);
  for (; second <= seconds; second++) await periodic.look();
  await periodic.close();
  return made;
}

const at = (plan: string, second: number, level = 'crash'): string => `${plan} consistency ${isoFromMicros(second * 1e6)} ${level}`;

describe('periodic bookmarks that need a coordinator', () => {
  it('are made every interval, whether or not the last one succeeded', async () => {
    const plans = [{ planId: 'both', hosts: ['a', 'b'], interval: 10 }, { planId: 'alone', hosts: ['a', 'a'], interval: 5 }, { planId: 'none', hosts: ['a', 'b'] }];
    expect(await madeWhile(() => plans, 25)).toEqual([at('both', 10), at('both', 20)]);
  });

  it('are those of a higher level too, also of one host', async () => {
    expect(await madeWhile(() => [{ planId: 'p', hosts: ['a'], interval: 10, level: 'application' }], 15)).toEqual([at('p', 10, 'application')]);
  });

  it.each([3600, -3600])('keep to their interval when the wall clock is set by %d s', async (by) => {
    const wallSecond = (second: number): number => 7200 + second + (second >= 15 ? by : 0);
    expect(await madeWhile(() => [{ planId: 'p', hosts: ['a', 'b'], interval: 10 }], 35, wallSecond)).toEqual([10, 20, 30].map((second) => at('p', wallSecond(second))));
  });

  it('begin anew when the interval changes and after a pause', async () => {
    const plan = { planId: 'p', hosts: ['a', 'b'] };
    const plans = (second: number): Plan[] => [{ ...plan, interval: second < 5 ? 10 : 4, state: second > 10 && second < 20 ? 'paused' : 'active' }];
    expect(await madeWhile(plans, 26)).toEqual([at('p', 9), at('p', 24)]);
  });
});
