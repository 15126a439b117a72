// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { CrashableStorage } from '@secondsite/durable-storage/testing';
import { BodyPool } from '@secondsite/transport';
import { setImmediate } from 'node:timers/promises';
import { ByteBudget } from '../byte-budget';
import type { SpooledSet } from './epoch-queue';
import { PairSpool } from './pair-spool';
import { SpoolScrubber } from './spool-scrubber';

const log = { segmentBytes: 4096, groupBytesMax: 2048, payloadBytesMax: 8192 };

/** A spool with six sets on its disk, and its scrubber; `time` in seconds. */
async function makeBench() {
  const storage = new CrashableStorage();
  const clock = { time: 0 };
  const now = (): number => clock.time * 1e6;
  const spool = await PairSpool.open({ directory: storage.root, memory: new ByteBudget(0), pool: new BodyPool({ idleBytesMax: 0 }), now, log });
  for (let sequence = 1; sequence <= 6; sequence += 1) {
    await spool.put({ epoch: 1, sequence, firstTime: sequence, traceparent: undefined, content: new Uint8Array(700).fill(sequence) });
  }
  const damaged: number[] = [];
  const pair = {
    waitingSince: (time: number): SpooledSet[] => [...spool.queues()].flatMap((queue) => [...queue.sets()]).filter(({ durableAt = 0 }) => durableAt <= time),
    verify: (set: SpooledSet) => spool.verify(set),
    spoolDamaged: ({ sequence }: SpooledSet) => void damaged.push(sequence),
  };
  const scrubber = new SpoolScrubber({ pairs: () => [pair], now, delay: async () => void (await setImmediate()), bytesPerSecond: 1e6, waitMicros: 300e6 });
  const round = async (): Promise<number[]> => {
    scrubber.tick();
    for (let turn = 0; turn < 200; turn++) await setImmediate();
    return damaged.splice(0);
  };
  return { storage, clock, spool, round };
}

async function rot(storage: CrashableStorage, marker: number): Promise<void> {
  for (const name of (await storage.root.list()).filter((one) => one.endsWith('.log'))) {
    const file = await storage.root.open(name);
    const bytes = Buffer.alloc(file.size());
    file.readNow(bytes, 0);
    const at = bytes.indexOf(Buffer.alloc(64, marker));
    if (at >= 0) file.writeNow(new Uint8Array([marker ^ 1]), at + 9);
    await file.close();
  }
}

describe('the scrubber of the spool', () => {
  it('finds a set that the disk changed while it waits, and tells it once', async () => {
    const { storage, clock, round } = await makeBench();
    await rot(storage, 4);
    clock.time = 299;
    expect(await round()).toEqual([]);
    clock.time = 301;
    expect(await round()).toEqual([4]);
    await rot(storage, 2);
    expect(await round()).toEqual([]);
    clock.time += 3601;
    expect(await round()).toEqual([2]);
  });

  it('leaves alone what the target has by then', async () => {
    const { storage, clock, spool, round } = await makeBench();
    await rot(storage, 6);
    clock.time = 400;
    const all = round();
    spool.adoptPosition({ epoch: 1, sequence: 6 });
    await spool.checkpoint();
    expect(await all).toEqual([]);
  });
});
