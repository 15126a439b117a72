// SPDX-License-Identifier: Apache-2.0
// An hour without the bus, by a simulated clock: what a master target has to tell is kept, bounded, and told once and in order when the bus is back.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ClusterMember, componentConfig, componentSchema, parseEnvironment } from '@secondsite/component';
import { type CurrentEvent, eventSubjectFilter } from '@secondsite/contracts';
import { waitUntil } from '@secondsite/embedded-services';
import { startTestNats, temporaryFolder, type TestNats } from '@secondsite/embedded-services/testing';
import { startTestBus } from '@secondsite/messaging/testing';
import { MIB } from '@secondsite/units';
import { randomUUID } from 'node:crypto';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EventReporter } from './event-reporter';

const hourSeconds = 3600;
const pairIds = Array.from({ length: 10 }, () => randomUUID());
/** A pair has a fault, gets over it, and has to read everything again so often. */
const faultSeconds = 300;

describe('what a master target tells', () => {
  let nats: TestNats;
  let member: ClusterMember;
  const dataDir = temporaryFolder('hour-without-bus');
  const lost: unknown[] = [];

  beforeAll(async () => {
    nats = await startTestNats();
    const bus = await startTestBus(nats.url, { role: 'config-server', componentId: 'cs' });
    await bus.close();
    await nats.kill();
    const environment = { SECONDSITE_DATA_DIR: dataDir, SECONDSITE_INSECURE: '1', SECONDSITE_COMPONENT_ID: 'mt-1', NATS_URL: nats.url };
    const log = { info: () => undefined, warn: () => undefined, error: (fields: object) => void lost.push(fields) };
    const onFatal = (error: unknown): void => void lost.push(error);
    member = await ClusterMember.join({ role: 'master-target', config: componentConfig(parseEnvironment(componentSchema('master-target', {}), environment)), log, onFatal });
  }, 60_000);

  afterAll(async () => {
    await member?.leave(async () => undefined);
    await nats?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('is all there after an hour without the bus: each fact once and in order, of progress the newest; it never took much room', async () => {
    let second = 0;
    const reporter = new EventReporter(member, () => second * 1000);
    for (second = 1; second <= hourSeconds; second += 1) {
      for (const pairId of pairIds) {
        const time = second * 1e6;
        reporter.pairEvent(pairId, { kind: 'applied', epoch: 1, sequence: second, coveredTime: time, appliedAt: time, traceparent: undefined });
        if (second % faultSeconds === 0) reporter.pairEvent(pairId, { kind: 'fault', code: 'storage/no-space', hint: `second ${second}` });
        if (second % faultSeconds === 1) reporter.pairEvent(pairId, { kind: 'resync-required', reason: `second ${second}` });
      }
      if (second % 60 === 0) await new Promise(setImmediate); // What was told is written meanwhile.
    }
    const told: CurrentEvent[] = [];
    await nats.start();
    const bus = await startTestBus(nats.url, { role: 'config-server', componentId: 'cs' });
    bus.consume({ durable: 'spec', subjects: [eventSubjectFilter({})], handler: async (event) => void told.push(event) });
    const factsOf = (pairId: string): string[] => told.flatMap(({ subject, data }) => (subject === pairId && 'reason' in data ? [String(data.reason)] : []));
    const newestOf = (pairId: string): number => Math.max(0, ...told.map(({ subject, data }) => (subject === pairId && 'coveredTime' in data && 'sequence' in data ? Number(data.sequence) : 0)));
    const expected: string[] = [];
    for (let at = 1; at <= hourSeconds; at += 1) {
      if (at % faultSeconds === 0) expected.push(`storage/no-space: second ${at}`);
      if (at % faultSeconds === 1) expected.push(`second ${at}`);
    }
    const isTold = (pairId: string): boolean => newestOf(pairId) === hourSeconds && factsOf(pairId).length >= expected.length;
    await waitUntil(() => pairIds.every(isTold) || undefined, { what: 'every fact and the newest progress of every pair', timeoutMillis: 30_000 });
    await bus.close();
    expect(lost).toEqual([]);
    for (const pairId of pairIds) expect(factsOf(pairId)).toEqual(expected);
    expect(statSync(join(dataDir, 'pending-events.log')).size).toBeLessThan(2 * MIB);
  }, 60_000);
});
