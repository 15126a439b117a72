// SPDX-License-Identifier: Apache-2.0
// A pair moves from one process server to another: the change sets of one stream lie in two spools, and one target takes them in order.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Handover } from '@secondsite/contracts';
import { CrashableStorage } from '@secondsite/durable-storage/testing';
import { BodyPool, LateTraceQueue, type PositionAnswer, type PutOptions, type PutOutcome } from '@secondsite/transport';
import { ByteBudget } from '../byte-budget';
import { PairSpool } from '../spool/pair-spool';
import type { StreamPlace } from '../spool/pair-state';
import { changeSetBytes, waitUntil } from '../testing';
import { processTimers, type Timers } from '../timers';
import { PairForwarder } from './pair-forwarder';
import type { ForwardClient } from './send-set';

const pairId = '6f1c0a52-0000-4000-8000-000000000001';
const credit = { creditBytes: 1 << 20 };

/** A target as it is: takes sets out of line in a window, and refuses older epochs. */
class Target implements ForwardClient {
  epoch = 0;
  away = false;
  questions = 0;
  readonly arrivals: string[] = [];
  readonly #sets = new Set<number>();

  get received(): number {
    let sequence = 0;
    while (this.#sets.has(sequence + 1)) sequence += 1;
    return sequence;
  }

  async put(_parts: readonly Uint8Array[], { epoch, sequence }: PutOptions): Promise<PutOutcome> {
    if (this.away) return { kind: 'unreachable', cause: new Error('away') };
    if (epoch < this.epoch) return { kind: 'refused', status: 409, code: 'change-set/old-epoch', detail: 'older', hint: 'Begin a new epoch.' };
    if (epoch > this.epoch) {
      this.epoch = epoch;
      this.#sets.clear();
    }
    if (sequence > this.received + 8) return { kind: 'held-off', code: 'change-set/out-of-window', detail: 'too early', retryAfterMillis: 5 };
    this.#sets.add(sequence);
    this.arrivals.push(`${epoch}/${sequence}`);
    return { kind: 'stored', appliedEpoch: epoch, appliedSequence: this.received, ...credit };
  }

  async position(): Promise<PositionAnswer> {
    this.questions += 1;
    if (this.away) return { kind: 'unreachable', cause: new Error('away') };
    return { kind: 'known', epoch: this.epoch, sequence: this.received, appliedEpoch: this.epoch, appliedSequence: this.received, ...credit };
  }

  compare(): Promise<never> {
    throw new Error('nobody asks what differs');
  }

  close(): void {
    // Nothing is open.
  }
}

describe('the forwarders of two process servers with one pair', () => {
  let target: Target;
  let broken: string[];
  let started: PairForwarder[];
  let aheadMillis: number;

  beforeEach(() => {
    target = new Target();
    [broken, started, aheadMillis] = [[], [], 0];
  });
  afterEach(async () => {
    for (const forwarder of started) await forwarder.stop();
  });

  const timers: Timers = { ...processTimers, millis: () => processTimers.millis() + aheadMillis };
  const epoch = (number: number, ...sequences: number[]): StreamPlace[] => sequences.map((sequence) => ({ epoch: number, sequence }));

  async function spoolOf(places: readonly StreamPlace[]): Promise<PairSpool> {
    const spool = await PairSpool.open({ directory: new CrashableStorage().root, memory: new ByteBudget(1 << 20), pool: new BodyPool({ idleBytesMax: 0 }), now: () => 1 });
    await put(spool, places);
    return spool;
  }

  async function put(spool: PairSpool, places: readonly StreamPlace[]): Promise<void> {
    for (const place of places) await spool.put({ ...place, firstTime: 1, traceparent: undefined, content: changeSetBytes({ pairId, ...place }) });
  }

  function forward(spool: PairSpool, handover: Handover | undefined): PairForwarder {
    const forwarder = new PairForwarder({
      pairId, spool, client: target, budget: new ByteBudget(1 << 20), compression: 'none', compress: async () => undefined, timers, lateTraces: new LateTraceQueue(), paused: false, handover,
      observer: { sending: () => () => undefined, forwarded: () => undefined, refused: () => undefined, broken: (_epoch, reason) => broken.push(reason) },
    });
    started.push(forwarder);
    forwarder.start();
    return forwarder;
  }

  const targetHas = (received: number, ofEpoch = 1) => waitUntil(`set ${received} of epoch ${ofEpoch} is with the target`, () => target.epoch === ofEpoch && target.received === received);

  it('bring the whole stream, also where sets of one lie between those of the other, and neither takes one for lost', async () => {
    const [old, next] = [await spoolOf(epoch(1, 1, 2, 3, 5, 7)), await spoolOf(epoch(1, 4, 6, 8, 9))];
    forward(next, 'to').senderHas({ epoch: 1, sequence: 10 });
    const from = forward(old, 'from');
    await targetHas(9);
    expect({ broken, order: target.arrivals.indexOf('1/4') > target.arrivals.indexOf('1/3') }).toEqual({ broken: [], order: true });
    await waitUntil('both are done', () => old.spoolSets + next.spoolSets === 0);
    expect(from.isDrained).toBe(true);
  });

  it('do not take for lost what went to the other one and is not behind anything here', async () => {
    await target.put([], { pairId, ...epoch(1, 1)[0] as StreamPlace });
    const [old, next] = [await spoolOf(epoch(1, 3, 4)), await spoolOf(epoch(1, 2))];
    const to = forward(next, 'to');
    await targetHas(2);
    await waitUntil('the new one is done', () => next.spoolSets === 0);
    to.senderHas({ epoch: 1, sequence: 5 });
    forward(old, 'from');
    await targetHas(4);
    expect(broken).toEqual([]);
  });

  it('wait for each other over an outage of the target', async () => {
    const [old, next] = [await spoolOf(epoch(1, 1, 2)), await spoolOf(epoch(1, 3))];
    target.away = true;
    const from = forward(old, 'from');
    forward(next, 'to');
    await waitUntil('the target was asked in vain', () => target.questions > 2);
    expect(from.isDrained).toBe(false);
    target.away = false;
    await targetHas(3);
    expect(broken).toEqual([]);
  });

  it('begin no newer epoch at the target while the old one may have something of the epoch before', async () => {
    const [old, next] = [await spoolOf(epoch(1, 1, 2)), await spoolOf(epoch(2, 1, 2))];
    forward(next, 'to');
    await waitUntil('the new one has asked again', () => target.questions > 2);
    expect(target.epoch).toBe(0);
    forward(old, 'from');
    await targetHas(2);
    await waitUntil('the old one is done', () => old.spoolSets === 0);
    await started[0]?.stop();
    forward(next, undefined);
    await targetHas(2, 2);
  });

  it('let the old one begin what it has of a newer epoch, and the new one go on in it', async () => {
    const [old, next] = [await spoolOf([...epoch(1, 1), ...epoch(2, 1)]), await spoolOf(epoch(2, 2))];
    forward(next, 'to');
    forward(old, 'from');
    await targetHas(2, 2);
    expect(target.arrivals).toEqual(['1/1', '2/1', '2/2']);
  });

  it('do not wait for ever for a set that nobody has any more', async () => {
    const old = await spoolOf(epoch(1, 1, 3));
    const from = forward(old, 'from');
    await targetHas(1);
    await waitUntil('the target was asked again', () => target.questions > 2);
    expect(from.isDrained).toBe(false);
    aheadMillis = 31_000;
    await waitUntil('it is not waited for any more', () => from.isDrained);
    expect(broken).toEqual([]);
  });

  it('go on with a newer epoch of the old one when what the one before waits for comes from nobody', async () => {
    const old = await spoolOf([...epoch(1, 1, 3), ...epoch(2, 1, 2)]);
    const from = forward(old, 'from');
    await targetHas(1);
    await waitUntil('the target was asked again', () => target.questions > 2);
    aheadMillis = 31_000;
    await targetHas(2, 2);
    await waitUntil('nothing is left', () => from.isDrained);
    expect({ broken, sets: old.spoolSets }).toEqual({ broken: [], sets: 0 });
  });

  it('end the epoch at the gap once the old one was given up', async () => {
    const next = await spoolOf(epoch(1, 3, 4));
    forward(next, undefined).senderHas({ epoch: 1, sequence: 5 });
    await waitUntil('the epoch has ended', () => broken.length > 0);
    expect(broken).toEqual([expect.stringContaining('sets 1 to 4 of epoch 1 are missing')]);
  });
});
