// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { crashHistories } from './crash-histories';
import { CrashableStorage, SimulatedCrash } from './crashable-storage';
import { describeStorageContract } from './describe-storage-contract';
import { seededRandom } from './seeded-random';

describeStorageContract('crashable fake', async () => ({ directory: new CrashableStorage().root, dispose: async () => undefined }), { afterEach, beforeEach, describe, expect, it });

async function durableFile(storage: CrashableStorage, content: number, size = 2048) {
  const file = await storage.root.open('f', { create: true });
  file.writeNow(new Uint8Array(size).fill(content), 0);
  await file.sync();
  await storage.root.sync();
  return file;
}

async function bytesOf(storage: CrashableStorage): Promise<Uint8Array> {
  const file = await storage.root.open('f');
  const into = new Uint8Array(file.size());
  file.readNow(into, 0);
  return into;
}

describe('power cuts', () => {
  it('keep all that was synced and, over many seeds, every mix of unsynced sectors', async () => {
    const mixes = new Set<string>();
    for (let seed = 1; seed <= 200; seed += 1) {
      const storage = new CrashableStorage();
      const file = await durableFile(storage, 1);
      file.writeNow(new Uint8Array(1024).fill(2), 512);
      file.writeNow(new Uint8Array(512).fill(3), 512);
      storage.crash(seededRandom(seed));
      const into = await bytesOf(storage);
      mixes.add([0, 512, 1024, 1536].map((at) => into[at]).join(''));
      expect(into.subarray(512, 1024).every((byte) => byte === into[512])).toBe(true);
    }
    expect([...mixes].sort()).toEqual(['1111', '1121', '1211', '1221', '1311', '1321']);
  });

  it('may lose a file whose folder was not synced, and never one whose folder was', async () => {
    let lost = 0;
    for (let seed = 1; seed <= 50; seed += 1) {
      const storage = new CrashableStorage();
      await durableFile(storage, 1);
      await storage.root.open('new', { create: true });
      storage.crash(seededRandom(seed));
      const names = await storage.root.list();
      expect(names).toContain('f');
      if (!names.includes('new')) lost += 1;
    }
    expect(lost).toBeGreaterThan(5);
    expect(lost).toBeLessThan(45);
  });

  it('leave old handles dead, and stop everything from the chosen operation on', async () => {
    const storage = new CrashableStorage();
    const file = await durableFile(storage, 1);
    storage.crashAfter(2);
    file.writeNow(new Uint8Array(1), 0);
    expect(() => file.syncNow()).toThrow(SimulatedCrash);
    expect(() => file.readNow(new Uint8Array(1), 0)).toThrow(SimulatedCrash);
    storage.crash(seededRandom(1));
    expect(() => file.writeNow(new Uint8Array(1), 0)).toThrow(SimulatedCrash);
    expect((await bytesOf(storage)).length).toBe(2048);
  });

  it('do the same for the same seed', async () => {
    const once = async (): Promise<string> => {
      const storage = new CrashableStorage();
      const file = await durableFile(storage, 1);
      for (let at = 0; at < 2048; at += 300) file.writeNow(new Uint8Array(300).fill(at % 251), at);
      storage.crash(seededRandom(7));
      return Buffer.from(await bytesOf(storage)).toString('hex');
    };
    expect(await once()).toBe(await once());
  });
});

describe('faults', () => {
  it('fail a chosen operation with a full disk or a bad one, after which work goes on', async () => {
    const storage = new CrashableStorage();
    const file = await durableFile(storage, 1, 512);
    storage.fault = ({ kind }) => (kind === 'write' ? 'no-space' : kind === 'sync' ? 'io-error' : undefined);
    expect(() => file.writeNow(new Uint8Array(512), 512)).toThrow(expect.objectContaining({ code: 'storage/no-space' }));
    await expect(file.sync()).rejects.toMatchObject({ code: 'storage/io-error' });
    storage.fault = undefined;
    storage.capacityBytes = 1024;
    file.writeNow(new Uint8Array(512), 512);
    await expect(file.write([new Uint8Array(512)], 1024)).rejects.toMatchObject({ code: 'storage/no-space' });
  });

  it('a snapshot brings back durable and unsynced content alike', async () => {
    const storage = new CrashableStorage();
    const file = await durableFile(storage, 1, 512);
    file.writeNow(new Uint8Array(512).fill(2), 0);
    const snapshot = storage.snapshot();
    await file.sync();
    const seen = new Set<number | undefined>();
    for (let seed = 1; seed <= 20; seed += 1) {
      storage.restore(snapshot);
      expect((await bytesOf(storage))[0]).toBe(2);
      storage.crash(seededRandom(seed));
      seen.add((await bytesOf(storage))[0]);
    }
    expect([...seen].sort()).toEqual([1, 2]);
  });
});

describe('crash histories', () => {
  const plan = {
    model: () => ({ promised: 0 }),
    check: async ({ storage, model }: { storage: CrashableStorage; model: { promised: number } }): Promise<void> => {
      const there = (await storage.root.list()).includes('f') ? ((await bytesOf(storage))[0] ?? 0) : 0;
      if (there < model.promised) throw new Error(`${model.promised} was promised, ${there} is there`);
      model.promised = there;
    },
  };
  const run =
    (careful: boolean) =>
    async ({ storage, model }: { storage: CrashableStorage; model: { promised: number } }): Promise<void> => {
      const file = await storage.root.open('f', { create: true });
      await storage.root.sync();
      for (let value = model.promised + 1; value < 20; value += 1) {
        file.writeNow(Uint8Array.of(value), 0);
        if (careful) await file.sync();
        model.promised = value;
      }
    };

  it('pass code that keeps its promises, at every operation and at random ones', async () => {
    expect(await crashHistories({ ...plan, histories: 2, cuts: 'every', run: run(true) })).toBeGreaterThan(60);
    expect(await crashHistories({ ...plan, histories: 100, rounds: 3, run: run(true) })).toBe(300);
  });

  it('catch code that promises before the sync, and name the seed', async () => {
    await expect(crashHistories({ ...plan, histories: 100, run: run(false) })).rejects.toThrow(/A promise was broken: seed \d+, round \d/);
  });
});
