// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { setImmediate } from 'node:timers/promises';
import { Turns } from './turns';

describe('turns', () => {
  it('run so many at once, in order, and go on after a failure', async () => {
    const turns = new Turns(2);
    const began: number[] = [];
    const ends = Array.from({ length: 5 }, () => Promise.withResolvers<number>());
    const runs = ends.map(({ promise }, index) => turns.run(async () => (began.push(index), promise)));
    await setImmediate();
    expect(began).toEqual([0, 1]);
    ends[1]?.reject(new Error('broken'));
    await expect(runs[1]).rejects.toThrow('broken');
    ends[0]?.resolve(0);
    await setImmediate();
    expect(began).toEqual([0, 1, 2, 3]);
    for (const [index, { resolve }] of ends.entries()) resolve(index);
    expect(await Promise.all(runs.filter((_, index) => index !== 1))).toEqual([0, 2, 3, 4]);
    expect(began).toEqual([0, 1, 2, 3, 4]);
  });
});
