// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { crashHistories, CrashableStorage } from '@secondsite/durable-storage/testing';
import { type KeptSet, Quarantine } from './quarantine';

const set = (epoch: number, sequence: number, more: Partial<KeptSet> = {}) => ({ epoch, sequence, reason: `epoch ${epoch} ended`, keptAt: 7, ...more });
const bytes = (length: number, fill = 1) => new Uint8Array(length).fill(fill);

describe('the quarantine', () => {
  it('lists what it keeps in the order of the stream, each once, also after a restart', async () => {
    const { root } = new CrashableStorage();
    const quarantine = await Quarantine.open(root);
    const results = await Promise.all([quarantine.keep(set(2, 9), bytes(30)), quarantine.keep(set(1, 10), bytes(20)), quarantine.keep(set(2, 9), bytes(30)), quarantine.keep(set(2, 3), bytes(10))]);
    expect(results).toEqual([true, true, true, true]);
    const expected = [{ ...set(1, 10), bytes: 20 }, { ...set(2, 3), bytes: 10 }, { ...set(2, 9), bytes: 30 }];
    expect(quarantine.list()).toEqual(expected);
    expect((await Quarantine.open(root)).list()).toEqual(expected);
  });

  it('keeps no more bytes and no more sets than it may, counting those of before a restart', async () => {
    const { root } = new CrashableStorage();
    const limits = { bytesMax: 50, setsMax: 3 };
    const quarantine = await Quarantine.open(root, limits);
    expect([await quarantine.keep(set(1, 1), bytes(40)), await quarantine.keep(set(1, 2), bytes(11))]).toEqual([true, false]);
    const again = await Quarantine.open(root, limits);
    expect([await again.keep(set(1, 2), bytes(11)), await again.keep(set(1, 3), bytes(5)), await again.keep(set(1, 4), bytes(5)), await again.keep(set(1, 5), bytes(0))]).toEqual([false, true, true, false]);
  });

  it('has room again for a set that could not be written', async () => {
    const storage = new CrashableStorage();
    const quarantine = await Quarantine.open(storage.root, { bytesMax: 50 });
    storage.fault = ({ kind }) => (kind === 'write' ? 'io-error' : undefined);
    await expect(quarantine.keep(set(1, 1), bytes(40))).rejects.toMatchObject({ code: 'storage/io-error' });
    storage.fault = undefined;
    expect([quarantine.list(), await quarantine.keep(set(1, 1), bytes(40))]).toEqual([[], true]);
  });

  it('has every set that it said it keeps after a power cut, whole', async () => {
    await crashHistories({
      histories: 1,
      cuts: 'every',
      model: () => ({ kept: 0 }),
      run: async ({ storage, model }) => {
        const quarantine = await Quarantine.open(await storage.root.directory('quarantine'));
        for (let sequence = 1; sequence <= 3; sequence++) if (await quarantine.keep(set(1, sequence), bytes(600 + sequence))) model.kept = Math.max(model.kept, sequence);
      },
      check: async ({ storage, model }) => {
        const list = (await Quarantine.open(await storage.root.directory('quarantine'))).list();
        expect(list.slice(0, model.kept)).toEqual(Array.from({ length: model.kept }, (_, index) => ({ ...set(1, index + 1), bytes: 601 + index })));
      },
    });
  });
});
