// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBelow, seededRandom } from '@secondsite/durable-storage/testing';
import { NbdClient } from '@secondsite/nbd';
import { type HistorySet, StreamHistory } from '@secondsite/retention-journal/testing';
import { S3ColdStore } from '@secondsite/s3-cold-store';
import { startS3, type TestS3 } from '@secondsite/s3-cold-store/testing';
import { allowEveryone, ChangeSetClient } from '@secondsite/transport';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PairEvent, PairStatus } from './pair/pair-types';
import { TargetServer } from './target/target-server';

interface Running {
  readonly server: TargetServer;
  readonly client: ChangeSetClient;
}

async function until<Result>(what: string, look: () => Promise<Result | undefined | false>): Promise<Result> {
  for (const end = Date.now() + 20_000; Date.now() < end; await delay(20)) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
  }
  throw new Error(`${what} did not happen in time`);
}

describe('a master target with a cold store', () => {
  const random = seededRandom(31);
  const history = new StreamHistory({ random, volumeBytes: 120 * 1024 + 512 });
  const { pairId } = history;
  const pair = { pairId, volumeId: 'volume-1', volumeName: 'disk', sizeBytes: history.volumeBytes, retention: { windowSeconds: 86_400 } };
  const events: PairEvent[] = [];
  let s3: TestS3;
  let dataDir: string;
  let running: Running;

  beforeAll(async () => {
    s3 = await startS3();
    dataDir = await mkdtemp(join(tmpdir(), 'ss-mt-cold-'));
    running = await start();
    await running.server.reconcile({ revision: 1, pairs: [pair], removedPairs: [] });
  });

  afterAll(async () => {
    await stop();
    await s3?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  async function start(): Promise<Running> {
    const server = await TargetServer.open({
      dataDir, overAllocate: false, listen: { host: '127.0.0.1', port: 0 }, advertiseHost: '127.0.0.1', authorize: allowEveryone,
      limits: { freeBytesMin: 0, segmentBytes: 30_000, mergeLookMicros: 50_000 },
      cold: {
        endpoint: s3.endpoint, bucket: s3.bucket, region: 'us-east-1', root: 'secondsite/tenant', folder: 'mt-1',
        policy: { afterMicros: 0, aboveShare: 1 }, cacheBytesMax: 1 << 20,
      },
      reporter: { pairEvent: (_pairId, event) => events.push(event), overAllocated: () => undefined },
      onFatal: (error) => {
        throw error;
      },
    });
    const { url } = await server.listen();
    return { server, client: new ChangeSetClient({ url }) };
  }

  async function stop(): Promise<void> {
    running?.client.close();
    await running?.server.close();
  }

  async function send(count: number): Promise<void> {
    for (let sent = 0; sent < count; sent++) {
      const set = history.next();
      expect(await running.client.put([set.bytes], { pairId, epoch: set.epoch, sequence: set.sequence })).toMatchObject({ kind: 'stored' });
    }
    const last = history.sets.at(-1) as HistorySet;
    await until('applying', async () => {
      const { applied } = await running.server.status(pairId);
      return applied.epoch === last.epoch && applied.sequence === last.sequence;
    });
  }

  /** Work beside applying begins with what is applied. */
  async function sendUntil<Result>(what: string, look: (status: PairStatus) => Result | undefined | false): Promise<Result> {
    return until(what, async () => {
      await send(1);
      return look(await running.server.status(pairId));
    });
  }

  async function read(viewId: string, pointTime: number): Promise<Buffer> {
    const answer = await running.server.openView(pairId, { viewId, pointTime, readWrite: false });
    if (!answer.ok) throw new Error(`view refused: ${answer.reason}`);
    const client = await NbdClient.connect(answer.view.nbdUris[0] as string);
    const bytes = Buffer.alloc(history.volumeBytes);
    try {
      for (let at = 0; at < bytes.length; at += 32 * 1024) await client.read(at, bytes.subarray(at, at + 32 * 1024));
      return bytes;
    } finally {
      await client.disconnect();
      await running.server.closeView(viewId);
    }
  }

  async function coldTimes(): Promise<number[]> {
    const { ranges, localFrom } = await running.server.points(pairId, {});
    return history.interestingTimes().filter((time) => time < localFrom && ranges.some(({ green, from, to }) => green && from <= time && time <= to));
  }

  async function expectViews(count: number): Promise<void> {
    const times = await coldTimes();
    expect(times.length).toBeGreaterThan(count);
    for (let view = 0; view < count; view++) {
      const time = times[randomBelow(random, times.length)] as number;
      expect((await read(`v${view}`, time)).equals(history.at(time)?.image as Uint8Array)).toBe(true);
    }
  }

  it('serves exact views of old points from the store, also after a restart, and says how much is there', async () => {
    while (!history.green || history.sets.length < 30) await send(5);
    const { cold } = await sendUntil('moving', (status) => (status.cold?.bytes ?? 0) > 20_000 && status);
    expect(cold).toMatchObject({ trouble: undefined, localFrom: expect.any(Number) });
    const files = await readdir(join(dataDir, 'pairs', pairId, 'journal'));
    expect(files.filter((name) => name.endsWith('.cold')).length).toBeGreaterThan(files.filter((name) => name.endsWith('.undo')).length);
    expect((await running.server.telemetry())[0]?.retention?.cold).toMatchObject({ bytes: expect.any(Number) });
    await expectViews(4);
    await stop();
    running = await start();
    await expectViews(4);
  });

  it('goes on applying while the store is away: a read of an old point fails with EIO after a while, moving waits, both are told, and end by themselves', async () => {
    await s3.pause();
    await stop();
    running = await start();
    const [oldest] = (await coldTimes()) as [number];
    const reading = read('away', oldest).then(() => 'read', (error: unknown) => error);
    const { cold } = await sendUntil('trouble', (status) => status.cold?.trouble && status.cold.waitingBytes > 0 && status);
    expect(cold?.trouble?.code).toBe('cold-store/unreachable');
    expect(await reading).toMatchObject({ code: 'storage/io-error' });
    const told = events.flatMap((event) => (event.kind === 'cold-store-failed' ? [`${event.affects}: ${event.code}`] : []));
    expect(told.sort()).toEqual(['moving: cold-store/unreachable', 'views: cold-store/unreachable']);
    await s3.resume();
    await sendUntil('moving again', (status) => status.cold?.trouble?.code === undefined || status.cold.waitingBytes === 0);
    await expectViews(3);
    await until('the end of the alarm', async () => events.filter(({ kind }) => kind === 'cold-store-recovered').length === 2);
  });

  it('leaves nothing in the store of a pair that is removed', async () => {
    const store = new S3ColdStore({ endpoint: s3.endpoint, bucket: s3.bucket, region: 'us-east-1', root: 'secondsite/tenant' });
    const names = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const page of store.list('mt-1/')) found.push(...page.map(({ name }) => name));
      return found;
    };
    expect((await names()).length).toBeGreaterThan(3);
    await running.server.reconcile({ revision: 2, pairs: [], removedPairs: [pairId] });
    expect(await readdir(join(dataDir, 'pairs'))).toEqual([]);
    await until('an empty folder in the bucket', async () => (await names()).length === 0);
    store.close();
  });
});
