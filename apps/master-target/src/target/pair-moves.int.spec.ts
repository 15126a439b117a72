// SPDX-License-Identifier: Apache-2.0
// A pair moves from one real master target to another while its sets keep coming: a view that was open stays exact, and random instants of before,
// during and after the move are byte for byte what the source was.
import { afterEach, describe, expect, it } from '@jest/globals';
import type { MasterTargetDesiredState, MasterTargetPair } from '@secondsite/contracts';
import { randomBelow, seededRandom } from '@secondsite/durable-storage/testing';
import { waitUntil } from '@secondsite/embedded-services';
import { temporaryFolder } from '@secondsite/embedded-services/testing';
import { NbdClient } from '@secondsite/nbd';
import { type HistorySet, StreamHistory } from '@secondsite/retention-journal/testing';
import { allowEveryone, ChangeSetClient } from '@secondsite/transport';
import type { TimeMicros } from '@secondsite/units';
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PairEvent } from '../pair/pair-types';
import { TargetServer } from './target-server';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Target {
  readonly dataDir: string;
  readonly events: PairEvent[];
  server: TargetServer;
  url: string;
}

async function openServer(dataDir: string, events: PairEvent[]): Promise<Pick<Target, 'server' | 'url'>> {
  const server = await TargetServer.open({
    dataDir, overAllocate: false, listen: { host: '127.0.0.1', port: 0 }, advertiseHost: '127.0.0.1', authorize: allowEveryone, limits: { freeBytesMin: 0, segmentBytes: 100_000 },
    reporter: { pairEvent: (_pairId, event) => events.push(event), overAllocated: () => undefined },
    onFatal: (error) => {
      throw error;
    },
  });
  return { server, url: (await server.listen()).url };
}

async function startTarget(name: string): Promise<Target> {
  const [dataDir, events]: [string, PairEvent[]] = [temporaryFolder(name), []];
  const target: Target = { dataDir, events, ...(await openServer(dataDir, events)) };
  cleanups.push(() => target.server.close());
  return target;
}

/** Sends the stream of a pair, set after set, to whichever target it is told, as a process server would. */
class Sender {
  sent: HistorySet[] = [];
  pauseMillis = 2;
  #client: ChangeSetClient;
  #running: Promise<void> | undefined;
  #stopping = false;

  constructor(readonly history: StreamHistory, url: string) {
    this.#client = new ChangeSetClient({ url });
  }

  start(): void {
    this.#running = this.#run();
  }

  turnTo(url: string): void {
    this.#client.close();
    this.#client = new ChangeSetClient({ url });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    this.#client.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const set = this.history.next();
      while (!(await this.#isTaken(set)));
      this.sent.push(set);
      await delay(this.pauseMillis);
    }
  }

  async #isTaken(set: HistorySet): Promise<boolean> {
    const { kind, ...outcome } = await this.#client.put([set.bytes], { pairId: this.history.pairId, epoch: set.epoch, sequence: set.sequence });
    const passes = kind === 'held-off' || kind === 'unreachable' || ('code' in outcome && outcome.code === 'change-set/unknown-pair');
    if (kind !== 'stored' && !passes) throw new Error(`set ${set.epoch}/${set.sequence}: ${kind} ${JSON.stringify(outcome)}`);
    if (passes) await delay(5);
    return kind === 'stored';
  }
}

function desired(state: Partial<MasterTargetDesiredState>): MasterTargetDesiredState {
  return { revision: 1, pairs: [], removedPairs: [], ...state };
}

async function readAll(uri: string, length: number): Promise<Buffer> {
  const client = await NbdClient.connect(uri);
  const bytes = Buffer.alloc(length);
  await client.read(0, bytes);
  await client.disconnect();
  return bytes;
}

describe('two master targets', () => {
  it('hand a pair over with every instant while it is written, and the old one keeps only what a view needs', async () => {
    process.stdout.write(`SEED=${seed}\n`);
    const random = seededRandom(seed);
    const history = new StreamHistory({ random, volumeBytes: 200 * 1024 + 512 });
    const pair: MasterTargetPair = { pairId: history.pairId, volumeId: 'volume-1', volumeName: 'disk', sizeBytes: history.volumeBytes, retention: { windowSeconds: 86_400 } };
    const [old, other] = [await startTarget('old-target'), await startTarget('new-target')];
    await old.server.reconcile(desired({ pairs: [pair] }));
    const sender = new Sender(history, old.url);
    cleanups.push(() => sender.stop());
    sender.start();
    await waitUntil(async () => history.green && sender.sent.length > 60, { what: 'sets before the move', timeoutMillis: 30_000 });
    const viewTime = await latestPoint(old.server, history);
    const opened = await old.server.openView(history.pairId, { viewId: 'kept', pointTime: viewTime, readWrite: false });
    if (!opened.ok) throw new Error('the view was not opened');

    const began = history.time;
    await other.server.reconcile(desired({ arrivingPairs: [{ ...pair, placement: 1, sourceUrl: old.url }] }));
    await old.server.reconcile(desired({ pairs: [{ ...pair, placement: 0, movingTo: 'mt-2' }] }));
    await waitUntil(async () => (other.server.arrivals()[0]?.copiedBytes ?? 0) > 0, { what: 'the copy', timeoutMillis: 20_000 });
    // The new target starts again in the middle of it.
    await other.server.close();
    Object.assign(other, await openServer(other.dataDir, other.events));
    await waitUntil(async () => other.server.arrivals()[0]?.state === 'complete', { what: 'all of the pair at the new target', timeoutMillis: 30_000 });

    await other.server.reconcile(desired({ pairs: [{ ...pair, placement: 1 }] }));
    await old.server.reconcile(desired({ departedPairs: [{ pairId: pair.pairId, volumeId: 'volume-1', volumeName: 'disk', sizeBytes: pair.sizeBytes }] }));
    sender.turnTo(other.url);
    const [ended, count] = [history.time, sender.sent.length];
    await waitUntil(async () => sender.sent.length > count + 60, { what: 'sets after the move', timeoutMillis: 30_000 });
    await sender.stop();
    await waitUntil(async () => isApplied(other.server, history), { what: 'all sets to be applied', timeoutMillis: 20_000 });

    expect(existsSync(join(old.dataDir, 'pairs', pair.pairId))).toBe(true);
    expect((await readAll(opened.view.nbdUris[0] as string, history.volumeBytes)).equals(history.at(viewTime)?.image as Uint8Array)).toBe(true);
    await old.server.closeView('kept');
    await waitUntil(async () => !existsSync(join(old.dataDir, 'pairs', pair.pairId)), { what: 'the old copy to go', timeoutMillis: 10_000 });

    for (const [from, to] of [[0, began], [began, ended], [ended, history.time]] as const) await expectInstants({ server: other.server, history, random }, { from, to });
    expect([...old.events, ...other.events].filter(({ kind }) => kind === 'resync-required' || kind === 'refused')).toEqual([]);
  }, 90_000);

  it('keep holes holes, and let a pair go on where it was when its move is cancelled', async () => {
    const history = new StreamHistory({ random: seededRandom(4) });
    const pair: MasterTargetPair = { pairId: history.pairId, volumeId: 'volume-1', volumeName: 'disk', sizeBytes: 64 * 1024 * 1024, retention: { windowSeconds: 86_400 } };
    const [old, other] = [await startTarget('old-target'), await startTarget('new-target')];
    await old.server.reconcile(desired({ pairs: [pair] }));
    const sender = new Sender(history, old.url);
    cleanups.push(() => sender.stop());
    sender.start();
    await waitUntil(async () => history.green && sender.sent.length > 10, { what: 'sets before the move', timeoutMillis: 30_000 });
    await old.server.reconcile(desired({ pairs: [{ ...pair, placement: 0, movingTo: 'mt-2' }] }));
    await other.server.reconcile(desired({ arrivingPairs: [{ ...pair, placement: 1, sourceUrl: old.url }] }));
    await waitUntil(async () => other.server.arrivals()[0]?.state === 'complete', { what: 'all of the pair at the new target', timeoutMillis: 30_000 });
    const image = await stat(join(other.dataDir, 'pairs', pair.pairId, 'replica.img'));
    expect([image.size, image.blocks * 512 < 1024 * 1024]).toEqual([pair.sizeBytes, true]);

    await old.server.reconcile(desired({ pairs: [{ ...pair, placement: 1 }] }));
    await other.server.reconcile(desired({ departedPairs: [pair] }));
    const count = sender.sent.length;
    await waitUntil(async () => sender.sent.length > count + 5, { what: 'the pair to go on', timeoutMillis: 20_000 });
    await waitUntil(async () => (await readdir(join(other.dataDir, 'pairs'))).length === 0, { what: 'the copy to go', timeoutMillis: 10_000 });
    await sender.stop();
  }, 60_000);
});

async function latestPoint(server: TargetServer, { pairId }: StreamHistory): Promise<TimeMicros> {
  const resolved = await server.resolve([pairId], { kind: 'latest' });
  if (!resolved.ok) throw new Error('there is no point');
  return resolved.time;
}

async function isApplied(server: TargetServer, history: StreamHistory): Promise<boolean> {
  const last = history.sets.at(-1) as HistorySet;
  const { applied } = await server.status(history.pairId);
  return applied.epoch === last.epoch && applied.sequence === last.sequence;
}

/** Ten random instants that the stream made exact: each is offered, and its view is what the source was. */
async function expectInstants({ server, history, random }: { readonly server: TargetServer; readonly history: StreamHistory; readonly random: () => number }, { from, to }: { readonly from: TimeMicros; readonly to: TimeMicros }): Promise<void> {
  const exact = history.interestingTimes().filter((time) => time >= from && time <= to && history.at(time)?.green === true && history.at(time)?.time === time);
  expect(exact.length).toBeGreaterThan(0);
  for (let instant = 0; instant < 10; instant++) {
    const pointTime = exact[randomBelow(random, exact.length)] as TimeMicros;
    const opened = await server.openView(history.pairId, { viewId: `at-${pointTime}`, pointTime, readWrite: false });
    if (!opened.ok) throw new Error(`seed ${seed}: the instant ${pointTime} is not offered`);
    const seen = await readAll(opened.view.nbdUris[0] as string, history.volumeBytes);
    if (!seen.equals(history.at(pointTime)?.image as Uint8Array)) throw new Error(`seed ${seed}: the view of ${pointTime} differs`);
    await server.closeView(`at-${pointTime}`);
  }
}
