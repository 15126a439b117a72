// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { crashHistories, CrashableStorage, type Random, randomBelow, seededRandom, SimulatedCrash } from '@secondsite/durable-storage/testing';
import { GIB, isOperationError, MIB } from '@secondsite/units';
import { setImmediate } from 'node:timers/promises';
import { regionBytesFor } from './bitmap-layout';
import { WriteIntentBitmap } from './write-intent-bitmap';

const volume = { name: 'write-intent', volumeId: 'volume-1', volumeBytes: 9000 * MIB + 5 };

function open(storage: CrashableStorage, change: Partial<typeof volume & { aroundMax: number }> = {}): Promise<WriteIntentBitmap> {
  return WriteIntentBitmap.open({ directory: storage.root, ...volume, ...change });
}

async function emptied(storage: CrashableStorage, change: Parameters<typeof open>[1] = {}): Promise<WriteIntentBitmap> {
  const bitmap = await open(storage, change);
  for (let region = 0; region < bitmap.regionCount; region++) bitmap.clear(region);
  await bitmap.flush();
  return bitmap;
}

describe('a write-intent bitmap', () => {
  it('begins with every region marked, and keeps what was cleared and marked', async () => {
    const storage = new CrashableStorage();
    const first = await emptied(storage);
    expect([first.recovery.origin, first.recovery.dirty.size, first.regionCount]).toEqual(['created', 9001, 9001]);
    await first.mark({ offset: 5 * MIB - 1, length: 2 });
    await first.raiseEpoch();
    await first.close({ clean: true });
    const second = await open(storage);
    expect([second.recovery.origin, second.recovery.clean, second.epoch, [...second.recovery.dirty]]).toEqual(['recovered', true, 1, [4, 5]]);
  });

  it('answers at once for a region that is durable, and shares one sync among many others', async () => {
    const storage = new CrashableStorage();
    const bitmap = await emptied(storage);
    let syncs = 0;
    storage.fault = ({ kind }) => void (syncs += kind === 'sync' ? 1 : 0);
    await Promise.all(Array.from({ length: 100 }, async (_, region) => bitmap.mark({ offset: region * MIB, length: 1 })));
    expect(syncs).toBe(1);
    expect(bitmap.mark({ offset: 99 * MIB, length: 4096 })).toBeUndefined();
  });

  it('lets a writer that goes through the volume in order wait once for many regions, and marks nothing ahead of others', async () => {
    const bitmap = await emptied(new CrashableStorage());
    let waits = 0;
    for (let region = 100; region < 400; region++) {
      const marked = bitmap.mark({ offset: region * MIB, length: MIB });
      waits += marked ? 1 : 0;
      await marked;
    }
    expect(waits).toBeLessThan(20);
    expect(bitmap.markedRegions).toBeLessThan(300 + 2 * 128);
    await bitmap.mark({ offset: 1000 * MIB, length: MIB });
    await bitmap.mark({ offset: 1001 * MIB, length: MIB });
    expect([bitmap.isMarked(1001), bitmap.isMarked(1002)]).toEqual([true, false]);
    await bitmap.mark({ offset: bitmap.regionCount * MIB - 2 * MIB, length: 1 });
  });

  it('marks more before such a writer needs it, so that it waits only at its beginning', async () => {
    const bitmap = await emptied(new CrashableStorage());
    const waits: number[] = [];
    for (let region = 100; region < 1000; region++) {
      for (const offset of [0, MIB / 2]) {
        const marked = bitmap.mark({ offset: region * MIB + offset, length: MIB / 2 });
        if (marked) waits.push(region);
        await marked;
        await setImmediate();
      }
    }
    expect(waits).toEqual([100, 101, 102]);
  });

  it('tells who needs a region of which the mark ahead failed, and nobody else', async () => {
    const storage = new CrashableStorage();
    const bitmap = await emptied(storage);
    for (const region of [0, 1, 2]) await bitmap.mark({ offset: region * MIB, length: 1 });
    storage.fault = ({ kind }) => (kind === 'sync' ? 'io-error' : undefined);
    expect(bitmap.mark({ offset: 3 * MIB, length: 1 })).toBeUndefined();
    await setImmediate();
    await expect(bitmap.mark({ offset: 4 * MIB, length: 1 })).rejects.toThrow(expect.objectContaining({ code: 'bitmap/not-durable' }));
    storage.fault = undefined;
    await bitmap.mark({ offset: 4 * MIB, length: 1 });
    expect(bitmap.mark({ offset: 4 * MIB, length: 1 })).toBeUndefined();
  });

  it('marks no more ahead of a writer that comes to such a region from elsewhere', async () => {
    const bitmap = await emptied(new CrashableStorage());
    for (const region of [0, 1, 2, 50]) await bitmap.mark({ offset: region * MIB, length: 1 });
    expect(bitmap.mark({ offset: 3 * MIB, length: 1 })).toBeUndefined();
    expect([bitmap.isMarked(3), bitmap.isMarked(4)]).toEqual([true, false]);
  });

  it('lets a writer of everything, in no order, wait ever less often, and marks nothing around when hardly any write waits', async () => {
    const regions = 1024;
    const seed = 20261128;
    const random = seededRandom(seed);
    const waitsOf = async (bitmap: WriteIntentBitmap): Promise<number> => {
      let waits = 0;
      for (let write = 0; write < 20 * regions; write++) {
        const marked = bitmap.mark({ offset: randomBelow(random, regions) * MIB, length: 4096 });
        if (marked) waits += 1;
        await marked;
      }
      return waits;
    };
    expect(await waitsOf(await emptied(new CrashableStorage()))).toBeGreaterThan(500);
    const bitmap = await emptied(new CrashableStorage(), { aroundMax: 64 });
    expect(await waitsOf(bitmap)).toBeLessThan(60);
    expect(bitmap.markedRegions).toBe(regions);
    for (let write = 0; write < 40; write++) {
      for (let durable = 0; durable < 500; durable++) expect(bitmap.mark({ offset: 0, length: 4096 })).toBeUndefined();
      await bitmap.mark({ offset: (2000 + 100 * write) * MIB, length: 4096 });
    }
    expect([bitmap.isMarked(5900), bitmap.isMarked(5901), bitmap.isMarked(5899)]).toEqual([true, false, false]);
  });

  it('does not call a region durable once its cleared bit may have reached the disk', async () => {
    const bitmap = await emptied(new CrashableStorage());
    await bitmap.mark({ offset: 0, length: 1 });
    bitmap.clear(0);
    expect(bitmap.mark({ offset: 0, length: 1 })).toBeUndefined();
    bitmap.clear(0);
    const flushed = bitmap.flush();
    await Promise.resolve();
    expect(bitmap.mark({ offset: 0, length: 1 })).toBeInstanceOf(Promise);
    await flushed;
  });

  it('keeps regions and marks new ones when the volume grows; marks all when regions must become larger', async () => {
    const storage = new CrashableStorage();
    await (await emptied(storage)).close({ clean: true });
    const grown = await open(storage, { volumeBytes: 9003 * MIB });
    expect([grown.recovery.clean, [...grown.recovery.dirty]]).toEqual([false, [9000, 9001, 9002]]);
    await grown.close({ clean: true });
    const huge = await open(storage, { volumeBytes: 1025 * GIB });
    expect([huge.regionBytes, huge.recovery.dirty.size]).toEqual([2 * MIB, huge.regionCount]);
    expect(regionBytesFor(1024 * 1024 * MIB)).toBe(MIB);
  });

  it('counts all regions of a damaged page, and everything when no header is whole or it is of another volume', async () => {
    const storage = new CrashableStorage();
    await (await emptied(storage)).close({ clean: true });
    const file = await storage.root.open(volume.name);
    file.writeNow(new Uint8Array([1]), 8192 + 100);
    const repaired = await open(storage);
    expect([repaired.recovery.dirty.size, repaired.recovery.clean]).toEqual([4032, false]);
    expect((await open(storage)).recovery.dirty.size).toBe(4032);
    expect((await open(storage, { volumeId: 'other' })).recovery).toMatchObject({ origin: 'damaged', dirty: { size: 9001 } });
    for (const slot of [0, 4096]) file.writeNow(new Uint8Array([1]), slot + 70);
    expect((await open(storage)).recovery).toMatchObject({ origin: 'damaged', dirty: { size: 9001 } });
  });

  it('fails a mark that cannot be made durable, and works again afterwards', async () => {
    const storage = new CrashableStorage();
    const bitmap = await emptied(storage);
    storage.fault = ({ kind }) => (kind === 'sync' ? 'io-error' : undefined);
    const failed = await Promise.resolve(bitmap.mark({ offset: 0, length: 1 })).catch((error: unknown) => error);
    expect(isOperationError(failed, 'bitmap/not-durable')).toBe(true);
    storage.fault = undefined;
    await bitmap.mark({ offset: 0, length: 1 });
    expect([...(await open(storage)).recovery.dirty]).toEqual([0]);
  });
});

const small = { volumeBytes: 200 * MIB + 5 };

/** What the test promises to its writers: regions whose mark was done and that nobody cleared, and the highest epoch given out. */
interface Promised {
  readonly marked: Set<number>;
  epoch: number;
}

async function work(bitmap: WriteIntentBitmap, { random, model }: { readonly random: Random; readonly model: Promised }): Promise<void> {
  const waiting: Promise<unknown>[] = [];
  try {
    for (let step = 0; step < 30; step++) await act(bitmap, { random, model, waiting });
    await Promise.all(waiting);
  } catch (error) {
    await Promise.allSettled(waiting);
    throw error;
  }
}

async function act(bitmap: WriteIntentBitmap, { random, model, waiting }: { readonly random: Random; readonly model: Promised; readonly waiting: Promise<unknown>[] }): Promise<void> {
  const region = randomBelow(random, bitmap.regionCount);
  const dice = randomBelow(random, 10);
  if (dice < 5) {
    const length = Math.min(1 + randomBelow(random, 3 * MIB), small.volumeBytes - region * MIB);
    const { first, last } = bitmap.regionsOf({ offset: region * MIB, length });
    const promise = () => {
      for (let marked = first; marked <= last; marked++) if (bitmap.isMarked(marked)) model.marked.add(marked);
    };
    const pending = bitmap.mark({ offset: region * MIB, length });
    if (pending) waiting.push(pending.then(promise));
    else promise();
  } else if (dice < 7) {
    const [victim = region] = model.marked;
    model.marked.delete(victim);
    bitmap.clear(victim);
  } else if (dice === 7) await bitmap.flush();
  else if (dice === 8) model.epoch = await bitmap.raiseEpoch();
  else await Promise.allSettled(waiting.splice(0));
}

describe('power cuts', () => {
  it('never lose a region whose mark was done, nor an epoch', async () => {
    const cuts = await crashHistories<Promised>({
      histories: 400,
      rounds: 3,
      model: () => ({ marked: new Set(), epoch: 0 }),
      run: async ({ storage, random, model }) => work(await open(storage, small), { random, model }),
      check: async ({ storage, model }) => {
        const { recovery, epoch } = await open(storage, small);
        for (const region of model.marked) if (!recovery.dirty.has(region)) throw new Error(`region ${region} is missing`);
        if (epoch < model.epoch) throw new Error(`epoch ${epoch} is before ${model.epoch}`);
      },
    });
    expect(cuts).toBe(1200);
  });

  it('at every single operation of opening, marking and closing leave a file that opens', async () => {
    await crashHistories<Promised>({
      histories: 3,
      cuts: 'every',
      model: () => ({ marked: new Set(), epoch: 0 }),
      run: async ({ storage, model }) => {
        const bitmap = await emptied(storage);
        await bitmap.mark({ offset: 7 * MIB, length: 1 });
        model.marked.add(7);
        model.epoch = await bitmap.raiseEpoch({ atLeast: 9 });
        await bitmap.close({ clean: true });
      },
      check: async ({ storage, model }) => {
        const { recovery, epoch } = await open(storage);
        expect([...model.marked].every((region) => recovery.dirty.has(region))).toBe(true);
        expect(epoch).toBeGreaterThanOrEqual(model.epoch);
      },
    });
  });

  it('are noticed by these tests: a bitmap that answers before its sync is caught', async () => {
    const storage = new CrashableStorage();
    const bitmap = await emptied(storage);
    void Promise.resolve(bitmap.mark({ offset: 0, length: 1 })).catch((error: unknown) => expect(error).toBeDefined());
    storage.crashAfter(1);
    await expect(bitmap.flush()).rejects.toMatchObject({ cause: expect.any(SimulatedCrash) });
    let lost = 0;
    for (let seed = 1; seed < 40; seed++) {
      const copy = new CrashableStorage();
      copy.restore(storage.snapshot());
      copy.crash(seededRandom(seed));
      if (!(await open(copy)).recovery.dirty.has(0)) lost += 1;
    }
    expect(lost).toBeGreaterThan(0);
  });
});
