// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hostAddedV1, type Telemetry } from '@secondsite/contracts';
import { sampleEvent } from '@secondsite/contracts/testing';
import { waitUntil } from '@secondsite/embedded-services';
import { startTestNats, type TestNats, temporaryFolder } from '@secondsite/embedded-services/testing';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { MessageBus } from './message-bus';
import { startTestBus } from './testing';
import type { Instance, TwinWatch } from './twin-watch';

const identity = { tenantId: 'default', role: 'agent', componentId: 'host-1' } as const;
const instance = (instanceId: string, startedAtMicros: number): Instance => ({ instanceId, startedAtMicros, hostName: 'web', pid: 1, dataDir: `/data/${instanceId}` });
const telemetry: Telemetry = { ...identity, at: '2026-11-21T22:50:32Z', volumes: [] };

describe('processes with one identity', () => {
  let nats: TestNats;
  const folder = temporaryFolder('twins');
  const open: MessageBus[] = [];

  beforeAll(async () => {
    nats = await startTestNats();
    const bus = await startTestBus(nats.url, { role: 'config-server', componentId: 'cs' });
    await bus.close();
  });
  afterAll(async () => {
    await Promise.all(open.map((bus) => bus.close()));
    await nats.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function begin(self: Instance, elders: Instance[]): Promise<{ readonly bus: MessageBus; readonly watch: TwinWatch }> {
    const bus = await MessageBus.start({ servers: [nats.url], identity, pendingEventsFile: join(folder, self.instanceId) });
    open.push(bus);
    return { bus, watch: bus.watchForTwins(self, (elder) => void elders.push(elder)) };
  }
  const until = (what: string, check: () => boolean): Promise<true> => waitUntil(() => check() || undefined, { what, timeoutMillis: 20_000 });

  it('see who is at work before they begin, whatever the clocks say; who is at work is not disturbed', async () => {
    const [first, second] = [instance('first', 2_000), instance('second-by-a-slow-clock', 1_000)];
    const elders: Instance[] = [];
    const { bus, watch } = await begin(first, elders);
    await bus.whenConnected(10_000);
    expect(await watch.find()).toBeUndefined();
    watch.start();
    await bus.link.flush(1_000);
    expect(bus.publishTelemetry(telemetry)).toBe(true);
    const other = await begin(second, elders);
    await other.bus.whenConnected(10_000);
    expect(await other.watch.find()).toEqual(first);
    await other.bus.close();
    await bus.close();
    expect(elders).toEqual([]);
  });

  it('that began while the bus was away meet when it is back: the younger yields, and tells nothing from then on', async () => {
    await nats.kill();
    const [elder, younger] = [instance('elder', 1_000), instance('younger', 2_000)];
    const elders: Instance[] = [];
    const parts = [await begin(younger, elders), await begin(elder, elders)] as const;
    for (const { bus, watch } of parts) {
      expect(await watch.find()).toBeUndefined();
      watch.start();
      await bus.publishEventEventually(sampleEvent(hostAddedV1, { hostId: watch === parts[0].watch ? 'of-younger' : 'of-elder', name: 'orders' }));
    }
    const told: string[] = [];
    await nats.start();
    const listener = await startTestBus(nats.url, { role: 'config-server', componentId: 'cs' });
    open.push(listener);
    listener.consume({ durable: 'twins', subjects: ['ss.>'], handler: async ({ subject }) => void told.push(subject) });
    await until('the younger to hear of the elder', () => elders.length > 0);
    await until('what the elder tells', () => told.includes('of-elder'));
    await until('telemetry of the elder', () => parts[1].bus.publishTelemetry(telemetry));
    expect([elders, parts[0].bus.publishTelemetry(telemetry)]).toEqual([[elder], false]);
  });
});
