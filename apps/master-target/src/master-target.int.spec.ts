// SPDX-License-Identifier: Apache-2.0
import { afterEach, describe, expect, it } from '@jest/globals';
import { randomBelow, seededRandom } from '@secondsite/durable-storage/testing';
import { NbdClient } from '@secondsite/nbd';
import { type HistorySet, StreamHistory } from '@secondsite/retention-journal/testing';
import { allowEveryone, ChangeSetClient } from '@secondsite/transport';
import { execFile, spawn } from 'node:child_process';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { PairEvent } from './pair/pair-types';
import { TargetServer } from './target/target-server';

const run = promisify(execFile);
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Running {
  readonly server: TargetServer;
  readonly client: ChangeSetClient;
  readonly events: PairEvent[];
  readonly refusedPairs: string[];
}

async function startServer(dataDir: string, overAllocate = false): Promise<Running> {
  const events: PairEvent[] = [];
  const refusedPairs: string[] = [];
  const server = await TargetServer.open({
    dataDir, overAllocate, listen: { host: '127.0.0.1', port: 0 }, advertiseHost: '127.0.0.1', authorize: allowEveryone,
    limits: { freeBytesMin: 0 },
    reporter: { pairEvent: (_pairId, event) => events.push(event), overAllocated: (pairId) => refusedPairs.push(pairId) },
    onFatal: (error) => {
      throw error;
    },
  });
  const { url } = await server.listen();
  const client = new ChangeSetClient({ url });
  return { server, client, events, refusedPairs };
}

async function stop({ server, client }: Running): Promise<void> {
  client.close();
  await server.close();
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ss-mt-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function desired(history: StreamHistory, retention: { windowSeconds: number; spaceBytes?: number } = { windowSeconds: 86_400 }) {
  const pair = { pairId: history.pairId, volumeId: 'volume-1', volumeName: 'disk', sizeBytes: history.volumeBytes, retention };
  return { revision: 1, pairs: [pair], removedPairs: [] };
}

async function send(client: ChangeSetClient, history: StreamHistory, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent++) await sendOne(client, history, history.next());
}

async function sendOne(client: ChangeSetClient, history: StreamHistory, set: HistorySet): Promise<void> {
  const outcome = await client.put([set.bytes], { pairId: history.pairId, epoch: set.epoch, sequence: set.sequence });
  expect(outcome).toMatchObject({ kind: 'stored' });
}

async function waitUntilApplied(server: TargetServer, history: StreamHistory): Promise<void> {
  const last = history.sets.at(-1) as HistorySet;
  for (const until = Date.now() + 20_000; ; ) {
    const { applied } = await server.status(history.pairId);
    if (applied.epoch === last.epoch && applied.sequence === last.sequence) return;
    if (Date.now() > until) throw new Error(`not applied in time: ${JSON.stringify(applied)}`);
    await delay(20);
  }
}

async function readAll(uri: string, length: number): Promise<Buffer> {
  const client = await NbdClient.connect(uri);
  const bytes = Buffer.alloc(length);
  await client.read(0, bytes);
  await client.disconnect();
  return bytes;
}

describe('a master target', () => {
  it('serves exact views over NBD to real clients, survives a restart with them, and keeps what was written to them', async () => {
    const dataDir = await temporaryFolder();
    const random = seededRandom(77);
    const history = new StreamHistory({ random, volumeBytes: 120 * 1024 + 512 });
    let running = await startServer(dataDir);
    await running.server.reconcile(desired(history));
    while (!history.green || history.sets.length < 25) await send(running.client, history, 5);
    await waitUntilApplied(running.server, history);
    const points = await running.server.resolve([history.pairId], { kind: 'latest' });
    const offered = await offeredTimes(running.server, history);
    const time = offered[randomBelow(random, offered.length)] as number;
    const readOnly = await opened(running.server, history, { viewId: 'ro', pointTime: time, readWrite: false });
    const readWrite = await opened(running.server, history, { viewId: 'rw', pointTime: time, readWrite: true });
    expect(points).toMatchObject({ ok: true });

    const image = Buffer.from(history.at(time)?.image as Uint8Array);
    const copy = join(dataDir, 'copy.img');
    await run('nbdcopy', [readOnly.nbdUris[0] as string, copy]);
    expect((await readFile(copy)).equals(image)).toBe(true);
    const scratch = Buffer.alloc(5000, 0x5a);
    const writer = await NbdClient.connect(readWrite.nbdUris[1] as string);
    await writer.write(12_345, scratch);
    await writer.flush();
    await writer.disconnect();
    scratch.copy(image, 12_345);
    await send(running.client, history, 10);
    await waitUntilApplied(running.server, history);
    expect((await readAll(readWrite.nbdUris[0] as string, image.length)).equals(image)).toBe(true);
    await stop(running);

    running = await startServer(dataDir);
    const again = await running.server.listViews();
    expect(again.map((view) => view.viewId).sort()).toEqual(['ro', 'rw']);
    await send(running.client, history, 5);
    expect((await readAll(again.find((view) => view.viewId === 'rw')?.nbdUris[1] as string, image.length)).equals(image)).toBe(true);
    expect((await readAll(again.find((view) => view.viewId === 'ro')?.nbdUris[0] as string, image.length)).equals(history.at(time)?.image as Uint8Array)).toBe(true);
    expect(await running.server.closeView('rw')).toBe(true);
    expect(await running.server.closeView('rw')).toBe(false);
    await stop(running);
  });

  it('refuses a pair for which the disk has no space, foreign pairs, and instants outside the window with the nearest ones', async () => {
    const dataDir = await temporaryFolder();
    const history = new StreamHistory({ random: seededRandom(5) });
    const running = await startServer(dataDir);
    await running.server.reconcile(desired(history, { windowSeconds: 60, spaceBytes: 2 ** 50 }));
    expect(running.refusedPairs).toEqual([history.pairId]);
    const set = history.next();
    const refused = await running.client.put([set.bytes], { pairId: history.pairId, epoch: 1, sequence: 1 });
    expect(refused).toMatchObject({ kind: 'refused', code: 'change-set/unknown-pair' });
    await running.server.reconcile(desired(history));
    await sendOne(running.client, history, set);
    while (!history.green) await send(running.client, history, 1);
    await waitUntilApplied(running.server, history);
    const answer = await running.server.openView(history.pairId, { viewId: 'x', pointTime: history.time + 1, readWrite: false });
    expect(answer).toMatchObject({ ok: false, reason: 'after-latest', nearestBefore: history.time });
    expect(running.events.map((event) => event.kind)).toEqual(expect.arrayContaining(['resync-started', 'resync-read', 'differential-sync-reached', 'applied']));
    await running.server.reconcile({ revision: 2, pairs: [], removedPairs: [history.pairId] });
    await expect(access(join(dataDir, 'pairs', history.pairId))).rejects.toMatchObject({ code: 'ENOENT' });
    await stop(running);
  });

  it('loses no set that it answered and the agent cannot read again when the process is killed at any instant', async () => {
    const dataDir = await temporaryFolder();
    const random = seededRandom(99);
    const history = new StreamHistory({ random });
    await prepareState(dataDir, history);
    let waiting: HistorySet | undefined;
    for (let round = 0; round < 4; round++) {
      const child = await startProcess(dataDir);
      const client = new ChangeSetClient({ url: child.url });
      if (await noticeLoss(client, history, waiting)) waiting = undefined;
      const killAfter = 5 + randomBelow(random, 15);
      for (let answered = 0; ; answered++) {
        waiting ??= history.next();
        const sending = client.put([waiting.bytes], { pairId: history.pairId, epoch: waiting.epoch, sequence: waiting.sequence });
        if (answered === killAfter) child.kill();
        if ((await sending).kind !== 'stored') break;
        waiting = undefined;
      }
      client.close();
      await child.exited;
    }
    const running = await startServer(dataDir);
    if (await noticeLoss(running.client, history, waiting)) waiting = undefined;
    if (waiting) await sendOne(running.client, history, waiting);
    await send(running.client, history, 1);
    await waitUntilApplied(running.server, history);
    const offered = await offeredTimes(running.server, history);
    for (let view = 0; view < 10 && offered.length > 0; view++) {
      const time = offered[randomBelow(random, offered.length)] as number;
      const { nbdUris } = await opened(running.server, history, { viewId: `v${view}`, pointTime: time, readWrite: false });
      expect((await readAll(nbdUris[0] as string, history.volumeBytes)).equals(history.at(time)?.image as Uint8Array)).toBe(true);
    }
    expect(offered.length).toBeGreaterThan(0);
    await stop(running);
  });
});

/**
 * As process server and agent do: when the target, started anew, lacks sets that it had answered, a new epoch begins with their regions. Only
 * sets that carry nothing but blocks of a resynchronisation may lack.
 */
async function noticeLoss(client: ChangeSetClient, history: StreamHistory, waiting: HistorySet | undefined): Promise<boolean> {
  const position = await client.position(history.pairId);
  if (position.kind !== 'known') throw new Error(`no position: ${JSON.stringify(position)}`);
  const isAfter = ({ epoch, sequence }: HistorySet): boolean => epoch > position.epoch || (epoch === position.epoch && sequence > position.sequence);
  const first = history.sets.find(isAfter);
  if (!first || first === waiting) return false;
  expect(first.entries.map(({ kind }) => kind).filter((kind) => !kind.startsWith('resync-'))).toEqual([]);
  history.loseAfter(position);
  return true;
}

async function opened(server: TargetServer, history: StreamHistory, view: { viewId: string; pointTime: number; readWrite: boolean }) {
  const answer = await server.openView(history.pairId, view);
  if (!answer.ok) throw new Error(`view refused: ${answer.reason}`);
  return answer.view;
}

async function offeredTimes(server: TargetServer, history: StreamHistory): Promise<number[]> {
  const { ranges } = await server.points(history.pairId, {});
  const green = ranges.filter((range) => range.green);
  return history.interestingTimes().filter((time) => green.some((range) => range.from <= time && time <= range.to));
}

async function prepareState(dataDir: string, history: StreamHistory): Promise<void> {
  const running = await startServer(dataDir);
  await running.server.reconcile(desired(history));
  await stop(running);
}

async function startProcess(dataDir: string) {
  const environment = { ...process.env, SECONDSITE_DATA_DIR: dataDir, SECONDSITE_INSECURE: '1', NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'error' };
  await rm(join(dataDir, 'ready.json'), { force: true });
  const child = spawn(process.execPath, [join(__dirname, '..', 'dist', 'main.js')], { env: environment, stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  cleanups.push(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  for (const until = Date.now() + 20_000; Date.now() < until; await delay(30)) {
    const text = await readFile(join(dataDir, 'ready.json'), 'utf8').catch(() => undefined);
    if (text !== undefined) return { url: (JSON.parse(text) as { url: string }).url, exited, kill: () => child.kill('SIGKILL') };
  }
  throw new Error('the master target was not ready in time');
}
