// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { crashHistories, type CrashRound, CrashableStorage, randomBelow } from '@secondsite/durable-storage/testing';
import { BodyPool } from '@secondsite/transport';
import { ByteBudget } from '../byte-budget';
import { PairSpool } from './pair-spool';

const log = { segmentBytes: 4096, groupBytesMax: 2048, payloadBytesMax: 8192 };

function open(storage: CrashableStorage, memoryBytesMax = 2000): Promise<PairSpool> {
  return PairSpool.open({ directory: storage.root, memory: new ByteBudget(memoryBytesMax), pool: new BodyPool({ idleBytesMax: 0 }), now: () => 1, log });
}

function contentOf(epoch: number, sequence: number): Uint8Array {
  return new Uint8Array(200 + ((sequence * 37) % 400)).fill((epoch * 50 + sequence) % 256);
}

function put(spool: PairSpool, epoch: number, sequence: number): Promise<string> {
  return spool.put({ epoch, sequence, firstTime: sequence, traceparent: undefined, content: contentOf(epoch, sequence) });
}

describe('the spool of a pair', () => {
  it('takes sets in any order, knows where none is missing, and answers repeats at once', async () => {
    const storage = new CrashableStorage();
    const spool = await open(storage);
    expect(await Promise.all([put(spool, 1, 2), put(spool, 1, 1), put(spool, 1, 1), put(spool, 1, 4)])).toEqual(['stored', 'stored', 'repeated', 'stored']);
    expect(spool.received).toBe(2);
    const before = storage.operations;
    expect(await put(spool, 1, 2)).toBe('repeated');
    expect(storage.operations).toBe(before);
    await put(spool, 1, 3);
    expect(spool.received).toBe(4);
    expect(spool.spoolSets).toBe(4);
  });

  it('refuses an older epoch for ever once a newer one is durable, also after everything was forwarded and freed', async () => {
    const storage = new CrashableStorage();
    const spool = await open(storage);
    for (const epoch of [1, 2]) for (let sequence = 1; sequence <= 20; sequence += 1) await put(spool, epoch, sequence);
    expect(await put(spool, 1, 21)).toBe('old-epoch');
    spool.adoptPosition({ epoch: 2, sequence: 20 });
    expect(spool.spoolBytes).toBe(0);
    await spool.close();
    const again = await open(storage);
    expect(await put(again, 1, 21)).toBe('old-epoch');
    expect(await put(again, 2, 20)).toBe('repeated');
    expect([again.epoch, again.received, again.spoolBytes]).toEqual([2, 20, 0]);
  });

  it('keeps sets in memory only while there is room, and gives all back from disk', async () => {
    const spool = await open(new CrashableStorage(), 500);
    for (let sequence = 1; sequence <= 5; sequence += 1) await put(spool, 1, sequence);
    const sets = [...(spool.oldestQueue()?.sets() ?? [])];
    expect(sets.filter((set) => set.memory).length).toBeLessThan(3);
    for (const set of sets) expect(Buffer.compare((await spool.read(set))?.content ?? new Uint8Array(), contentOf(1, set.sequence))).toBe(0);
  });

  it('frees space on a full disk although the state cannot be written', async () => {
    const storage = new CrashableStorage();
    const spool = await open(storage);
    for (let sequence = 1; sequence <= 40; sequence += 1) await put(spool, 1, sequence);
    storage.fault = ({ kind }) => (kind === 'write' ? 'no-space' : undefined);
    await expect(put(spool, 1, 41)).rejects.toMatchObject({ code: 'storage/no-space' });
    const full = storage.usedBytes;
    spool.adoptPosition({ epoch: 1, sequence: 40 });
    await spool.checkpoint();
    storage.fault = undefined;
    await spool.checkpoint();
    await put(spool, 1, 41);
    expect(storage.usedBytes).toBeLessThan(full / 2);
  });
});

describe('a disk smaller than one segment', () => {
  it('is free again when everything was forwarded, so that work goes on', async () => {
    const storage = new CrashableStorage();
    storage.capacityBytes = 3 << 20;
    const spool = await PairSpool.open({ directory: storage.root, memory: new ByteBudget(0), pool: new BodyPool({ idleBytesMax: 0 }), now: () => 1 });
    const fill = async (from: number): Promise<number> => {
      for (let sequence = from; ; sequence += 1) {
        const content = new Uint8Array(100_000).fill(sequence);
        const result = await spool.put({ epoch: 1, sequence, firstTime: 1, traceparent: undefined, content }).catch(() => undefined);
        if (result === undefined) return sequence - 1;
      }
    };
    const last = await fill(1);
    expect(last).toBeGreaterThan(20);
    spool.adoptPosition({ epoch: 1, sequence: last });
    await spool.checkpoint();
    expect(await fill(last + 1)).toBeGreaterThan(last + 20);
  });
});

interface World {
  /** What the agent was told is durable, and the master target does not have: `epoch/sequence`. */
  readonly confirmed: Set<string>;
  /** What the master target has. */
  readonly target: { epoch: number; sequence: number };
  /** Newest epoch of which a set was confirmed. */
  confirmedEpoch: number;
  epoch: number;
  next: number;
}

describe('a power cut of the process server', () => {
  async function work({ storage, random, model }: CrashRound<World>): Promise<void> {
    const spool = await open(storage);
    spool.adoptPosition(model.target);
    for (let step = 0; step < 25; step += 1) {
      if (random() < 0.06) Object.assign(model, { epoch: model.epoch + 1, next: 1 });
      const { epoch, next } = model;
      const sequences = Array.from({ length: 1 + randomBelow(random, 3) }, (_, index) => next + index);
      const results = await Promise.allSettled(sequences.map(async (sequence) => {
        await put(spool, epoch, sequence);
        model.confirmed.add(`${epoch}/${sequence}`);
        model.confirmedEpoch = Math.max(model.confirmedEpoch, epoch);
      }));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
      model.next += sequences.length;
      forward(spool, model, randomBelow(random, 4));
      if (random() < 0.3) await spool.checkpoint();
    }
    await spool.close();
  }

  /** Plays the forwarder: confirmed by the target first, then told to the spool. */
  function forward(spool: PairSpool, model: World, count: number): void {
    for (let sent = 0; sent < count; sent += 1) {
      const queue = spool.oldestQueue();
      const set = queue?.get(queue.forwarded + 1);
      if (!queue || !set) {
        if (queue && queue.epoch < spool.epoch) spool.giveUp(queue.epoch);
        continue;
      }
      Object.assign(model.target, { epoch: set.epoch, sequence: set.sequence });
      model.confirmed.delete(`${set.epoch}/${set.sequence}`);
      spool.acknowledge(set);
    }
  }

  async function check({ storage, model }: CrashRound<World>): Promise<void> {
    const spool = await open(storage);
    for (const name of model.confirmed) {
      const [epoch = 0, sequence = 0] = name.split('/').map(Number);
      const queue = [...spool.queues()].find((known) => known.epoch === epoch);
      const set = queue?.get(sequence);
      if (!set) throw new Error(`set ${name} is lost; target has ${model.target.epoch}/${model.target.sequence}`);
      if (Buffer.compare((await spool.read(set))?.content ?? new Uint8Array(), contentOf(epoch, sequence)) !== 0) throw new Error(`set ${name} was changed`);
    }
    if (spool.forwarded.epoch > model.target.epoch) throw new Error('the spool thinks that the target has more than it has');
    if (spool.epoch < model.confirmedEpoch) throw new Error(`epoch ${model.confirmedEpoch} was forgotten, older sets would be taken again`);
    if (spool.epoch > model.epoch) throw new Error('an epoch appeared from nowhere');
    // The agent starts anew as well: what was not confirmed comes in a new epoch.
    Object.assign(model, { epoch: Math.max(model.epoch, spool.epoch) + 1, next: 1 });
    await spool.close();
  }

  it('loses no confirmed set that the master target has not, and never claims more at the target than is there: 400 seeded histories', async () => {
    const model = (): World => ({ confirmed: new Set(), target: { epoch: 0, sequence: 0 }, confirmedEpoch: 0, epoch: 1, next: 1 });
    expect(await crashHistories({ histories: 400, rounds: 3, model, run: work, check })).toBe(1200);
  });
});
