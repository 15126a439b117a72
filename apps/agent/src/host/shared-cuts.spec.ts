// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { OperationError } from '@secondsite/units';
import type { VolumeToCut } from './cut-together';
import { SharedCuts } from './shared-cuts';

const bookmark = { kind: 'bookmark', bookmarkId: 'b', name: 'n', level: 'crash', hosts: 2 } as const;

function volume(volumeId: string, calls: string[], failing?: string): VolumeToCut {
  const call = async (name: string, request: unknown): Promise<unknown> => {
    calls.push(`${name} ${volumeId}`);
    if (name === failing) throw new OperationError({ code: 'bookmark/held-too-long', operation: name, retryable: true, hint: '' });
    return name === 'hold' ? 7 : { pairId: volumeId, epoch: 1, sequence: 1, heldMillis: 1, time: (request as { time?: number }).time };
  };
  return { volumeId, thread: { call: call as VolumeToCut['thread']['call'] } };
}

describe("a host's part in a cut through several", () => {
  it('cuts what it holds, after everything in any of the streams, once', async () => {
    const calls: string[] = [];
    const cuts = new SharedCuts(() => 5);
    await cuts.hold([volume('a', calls), volume('b', calls)], { holdId: 'h', limitMillis: 9 });
    expect(await cuts.cut('h', bookmark)).toMatchObject({ time: 8, cuts: [{ volumeId: 'a' }, { volumeId: 'b' }] });
    await expect(cuts.cut('h', bookmark)).rejects.toMatchObject({ code: 'bookmark/held-too-long' });
    expect(calls).toEqual(['hold a', 'hold b', 'cut a', 'cut b']);
  });

  it('does not cut what was released, or was never held', async () => {
    const calls: string[] = [];
    const cuts = new SharedCuts(() => 5);
    await cuts.hold([volume('a', calls)], { holdId: 'h', limitMillis: 9 });
    expect([await cuts.release('h'), await cuts.release('h')]).toEqual([true, false]);
    await expect(cuts.cut('h', bookmark)).rejects.toMatchObject({ code: 'bookmark/held-too-long' });
    await expect(cuts.cut('other', bookmark)).rejects.toMatchObject({ code: 'bookmark/held-too-long' });
    expect(calls).toEqual(['hold a', 'release a']);
  });

  it('lets all go when one cannot hold or was not held until the cut', async () => {
    const calls: string[] = [];
    const cuts = new SharedCuts(() => 5);
    await expect(cuts.hold([volume('a', calls), volume('b', calls, 'hold')], { holdId: 'h', limitMillis: 9 })).rejects.toMatchObject({ code: 'bookmark/held-too-long' });
    expect(calls.slice(2)).toEqual(['release a', 'release b']);
    await cuts.hold([volume('a', calls), volume('b', calls, 'cut')], { holdId: 'h', limitMillis: 9 });
    await expect(cuts.cut('h', bookmark)).rejects.toMatchObject({ code: 'bookmark/held-too-long' });
    expect(calls.slice(-2)).toEqual(['release a', 'release b']);
  });
});
