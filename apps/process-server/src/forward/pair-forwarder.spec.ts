// SPDX-License-Identifier: Apache-2.0
import { afterEach, describe, expect, it } from '@jest/globals';
import { CrashableStorage } from '@secondsite/durable-storage/testing';
import { BodyPool, LateTraceQueue, type PositionAnswer, type PutOptions, type PutOutcome } from '@secondsite/transport';
import { ByteBudget } from '../byte-budget';
import { PairSpool } from '../spool/pair-spool';
import { changeSetBytes, waitUntil } from '../testing';
import { processTimers } from '../timers';
import { PairForwarder } from './pair-forwarder';
import type { ForwardClient } from './send-set';

const pairId = '6f1c0a52-0000-4000-8000-000000000001';
const budget = new ByteBudget(1 << 20);

/** A target that took sets of one epoch out of line. */
class WindowedTarget implements ForwardClient {
  readonly sets: Set<number>;

  constructor(sets: readonly number[]) {
    this.sets = new Set(sets);
  }

  get received(): number {
    let sequence = 0;
    while (this.sets.has(sequence + 1)) sequence += 1;
    return sequence;
  }

  async put(_parts: readonly Uint8Array[], { sequence }: PutOptions): Promise<PutOutcome> {
    this.sets.add(sequence);
    return { kind: 'stored', appliedEpoch: 1, appliedSequence: this.received, creditBytes: 1 << 20 };
  }

  async position(): Promise<PositionAnswer> {
    return { kind: 'known', epoch: 1, sequence: this.received, appliedEpoch: 1, appliedSequence: this.received, creditBytes: 1 << 20 };
  }

  compare(): Promise<never> {
    throw new Error('nobody asks what differs');
  }

  close(): void {
    // Nothing is open.
  }
}

describe('the forwarder of a process server that was started again', () => {
  const broken: string[] = [];
  let forwarder: PairForwarder | undefined;
  afterEach(async () => {
    await forwarder?.stop();
    broken.length = 0;
  });

  async function spoolOf(places: readonly { readonly epoch: number; readonly sequence: number }[], memory = budget): Promise<PairSpool> {
    const options = { directory: new CrashableStorage().root, memory, pool: new BodyPool({ idleBytesMax: 0 }), now: () => 1 };
    const spool = await PairSpool.open(options);
    for (const place of places) await spool.put({ ...place, firstTime: 1, traceparent: undefined, content: changeSetBytes({ pairId, ...place }) });
    return spool;
  }

  function forward(spool: PairSpool, client: ForwardClient, memory = budget): PairForwarder {
    forwarder = new PairForwarder({
      pairId, spool, client, budget: memory, compression: 'none', compress: async () => undefined, timers: processTimers, lateTraces: new LateTraceQueue(), paused: false,
      observer: { sending: () => () => undefined, forwarded: () => undefined, refused: () => undefined, broken: (_epoch, reason) => broken.push(reason) },
    });
    forwarder.start();
    return forwarder;
  }

  it('goes on behind sets that it had passed on and the target took out of line', async () => {
    const spool = await spoolOf([1, 3, 4, 6].map((sequence) => ({ epoch: 1, sequence })));
    const target = new WindowedTarget([2, 5]);
    forward(spool, target).senderHas({ epoch: 1, sequence: 7 });
    await waitUntil('everything is with the target', () => broken.length > 0 || spool.forwarded.sequence === 6);
    expect({ broken, received: target.received, left: spool.spoolSets }).toEqual({ broken: [], received: 6, left: 0 });
  });

  it('sends what is behind them before a newer epoch', async () => {
    const spool = await spoolOf([{ epoch: 1, sequence: 1 }, { epoch: 1, sequence: 3 }, { epoch: 2, sequence: 1 }]);
    const target = new WindowedTarget([2]);
    forward(spool, target);
    await waitUntil('both epochs are done', () => spool.forwarded.epoch === 2);
    expect(target.received).toBe(3);
  });

  it('does not send a set that the target has by the time it comes to its turn', async () => {
    const spool = await spoolOf([{ epoch: 1, sequence: 1 }, { epoch: 1, sequence: 2 }], new ByteBudget(0));
    const target = new WindowedTarget([]);
    const busy = new ByteBudget(1);
    const giveBack = busy.tryTake(1);
    const started = forward(spool, target, busy);
    await waitUntil('the second, which is on the disk, waits for memory', () => busy.waitingCount === 1 && spool.forwarded.sequence === 1);
    spool.adoptPosition({ epoch: 1, sequence: 2 });
    await spool.checkpoint();
    giveBack?.();
    await waitUntil('nobody waits any more', () => busy.usedBytes === 0);
    await started.stop();
    expect({ sent: [...target.sets], left: spool.spoolSets }).toEqual({ sent: [1], left: 0 });
  });

  it('ends an epoch at a set that nobody has any more', async () => {
    const spool = await spoolOf([{ epoch: 1, sequence: 1 }, { epoch: 1, sequence: 3 }]);
    forward(spool, new WindowedTarget([])).senderHas({ epoch: 1, sequence: 4 });
    await waitUntil('the epoch has ended', () => broken.length > 0);
    expect(broken).toEqual([expect.stringContaining('sets 2 to 3 of epoch 1')]);
  });
});
