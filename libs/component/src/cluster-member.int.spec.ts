// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { writeIdentity } from '@secondsite/certificates';
import { createTestAuthority, issueTestIdentity } from '@secondsite/certificates/testing';
import { type CurrentEvent, eventSubjectFilter, flowControlStartedV1, type Telemetry } from '@secondsite/contracts';
import { waitUntil } from '@secondsite/embedded-services';
import { startTestNats, temporaryFolder, type TestNats } from '@secondsite/embedded-services/testing';
import type { MessageBus } from '@secondsite/messaging';
import { startTestBus } from '@secondsite/messaging/testing';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClusterMember } from './cluster-member';
import { componentConfig, componentSchema } from './component-config';
import { parseEnvironment } from './environment';
import { refusedPeerReporter } from './refused-peer-reporter';
import { TelemetryReporter } from './telemetry-reporter';

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
const onFatal = (error: unknown): never => {
  throw error;
};
const pairId = '0f0e0d0c-0b0a-4908-8706-050403020100';

function configOf(environment: Record<string, string>) {
  return componentConfig(parseEnvironment(componentSchema('process-server', {}), environment));
}

describe('a member of the cluster', () => {
  let nats: TestNats;
  let bus: MessageBus;
  let member: ClusterMember;
  const dataDir = temporaryFolder('member');
  const events: CurrentEvent[] = [];
  const until = (what: string, check: () => boolean): Promise<true> => waitUntil(() => check() || undefined, { what, timeoutMillis: 15_000 });

  beforeAll(async () => {
    nats = await startTestNats();
    bus = await startTestBus(nats.url, { role: 'config-server', componentId: 'cs' });
    bus.consume({ durable: 'spec', subjects: [eventSubjectFilter({})], handler: async (event) => void events.push(event) });
    const config = configOf({ SECONDSITE_DATA_DIR: dataDir, SECONDSITE_INSECURE: '1', SECONDSITE_COMPONENT_ID: 'ps-1', NATS_URL: nats.url });
    member = await ClusterMember.join({ role: 'process-server', config, log: silent, onFatal });
  });
  afterAll(async () => {
    await member?.leave(async () => undefined);
    await bus?.close();
    await nats?.stop();
  });

  it('says in ready.json who and where it is', async () => {
    await member.announce({ url: 'http://127.0.0.1:1', metricsUrl: undefined });
    const ready: unknown = JSON.parse(readFileSync(join(dataDir, 'ready.json'), 'utf8'));
    expect(ready).toEqual({ pid: process.pid, url: 'http://127.0.0.1:1', role: 'process-server', componentId: 'ps-1', tenantId: 'default' });
  });

  it('publishes facts and telemetry; telemetry that fails once is told again', async () => {
    const heard: Telemetry[] = [];
    bus.subscribeTelemetry({ role: 'process-server' }, (telemetry) => heard.push(telemetry));
    member.publish(member.events.make(flowControlStartedV1, { pairId, heldBytes: 7 }), 'flow-control-started');
    await until('the fact is on the bus', () => events.some(({ type }) => type === 'secondsite.replication.flow-control-started.v1'));
    let failures = 1;
    const gather = (): Telemetry => {
      if (failures-- > 0) throw new Error('not now');
      return { role: 'process-server', componentId: 'ps-1', tenantId: 'default', at: '2026-11-21T22:50:32Z', pairs: [], freeBytes: 1 };
    };
    const reporter = new TelemetryReporter({ bus: member.bus, log: silent, gather });
    await until('telemetry', () => heard.length > 0);
    reporter.close();
    expect(heard[0]).toMatchObject({ componentId: 'ps-1' });
  });

  it('reports refused peers, each kind at most every ten seconds', async () => {
    let now = 0;
    const report = refusedPeerReporter({ role: 'process-server', outlet: member }, () => now);
    const refused = (code: string) => report({ code, detail: 'x'.repeat(600), remoteAddress: '10.0.0.1' });
    refused('tls/a');
    refused('tls/a');
    refused('tls/b');
    now = 10_001;
    refused('tls/a');
    const codes = () => events.flatMap((event) => (event.type === 'secondsite.security.peer-refused.v1' ? [event.data.code] : []));
    await until('three reports', () => codes().length === 3);
    expect(codes()).toEqual(['tls/a', 'tls/b', 'tls/a']);
  });

  it('stops its work while the bus is still there', async () => {
    const config = configOf({ SECONDSITE_DATA_DIR: temporaryFolder('leaving'), SECONDSITE_INSECURE: '1', SECONDSITE_COMPONENT_ID: 'ps-2', NATS_URL: nats.url });
    const leaving = await ClusterMember.join({ role: 'process-server', config, log: silent, onFatal });
    await leaving.bus.whenConnected(10_000);
    const seen: boolean[] = [];
    await leaving.leave(async () => void seen.push(leaving.bus.isConnected));
    expect([...seen, leaving.bus.isConnected]).toEqual([true, false]);
  });
});

describe('a member with an identity', () => {
  it('is who its certificate says, whatever the environment says', async () => {
    const dataDir = temporaryFolder('enrolled');
    const identity = await issueTestIdentity(await createTestAuthority(), { role: 'agent', tenantId: 'tenant-1' });
    await writeIdentity(dataDir, { ...identity, natsUrls: ['tls://127.0.0.1:1'] });
    const member = await ClusterMember.join({ role: 'agent', config: configOf({ SECONDSITE_DATA_DIR: dataDir, SECONDSITE_COMPONENT_ID: 'other' }), log: silent, onFatal });
    expect(member.bus.identity).toEqual({ role: 'agent', componentId: identity.componentId, tenantId: 'tenant-1' });
    expect(member.identity?.certificatePem).toBe(identity.certificatePem);
    await member.leave(async () => undefined);
  });
});
