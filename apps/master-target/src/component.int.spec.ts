// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { listPointsOperation, listViewsOperation, openViewOperation, previewRetentionOperation, resolvePointOperation, type Telemetry, traceAtMasterTargetOperation } from '@secondsite/contracts';
import { seededRandom } from '@secondsite/durable-storage/testing';
import { startTestNats, type TestNats } from '@secondsite/embedded-services/testing';
import type { MessageBus } from '@secondsite/messaging';
import { startTestBus } from '@secondsite/messaging/testing';
import { StreamHistory } from '@secondsite/retention-journal/testing';
import { ChangeSetClient } from '@secondsite/transport';
import { isoFromMicros } from '@secondsite/units';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startComponent } from './component';
import { readConfig } from './config';

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

async function until<Result>(what: string, look: () => Promise<Result | undefined> | Result | undefined): Promise<Result> {
  for (const end = Date.now() + 20_000; Date.now() < end; await delay(25)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error(`${what} did not happen in time`);
}

describe('a master target on the bus', () => {
  let nats: TestNats;
  let bus: MessageBus;
  let component: Awaited<ReturnType<typeof startComponent>>;
  let dataDir: string;
  const facts: string[] = [];
  const telemetry: Telemetry[] = [];
  const target = { role: 'master-target', componentId: 'mt-1' } as const;

  beforeAll(async () => {
    nats = await startTestNats();
    bus = await startTestBus(nats.url, { role: 'config-server', componentId: 'config-1' });
    bus.consume({ durable: 'facts', subjects: ['ss.>'], handler: async (event) => void facts.push(event.type) });
    bus.subscribeTelemetry({ role: 'master-target' }, (message) => telemetry.push(message));
    dataDir = await mkdtemp(join(tmpdir(), 'ss-mt-bus-'));
    const config = readConfig({
      SECONDSITE_DATA_DIR: dataDir, SECONDSITE_INSECURE: '1', SECONDSITE_COMPONENT_ID: 'mt-1', NATS_URL: nats.url, SECONDSITE_FREE_BYTES_MIN: '0',
    });
    component = await startComponent(config, { log: silent, metricsUrl: undefined, onFatal: (error) => { throw error; } });
  });

  afterAll(async () => {
    await component?.close();
    await bus?.close();
    await nats?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('obeys the desired state, reports what happens, and answers points, views and traces', async () => {
    const history = new StreamHistory({ random: seededRandom(4) });
    const { pairId } = history;
    const pair = { pairId, volumeId: 'volume-1', volumeName: 'disk', sizeBytes: history.volumeBytes, retention: { windowSeconds: 3600 } };
    await bus.putDesiredState(target, { pairs: [pair], removedPairs: [] });
    const client = new ChangeSetClient({ url: component.url });
    const put = async (set: (typeof history.sets)[0]) => (await client.put([set.bytes], { pairId, epoch: set.epoch, sequence: set.sequence })).kind;
    const first = history.next();
    await until('the pair', async () => ((await put(first)) === 'stored' ? true : undefined));
    while (!history.green) expect(await put(history.next())).toBe('stored');

    await until('differential sync on the bus', () => facts.find((type) => type === 'secondsite.replication.differential-sync-reached.v1'));
    expect(facts).toEqual(expect.arrayContaining(['secondsite.replication.resync-started.v1', 'secondsite.replication.change-set-applied.v2']));
    const state = await until('green telemetry', () => telemetry.flatMap((message) => (message.role === 'master-target' ? message.pairs : [])).findLast((seen) => seen.green));
    expect(state).toMatchObject({ pairId, stage: 'differential-sync', coveredTime: isoFromMicros(history.time) });

    const found = await bus.request(resolvePointOperation, target, { pairIds: [pairId], point: { kind: 'latest' } });
    expect(found).toEqual({ outcome: 'found', time: isoFromMicros(history.time) });
    const late = isoFromMicros(history.time + 5);
    const refused = await bus.request(resolvePointOperation, target, { pairIds: [pairId], point: { kind: 'at', time: late } });
    expect(refused).toMatchObject({ outcome: 'refused', reason: 'after-newest', nearestBefore: isoFromMicros(history.time) });
    const listed = await bus.request(listPointsOperation, target, { pairIds: [pairId] });
    expect(listed.pairs[0]?.ranges.at(-1)).toMatchObject({ green: true, to: isoFromMicros(history.time) });
    const opened = await bus.request(openViewOperation, target, { viewId: 'v1', pairId, pointTime: isoFromMicros(history.time) });
    expect(opened).toMatchObject({ outcome: 'opened', view: { viewId: 'v1', readWrite: false, sizeBytes: history.volumeBytes } });
    expect((await bus.request(listViewsOperation, target, {})).views).toHaveLength(1);
    const retention = { windowSeconds: 1, rules: [{ keep: 'bookmarks' as const, untilSeconds: 1, bookmarks: ['user'] }] };
    const preview = await bus.request(previewRetentionOperation, target, { pairIds: [pairId], retention });
    const latest = isoFromMicros(history.time);
    expect(preview.pairs).toMatchObject([{ pairId, earliestNow: listed.pairs[0]?.ranges[0]?.from, droppedBookmarks: [] }]);
    await bus.putDesiredState(target, { pairs: [{ ...pair, retention, pins: [{ pinId: 'pin', time: latest }] }], removedPairs: [] });
    const kept = await until('the points of the ladder', async () => {
      const { pairs: [points] } = await bus.request(listPointsOperation, target, { pairIds: [pairId] });
      return points?.ranges.filter(({ green }) => green).every(({ from, to }) => from === to) ? points : undefined;
    });
    expect(kept.latest).toBe(latest);
    const between = isoFromMicros(history.time - 1);
    const refusedThere = await bus.request(resolvePointOperation, target, { pairIds: [pairId], point: { kind: 'at', time: between } });
    expect(refusedThere).toMatchObject({ outcome: 'refused', nearestAfter: latest });
    const trace = await bus.request(traceAtMasterTargetOperation, target, { pairId });
    expect(trace.changeSet?.hops.map((hop) => hop.hop)).toEqual(['cache-durable', 'undo-durable', 'applied']);
    client.close();
  });
});
