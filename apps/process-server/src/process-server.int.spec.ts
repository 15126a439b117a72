// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ProcessServerPair } from '@secondsite/contracts';
import { temporaryDirectory } from '@secondsite/disk-files/testing';
import { allowEveryone, ChangeSetClient, type PutOutcome } from '@secondsite/transport';
import { MIB } from '@secondsite/units';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessServerFact } from './control/control-plane';
import { ProcessServer, type ProcessServerOptions } from './process-server';
import { changeSetBytes, dataOf, FakeMasterTarget, type SampleSet, waitUntil } from './testing';

const pairId = '0f0e0d0c-0b0a-4908-8706-050403020100';

describe('process server', () => {
  let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
  let target: FakeMasterTarget;
  let targetUrl: string;
  let server: ProcessServer;
  let client: ChangeSetClient;
  let facts: ProcessServerFact[];

  beforeEach(async () => {
    folder = await temporaryDirectory();
    target = new FakeMasterTarget();
    targetUrl = await target.start();
    facts = [];
  });

  afterEach(async () => {
    client.close();
    await server.close();
    await target.stop();
    await folder.dispose();
  });

  async function start(options: { pair?: Partial<ProcessServerPair>; server?: Partial<ProcessServerOptions>; assigned?: boolean } = {}): Promise<void> {
    server = await ProcessServer.open({
      dataDir: folder.path, listen: { host: '127.0.0.1', port: 0 }, authorize: allowEveryone, reporter: { report: (fact) => facts.push(fact) },
      freeBytesMin: 0, memoryBytesMax: 8 * MIB, onFatal: (error) => { throw error; }, ...options.server,
    });
    if (options.assigned !== false) await server.reconcile({ revision: 1, pairs: [pairConfig(options.pair)], removedPairs: [], links: [] });
    const { url } = await server.listen();
    client = new ChangeSetClient({ url });
  }

  function pairConfig(change: Partial<ProcessServerPair> = {}): ProcessServerPair {
    return { pairId, masterTargetUrl: targetUrl, compression: 'none', spoolBytesMax: { resync: 64 * MIB, differential: 64 * MIB }, paused: false, priority: 'normal', linkIds: [], ...change };
  }

  async function restart(options: Parameters<typeof start>[0] = {}): Promise<void> {
    client.close();
    await server.close();
    await start(options);
  }

  function put(epoch: number, sequence: number, sample: Partial<SampleSet> = {}): Promise<PutOutcome> {
    return client.put([changeSetBytes({ pairId, epoch, sequence, ...sample })], { pairId, epoch, sequence });
  }

  async function putAll(epoch: number, count: number, sample: Partial<SampleSet> = {}): Promise<void> {
    for (let sequence = 1; sequence <= count; sequence += 1) expect((await put(epoch, sequence, sample)).kind).toBe('stored');
  }

  const arrived = (count: number) => waitUntil(`${count} sets arrived`, () => target.contiguous(pairId) === count);

  function expectTargetHolds(epoch: number, count: number, sample: Partial<SampleSet> = {}): void {
    for (let sequence = 1; sequence <= count; sequence += 1) {
      const expected = Buffer.from(dataOf({ pairId, epoch, sequence, ...sample }));
      expect(expected.equals(target.streams.get(pairId)?.sets.get(sequence) ?? new Uint8Array())).toBe(true);
    }
  }

  it('forwards everything, byte for byte, then frees its space and tells the agent what is applied', async () => {
    await start();
    await putAll(1, 30, { dataBytes: 100_000 });
    await arrived(30);
    expectTargetHolds(1, 30, { dataBytes: 100_000 });
    await waitUntil('the spool is empty', () => server.telemetry()[0]?.spoolBytes === 0);
    expect(await client.position(pairId)).toMatchObject({ kind: 'known', epoch: 1, sequence: 30, appliedEpoch: 1, appliedSequence: 30 });
    expect(await put(1, 30)).toMatchObject({ kind: 'stored', appliedSequence: 30 });
    expect(server.telemetry()[0]).toMatchObject({ receivedSequence: 30, forwardedSequence: 30, spoolSets: 0 });
  });

  it('takes sets in any order and forwards them within the window of the target', async () => {
    await start();
    const order = [3, 1, 2, 8, 7, 6, 5, 4, 12, 11, 10, 9];
    await Promise.all(order.map((sequence) => put(1, sequence)));
    await arrived(12);
    expectTargetHolds(1, 12);
  });

  it('compresses on the way when told to, only what gets smaller', async () => {
    await start({ pair: { compression: 'process-server' } });
    await putAll(1, 3, { dataBytes: 50_000 });
    await arrived(3);
    expect(target.compressedSets).toBe(3);
    expectTargetHolds(1, 3, { dataBytes: 50_000 });
  });

  it('keeps confirmed sets over an outage of the target and its own restarts, and goes on by itself', async () => {
    await start({ server: { memoryBytesMax: 10_000 } });
    await target.stop();
    await putAll(1, 10);
    await waitUntil('the outage is noticed', () => server.telemetry()[0]?.fault?.code === 'transport/unreachable');
    await restart({ assigned: false });
    for (let sequence = 11; sequence <= 20; sequence += 1) await put(1, sequence);
    expect(await client.position(pairId)).toMatchObject({ sequence: 20, appliedSequence: 0 });
    await target.start();
    await arrived(20);
    expectTargetHolds(1, 20);
    await waitUntil('the fault is over', () => server.telemetry()[0]?.fault === undefined);
  });

  it('sends nothing of an epoch before the one before it is done, and drops what lies behind a gap of the old one', async () => {
    await start();
    await target.stop();
    await putAll(1, 5);
    await put(1, 7);
    await putAll(2, 3);
    expect(await put(1, 6)).toMatchObject({ kind: 'refused', code: 'change-set/old-epoch', status: 409 });
    expect(facts).toMatchObject([{ kind: 'change-set-refused', epoch: 1, sequence: 6, code: 'change-set/old-epoch' }]);
    expect(server.pairs.get(pairId)?.quarantined()).toMatchObject([{ epoch: 1, sequence: 6, reason: 'epoch 1 is over, the pair is in epoch 2', keptAt: expect.any(Number) }]);
    await target.start();
    await waitUntil('epoch 2 arrived', () => target.streams.get(pairId)?.epoch === 2 && target.contiguous(pairId) === 3);
    const { arrivals = [] } = target.streams.get(pairId) ?? {};
    expect(arrivals.slice(0, 5).sort()).toEqual(['1/1', '1/2', '1/3', '1/4', '1/5']);
    expect(arrivals.slice(5).sort()).toEqual(['2/1', '2/2', '2/3']);
    await waitUntil('nothing is left', () => server.telemetry()[0]?.spoolSets === 0);
  });

  it('refuses damaged, foreign and misaddressed sets, reports them, and keeps nothing of them', async () => {
    await start();
    const bytes = Buffer.from(changeSetBytes({ pairId, epoch: 1, sequence: 1 }));
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    expect(await client.put([bytes], { pairId, epoch: 1, sequence: 1 })).toMatchObject({ kind: 'refused', status: 422, code: 'change-set/corrupt' });
    expect(await client.put([Buffer.from('nonsense')], { pairId, epoch: 1, sequence: 1 })).toMatchObject({ status: 422 });
    const other = pairId.replace('0f', 'ff');
    expect(await client.put([changeSetBytes({ pairId: other, epoch: 1, sequence: 1 })], { pairId: other, epoch: 1, sequence: 1 })).toMatchObject({
      status: 409, code: 'change-set/unknown-pair',
    });
    expect(await client.put([changeSetBytes({ pairId, epoch: 1, sequence: 2 })], { pairId, epoch: 1, sequence: 1 })).toMatchObject({
      status: 409, code: 'change-set/wrong-address',
    });
    const codes = facts.map((fact) => fact.kind === 'change-set-refused' && fact.code);
    expect(codes).toEqual(['change-set/corrupt', 'change-set/truncated', 'change-set/unknown-pair', 'change-set/wrong-address']);
    expect(server.telemetry()).toMatchObject([{ spoolBytes: 0, spoolSets: 0 }]);
    expect(await client.position(other)).toMatchObject({ kind: 'refused', code: 'change-set/unknown-pair' });
  });

  it('holds the agent off while the spool is full, says so once, and takes more by itself when the target is back', async () => {
    await start({ pair: { spoolBytesMax: { resync: 20_000, differential: 40_000 } } });
    await target.stop();
    await putAll(1, 5);
    expect(await put(1, 6)).toMatchObject({ kind: 'held-off', code: 'change-set/flow-controlled' });
    expect(await put(1, 6)).toMatchObject({ kind: 'held-off' });
    expect(facts).toMatchObject([{ kind: 'flow-control-started', pairId }]);
    expect(await client.position(pairId)).toMatchObject({ creditBytes: 0, sequence: 5 });
    await target.start();
    await waitUntil('the agent may send again', async () => (await put(1, 6)).kind === 'stored');
    expect(facts.map(({ kind }) => kind)).toEqual(['flow-control-started', 'flow-control-ended']);
  });

  it('gives a pair in differential sync the larger limit, from the marker in its stream on', async () => {
    await start({ pair: { spoolBytesMax: { resync: 20_000, differential: 400_000 }, paused: true } });
    await put(1, 1, { marker: { kind: 'epoch-started', reason: 'baseline', volumeBytes: 1 << 20, resyncBytes: 1 << 20 } });
    expect(await client.position(pairId)).toMatchObject({ creditBytes: expect.any(Number) });
    await put(1, 2, { marker: { kind: 'resync-read' } });
    for (let sequence = 3; sequence <= 20; sequence += 1) expect((await put(1, sequence)).kind).toBe('stored');
    expect(server.telemetry()[0]?.fault?.code).toBe('forward/paused');
  });

  it('always takes the one set that its spool waits for, or it would stay full for ever', async () => {
    await start({ pair: { spoolBytesMax: { resync: 20_000, differential: 20_000 } } });
    for (const sequence of [2, 3, 4, 5, 6]) await put(1, sequence);
    expect(await put(1, 7)).toMatchObject({ kind: 'held-off' });
    expect((await put(1, 1)).kind).toBe('stored');
    await arrived(6);
  });

  it('stops accepting before the disk is full, with 507, and goes on when there is room', async () => {
    await start({ server: { freeBytesMin: Number.MAX_SAFE_INTEGER / 4 } });
    expect(server.notReadyReason()).toContain('bytes are free');
    const outcome = await put(1, 5);
    expect(outcome).toMatchObject({ kind: 'held-off', code: 'storage/no-space' });
    await restart({ assigned: false });
    expect(server.notReadyReason()).toBeUndefined();
    await putAll(1, 1);
    await arrived(1);
  });

  it('waits for a target that holds it off, refuses the pair for now or sees damage, and never skips a set', async () => {
    await start();
    const answers: ReturnType<NonNullable<FakeMasterTarget['answer']>>[] = [
      { kind: 'held-off', code: 'change-set/flow-controlled', detail: 'full', retryAfterMillis: 10 },
      { kind: 'refused', code: 'change-set/unknown-pair', detail: 'not yet', hint: 'Wait.' },
      { kind: 'corrupt', code: 'change-set/corrupt', detail: 'damaged', hint: 'Again.' },
    ];
    target.answer = () => answers.shift();
    await putAll(1, 6);
    await arrived(6);
    expectTargetHolds(1, 6);
    expect(facts).toMatchObject([{ kind: 'change-set-refused', code: 'change-set/corrupt' }]);
  });

  it('drops what the target refuses as older, and closes and removes pairs as the desired state says', async () => {
    await start();
    target.answer = () => ({ kind: 'refused', code: 'change-set/old-epoch', detail: 'older', hint: 'New epoch.' });
    await put(1, 1);
    await waitUntil('the set is gone', () => server.telemetry()[0]?.spoolSets === 0);
    expect(await put(1, 2)).toMatchObject({ kind: 'refused', code: 'change-set/old-epoch' });
    target.answer = undefined;
    await putAll(2, 2);
    await arrived(2);
    await server.reconcile({ revision: 2, pairs: [], removedPairs: [], links: [] });
    expect(await put(2, 3)).toMatchObject({ code: 'change-set/unknown-pair' });
    expect(await readdir(join(folder.path, 'spool'))).toEqual([pairId]);
    await server.reconcile({ revision: 3, pairs: [], removedPairs: [pairId], links: [] });
    expect(await readdir(join(folder.path, 'spool'))).toEqual([]);
  });

  it('tells the agent to begin a new epoch when its disk damaged a set, which it never sends', async () => {
    await start({ server: { memoryBytesMax: 1 } });
    await target.stop();
    await putAll(1, 5, { dataBytes: 10_000 });
    const segment = await open(join(folder.path, 'spool', pairId, 'segment-000000000001.log'), 'r+');
    await segment.write(Buffer.from('damage'), 0, 6, 25_000);
    await segment.close();
    await target.start();
    await waitUntil('the damage is found', () => server.telemetry()[0]?.fault?.code === 'change-set/stream-broken');
    expect(facts).toMatchObject([{ kind: 'resync-required', pairId }]);
    expect(await put(1, 6)).toMatchObject({ kind: 'refused', code: 'change-set/stream-broken' });
    expect((await put(2, 1)).kind).toBe('stored');
    await waitUntil('the new epoch arrived', () => target.streams.get(pairId)?.epoch === 2 && target.contiguous(pairId) === 1);
    expect(target.streams.get(pairId)?.arrivals).not.toContain('1/3');
    expect(server.telemetry()[0]?.fault).toBeUndefined();
  });

  it('lets no second process use its folder', async () => {
    await start();
    await expect(
      ProcessServer.open({
        dataDir: folder.path, listen: { host: '127.0.0.1', port: 0 }, authorize: allowEveryone, reporter: { report: () => undefined },
        freeBytesMin: 0, memoryBytesMax: MIB, onFatal: () => undefined,
      }),
    ).rejects.toMatchObject({ code: 'storage/locked' });
  });
});
