// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { cutTogether, type VolumeToCut } from './cut-together';

const bookmark = { kind: 'bookmark', bookmarkId: 'b', name: 'n', level: 'crash' } as const;

/** A volume whose thread takes so many milliseconds to hold, one number for each try, the last for all later ones. */
function volume(volumeId: string, { calls, holdMillis }: { calls: string[]; holdMillis: number[] }): VolumeToCut {
  const call = async (name: string): Promise<unknown> => {
    calls.push(`${name} ${volumeId}`);
    if (name === 'hold') await delay(holdMillis.length > 1 ? holdMillis.shift() : holdMillis[0]);
    return name === 'hold' ? 7 : { pairId: volumeId, epoch: 1, sequence: 1, heldMillis: 1 };
  };
  return { volumeId, thread: { call: call as VolumeToCut['thread']['call'] } };
}

function countOf(calls: readonly string[], wanted: string): number {
  return calls.filter((call) => call === wanted).length;
}

describe('a cut through several volumes', () => {
  it('lets all go and tries again when one is slow to hold, and cuts each once', async () => {
    const calls: string[] = [];
    const volumes = [volume('a', { calls, holdMillis: [0] }), volume('b', { calls, holdMillis: [30, 30, 0] })];
    expect(await cutTogether(volumes, bookmark, () => 5)).toMatchObject({ time: 8 });
    expect(countOf(calls, 'release a')).toBeGreaterThanOrEqual(2);
    expect(countOf(calls, 'hold a')).toBe(countOf(calls, 'release a') + 1);
    expect(calls.slice(-2)).toEqual(['cut a', 'cut b']);
    expect([countOf(calls, 'cut a'), countOf(calls, 'cut b')]).toEqual([1, 1]);
  });

  it('cuts in the end, although one is always slow', async () => {
    const calls: string[] = [];
    await cutTogether([volume('a', { calls, holdMillis: [0] }), volume('b', { calls, holdMillis: [20] })], bookmark, () => 5);
    expect([countOf(calls, 'hold b'), countOf(calls, 'cut b')]).toEqual([6, 1]);
  });
});
