// SPDX-License-Identifier: Apache-2.0
// Sets go on to the target without being written down, unless the target is slow or down.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ProcessServerPair } from '@secondsite/contracts';
import { temporaryDirectory } from '@secondsite/disk-files/testing';
import { allowEveryone, ChangeSetClient, type PutOutcome, REPLICA_LACKS_BASE } from '@secondsite/transport';
import { MIB } from '@secondsite/units';
import { cp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessServerFact } from './control/control-plane';
import { ProcessServer } from './process-server';
import { changeSetBytes, dataOf, FakeMasterTarget, GatedWire, type SampleSet, waitUntil } from './testing';

const pairId = '0f0e0d0c-0b0a-4908-8706-050403020100';
const headerBytes = 160;
const resync = { resync: true };
const epochStarted = { kind: 'epoch-started', reason: 'baseline', volumeBytes: 1 << 30, resyncBytes: 1 << 30 } as const;

type Sample = Partial<SampleSet> & { readonly oldestPending?: number };

describe('sets that pass the process server', () => {
  let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
  let target: FakeMasterTarget;
  let targetUrl: string;
  let wire: GatedWire;
  let server: ProcessServer;
  let client: ChangeSetClient;
  let facts: ProcessServerFact[];
  let revision = 0;

  beforeEach(async () => {
    folder = await temporaryDirectory();
    target = new FakeMasterTarget();
    targetUrl = await target.start();
    wire = new GatedWire();
    facts = [];
  });

  afterEach(async () => {
    await stop();
    await wire.stop();
    await target.stop();
    await folder.dispose();
  });

  async function start(pair: Partial<ProcessServerPair> = {}): Promise<void> {
    server = await ProcessServer.open({
      dataDir: folder.path, listen: { host: '127.0.0.1', port: 0 }, authorize: allowEveryone, reporter: { report: (fact) => facts.push(fact) },
      freeBytesMin: 0, memoryBytesMax: 10_000, onFatal: (error) => { throw error; },
    });
    await reconcile(pair);
    client = new ChangeSetClient({ url: (await server.listen()).url, connectionsMax: 8 });
  }

  async function reconcile(pair: Partial<ProcessServerPair>): Promise<void> {
    const limits = { spoolBytesMax: { resync: 64 * MIB, differential: 64 * MIB } };
    const config: ProcessServerPair = { pairId, masterTargetUrl: targetUrl, compression: 'none', paused: false, priority: 'normal', linkIds: [], ...limits, ...pair };
    await server.reconcile({ revision: (revision += 1), pairs: [config], removedPairs: [], links: [] });
  }

  async function stop(): Promise<void> {
    client.close();
    await server.close();
  }

  /** Stops, and starts again with the spool as it is then; returns a copy of that spool. */
  async function restart(): Promise<string> {
    await stop();
    const copy = join(folder.path, 'spool-before');
    await cp(join(folder.path, 'spool'), copy, { recursive: true });
    await start();
    return copy;
  }

  /** As after a crash: whatever was not noted on the disk when `copy` was made is not known any more. */
  async function crashBackTo(copy: string): Promise<void> {
    await stop();
    await rm(join(folder.path, 'spool'), { recursive: true });
    await cp(copy, join(folder.path, 'spool'), { recursive: true });
    await start();
  }

  function put(epoch: number, sequence: number, { oldestPending, ...sample }: Sample = resync): Promise<PutOutcome> {
    return client.put([changeSetBytes({ pairId, epoch, sequence, ...sample })], { pairId, epoch, sequence, oldestPending });
  }

  /** The first set of an epoch, as an agent sends it; it reaches the target. */
  async function begin(epoch = 1): Promise<void> {
    expect((await put(epoch, 1, { ...resync, marker: epochStarted })).kind).toBe('stored');
    await waitUntil('the epoch began at the target', () => target.streams.get(pairId)?.epoch === epoch && target.contiguous(pairId) === 1);
  }

  async function putAll(from: number, to: number, sample: Sample = resync): Promise<void> {
    for (let sequence = from; sequence <= to; sequence += 1) expect((await put(1, sequence, { ...sample, oldestPending: sequence })).kind).toBe('stored');
  }

  const arrived = (count: number) => waitUntil(`${count} sets arrived`, () => target.contiguous(pairId) === count);
  const spoolIsEmpty = () => waitUntil('the spool is empty', () => server.telemetry()[0]?.spoolBytes === 0);

  /** All behind the first, which has a marker. */
  function expectTargetHolds(count: number, sample: (sequence: number) => Sample = () => resync): void {
    for (const sequence of range(2, count)) {
      const expected = Buffer.from(dataOf({ pairId, epoch: 1, sequence, ...sample(sequence) }));
      expect(expected.equals(target.streams.get(pairId)?.sets.get(sequence) ?? new Uint8Array())).toBe(true);
    }
    expect(target.damaged).toEqual([]);
  }

  /** Which of these sets the files of the spool hold or held: what was released is not overwritten while so little is written. */
  async function everOnDisk(sequences: readonly number[], sample: (sequence: number) => Sample = () => resync): Promise<number[]> {
    const spool = join(folder.path, 'spool', pairId);
    const names = (await readdir(spool, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile() && !entry.name.endsWith('.new'));
    const files = await Promise.all(names.map((entry) => readFile(join(entry.parentPath, entry.name))));
    const header = (sequence: number) => Buffer.from(changeSetBytes({ pairId, epoch: 1, sequence, ...sample(sequence) })).subarray(0, headerBytes);
    return sequences.filter((sequence) => files.some((file) => file.includes(header(sequence))));
  }

  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

  /** `concurrency` sets on their way at once, as an agent sends them. */
  async function putConcurrently(sequences: readonly number[], sample: (sequence: number) => Sample, concurrency = 8): Promise<void> {
    const waiting = [...sequences];
    const pending = new Set(sequences);
    const sender = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        expect(await put(1, next, { ...sample(next), oldestPending: Math.min(...pending) })).toMatchObject({ kind: 'stored' });
        pending.delete(next);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, sender));
  }

  describe('with a target that answers', () => {
    it.each(['none', 'process-server'] as const)('are at the target when they are answered, in order, and never in the spool (compression %s)', async (compression) => {
      const sample = () => ({ ...resync, dataBytes: 300_000 });
      await start({ compression });
      await begin();
      for (const sequence of range(2, 20)) {
        expect(await put(1, sequence, sample())).toMatchObject({ kind: 'stored', appliedEpoch: 1, appliedSequence: sequence });
        expect(target.contiguous(pairId)).toBe(sequence);
        expect(server.telemetry()).toMatchObject([{ receivedSequence: sequence, forwardedSequence: sequence, spoolBytes: 0, spoolSets: 0 }]);
      }
      expectTargetHolds(20, sample);
      expect(target.streams.get(pairId)?.arrivals).toEqual(range(1, 20).map((sequence) => `1/${sequence}`));
      expect(await everOnDisk(range(2, 20), sample)).toEqual([]);
      expect(await everOnDisk([1], () => ({ ...resync, marker: epochStarted }))).toEqual([1]);
      expect(server.pairs.get(pairId)?.hops.find(pairId, { epoch: 1, sequence: 20 })?.hops.map(({ hop }) => hop)).toEqual(['forwarded']);
    });

    it('may hold writes and blocks of a resynchronisation, and keep their order', async () => {
      const sample = (sequence: number) => ({ resync: sequence % 3 !== 0 });
      await start();
      await begin();
      await putConcurrently(range(2, 40), sample);
      await arrived(40);
      await spoolIsEmpty();
      expectTargetHolds(40, sample);
      expect(await everOnDisk(range(2, 40), sample)).toEqual([]);
      // Each once: none was sent so far ahead that the target had to turn it away.
      expect(target.requests).toBe(40);
      expect(facts).toEqual([]);
    });

    it('wait for the ones before them', async () => {
      await start();
      await begin();
      const later = [5, 4, 3].map((sequence) => put(1, sequence));
      const known = (sequence: number) => server.pairs.get(pairId)?.hops.find(pairId, { epoch: 1, sequence }) !== undefined;
      await waitUntil('the later ones are here', () => [3, 4, 5].every(known));
      expect(await put(1, 2)).toMatchObject({ kind: 'stored' });
      expect(await Promise.all(later)).toMatchObject(later.map(() => ({ kind: 'stored' })));
      expectTargetHolds(5);
      expect(target.streams.get(pairId)?.arrivals.slice(0, 2)).toEqual(['1/1', '1/2']);
      expect(await everOnDisk(range(2, 5))).toEqual([]);
    });

    it('wait a moment when the target asks for it, and go on without the spool', async () => {
      await start();
      await begin();
      target.creditBytes = 0;
      await putAll(2, 4);
      expect(target.contiguous(pairId)).toBe(4);
      expect(await everOnDisk(range(2, 4))).toEqual([]);
    });
  });

  describe('questions about the replica', () => {
    it('go to the target and come back as they are; held off while it is away, paused or not that far; refused in an old epoch', async () => {
      const question = Buffer.from('a question that only the target understands');
      const ask = (epoch: number, sequence: number) => client.compare(question, { pairId, epoch, sequence });
      await start();
      await begin(2);
      expect(await ask(2, 1)).toEqual({ kind: 'compared', answer: question });
      expect(await ask(2, 2)).toMatchObject({ kind: 'held-off', code: 'comparison/not-applied' });
      expect(await ask(1, 1)).toMatchObject({ kind: 'refused', code: 'change-set/old-epoch' });
      expect(await client.compare(question, { pairId: pairId.replace('0f', '0e'), epoch: 2, sequence: 1 })).toMatchObject({ kind: 'refused', code: 'change-set/unknown-pair' });
      await target.stop();
      expect(await ask(2, 1)).toMatchObject({ kind: 'held-off', code: 'transport/unreachable' });
      await target.start();
      expect(await ask(2, 1)).toMatchObject({ kind: 'compared' });
      await reconcile({ paused: true });
      expect(await ask(2, 1)).toMatchObject({ kind: 'held-off', code: 'forward/paused' });
    });
  });

  describe('behind a backlog of the spool', () => {
    it('wait for their turn when the target is not slow, or the backlog would never end', async () => {
      await start();
      await begin();
      await reconcile({ paused: true });
      await putAll(2, 20);
      expect(server.telemetry()).toMatchObject([{ receivedSequence: 20, forwardedSequence: 1, spoolSets: 19 }]);
      const gate = Promise.withResolvers<void>();
      target.gate = gate.promise;
      await reconcile({ paused: false });
      await waitUntil('the target was found', () => target.requests > 1);
      const outcome = put(1, 21);
      await waitUntil('the set is here', () => server.pairs.get(pairId)?.hops.find(pairId, { epoch: 1, sequence: 21 }) !== undefined);
      gate.resolve();
      expect(await outcome).toMatchObject({ kind: 'stored' });
      await arrived(21);
      expectTargetHolds(21);
      expect(await everOnDisk([20, 21])).toEqual([20]);
    });
  });

  describe('with a slow target', () => {
    it('go to the spool at once when they are far from their turn, after the first that were waited for', async () => {
      await start();
      await begin();
      const gate = Promise.withResolvers<void>();
      target.gate = gate.promise;
      const answered: number[] = [];
      const putAndNote = async (sequence: number): Promise<void> => {
        expect(await put(1, sequence)).toMatchObject({ kind: 'stored' });
        answered.push(sequence);
      };
      try {
        await Promise.all([2, 3].map(putAndNote));
        const near = putAndNote(4);
        await Promise.all(range(10, 14).map(putAndNote));
        expect([...answered].sort((left, right) => left - right)).toEqual([2, 3, ...range(10, 14)]);
        await near;
      } finally {
        gate.resolve();
      }
      await putAll(5, 9);
      await arrived(14);
      expectTargetHolds(14);
    });

    it('are answered when the spool has them, and reach the target by the sending that is under way', async () => {
      await start();
      await begin();
      const gate = Promise.withResolvers<void>();
      target.gate = gate.promise;
      const outcomes: PutOutcome[] = [];
      for (const sequence of range(2, 6)) void put(1, sequence).then((outcome) => outcomes.push(outcome));
      try {
        await waitUntil('all are answered', () => outcomes.length === 5);
        expect(outcomes).toMatchObject(range(2, 6).map(() => ({ kind: 'stored', appliedSequence: 1 })));
        expect(target.contiguous(pairId)).toBe(1);
        expect(await everOnDisk(range(2, 6))).toEqual(range(2, 6));
        expect(server.telemetry()).toMatchObject([{ receivedSequence: 6, forwardedSequence: 1, spoolSets: 5 }]);
      } finally {
        gate.resolve();
      }
      await arrived(6);
      await spoolIsEmpty();
      expectTargetHolds(6);
      expect(target.requests).toBe(6);
    });

    it('keep their memory to themselves while they are being sent, although the spool has them', async () => {
      const dataBytes = [0, 4096, 14 * MIB, 13 * MIB, 12 * MIB];
      const sample = (sequence: number) => ({ ...resync, dataBytes: dataBytes[sequence] ?? 0 });
      await start({ masterTargetUrl: await wire.start(targetUrl) });
      await begin();
      wire.hold();
      for (const sequence of [2, 3, 4]) expect(await put(1, sequence, sample(sequence))).toMatchObject({ kind: 'stored' });
      expect(target.requests).toBe(1);
      expect(server.telemetry()).toMatchObject([{ spoolSets: 3 }]);
      wire.release();
      await arrived(4);
      await spoolIsEmpty();
      expectTargetHolds(4, sample);
    });
  });

  describe('with a target that is down', () => {
    it('go to the spool at once, stay there over a restart, and reach the target when it is back', async () => {
      await start();
      await begin();
      await target.stop();
      const begun = performance.now();
      await putAll(2, 11);
      // Each alone would take a second if it waited for the target.
      expect(performance.now() - begun).toBeLessThan(5000);
      expect(await everOnDisk(range(2, 11))).toEqual(range(2, 11));
      await restart();
      expect(server.telemetry()).toMatchObject([{ receivedSequence: 11, spoolSets: 10 }]);
      await putAll(12, 13);
      await target.start();
      await arrived(13);
      await spoolIsEmpty();
      expectTargetHolds(13);
      expect(facts).toEqual([]);
      await waitUntil('the fault is over', () => server.telemetry()[0]?.fault === undefined);
      await putAll(14, 16);
      expect(await everOnDisk(range(14, 16))).toEqual([]);
    });
  });

  describe('after a restart', () => {
    it.each(['noted', 'not noted'])('go on where the target is, when it has all that were passed on (%s on the disk)', async (noted) => {
      await start();
      await begin();
      const copy = await restart();
      await putAll(2, 12);
      if (noted === 'noted') await restart();
      else await crashBackTo(copy);
      expect(await client.position(pairId)).toMatchObject({ sequence: noted === 'noted' ? 12 : 1 });
      await putAll(13, 15);
      await arrived(15);
      expectTargetHolds(15);
      expect(await everOnDisk(range(13, 15))).toEqual([]);
      expect(await client.position(pairId)).toMatchObject({ epoch: 1, sequence: 15, appliedSequence: 15 });
      expect(facts).toEqual([]);
      expect(server.telemetry()[0]?.fault).toBeUndefined();
    });

    it('are sent again by an agent that still has them when the target lost them', async () => {
      await start();
      await begin();
      const copy = await restart();
      await putAll(2, 12);
      target.forgetAfter(pairId, 9);
      await crashBackTo(copy);
      const outcomes = await Promise.all([12, 10, 11].map((sequence) => put(1, sequence, { ...resync, oldestPending: 10 })));
      expect(outcomes).toMatchObject(outcomes.map(() => ({ kind: 'stored' })));
      await arrived(12);
      expectTargetHolds(12);
      expect(facts).toEqual([]);
    });

    it.each(['noted', 'not noted'])('end the epoch when the target lost some that the agent has no more (%s on the disk)', async (noted) => {
      await start();
      await begin();
      const copy = await restart();
      await putAll(2, 12);
      target.forgetAfter(pairId, 9);
      if (noted === 'noted') await restart();
      else await crashBackTo(copy);
      await put(1, 13, { ...resync, oldestPending: 13 });
      await waitUntil('the gap is found', () => facts.length > 0);
      expect(facts).toMatchObject([{ kind: 'resync-required', pairId, reason: expect.stringContaining(noted === 'noted' ? 'has 9' : '10 to 12') }]);
      expect(server.telemetry()[0]?.fault?.code).toBe('change-set/stream-broken');
      expect(await put(1, 14, { ...resync, oldestPending: 14 })).toMatchObject({ kind: 'refused', code: 'change-set/stream-broken' });
      expect(target.streams.get(pairId)?.sets.has(13)).toBe(false);
      await begin(2);
      expect(await put(2, 2)).toMatchObject({ kind: 'stored' });
      await waitUntil('the new epoch goes on', () => target.contiguous(pairId) === 2);
      expect(facts.filter(({ kind }) => kind === 'resync-required')).toHaveLength(1);
      expect(server.telemetry()[0]?.fault).toBeUndefined();
    });
  });

  describe('with a target that lost everything', () => {
    it.each([false, true])('end the epoch at the next set, and tell the agent why the target refuses the one after (after a restart: %s)', async (restarts) => {
      await start();
      await begin();
      await putAll(2, 12);
      target.loseEverything();
      if (restarts) await restart();
      await put(1, 13, { ...resync, oldestPending: 13 });
      await waitUntil('the loss is found', () => facts.length > 0);
      expect(facts).toMatchObject([{ kind: 'resync-required', reason: 'the master target has 0 sets of epoch 1, 12 were confirmed' }]);
      expect(await put(1, 14, { ...resync, oldestPending: 14 })).toMatchObject({ kind: 'refused', code: 'change-set/stream-broken' });
      target.answer = ({ epoch, sequence }) => (epoch === 2 && sequence === 1 ? { kind: 'refused', code: REPLICA_LACKS_BASE, detail: 'nothing is here', hint: '' } : undefined);
      const gate = Promise.withResolvers<void>();
      target.gate = gate.promise;
      const sent = [put(2, 1, { ...resync, marker: { ...epochStarted, base: { epoch: 1, sequence: 12 } } }), put(2, 2), put(2, 3)];
      await waitUntil('all are here', () => [1, 2, 3].every((sequence) => server.pairs.get(pairId)?.hops.find(pairId, { epoch: 2, sequence }) !== undefined));
      gate.resolve();
      await Promise.all(sent);
      const refused = { kind: 'refused', code: REPLICA_LACKS_BASE, detail: 'nothing is here' };
      await waitUntil('the agent is told', async () => (await put(2, 4, { ...resync, oldestPending: 4 })).kind === 'refused');
      expect(await put(2, 5, { ...resync, oldestPending: 4 })).toMatchObject(refused);
      await begin(3);
      expect(await put(3, 2)).toMatchObject({ kind: 'stored' });
      await waitUntil('the new epoch goes on', () => target.contiguous(pairId) === 2);
      expect(server.telemetry()[0]?.fault).toBeUndefined();
      expect(facts.filter(({ kind }) => kind === 'resync-required')).toHaveLength(1);
    });
  });

  it('are held off when their pair leaves this process server while they are under way', async () => {
    await start();
    await begin();
    const gate = Promise.withResolvers<void>();
    target.gate = gate.promise;
    const before = target.requests;
    const outcome = put(1, 2);
    await waitUntil('the set is on its way', () => target.requests > before);
    await server.reconcile({ revision: (revision += 1), pairs: [], removedPairs: [pairId], links: [] });
    expect(await outcome).toMatchObject({ kind: 'held-off', code: 'change-set/unknown-pair' });
    gate.resolve();
  });

  it('end their epoch at a gap that nobody fills, also when what is behind it fills the spool', async () => {
    await start({ spoolBytesMax: { resync: 16_000, differential: 16_000 } });
    await begin();
    const behind = await Promise.all(range(3, 6).map((sequence) => put(1, sequence)));
    expect(behind.map(({ kind }) => kind)).toContain('stored');
    expect(await put(1, 9, { ...resync, oldestPending: 9 })).toMatchObject({ kind: 'held-off', code: 'change-set/flow-controlled' });
    await waitUntil('the epoch is over', () => facts.some(({ kind }) => kind === 'resync-required'));
  });
});
