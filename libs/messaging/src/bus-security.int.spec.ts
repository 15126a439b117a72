// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CertificateAuthority } from '@secondsite/certificates';
import { identityFiles, writeIdentity } from '@secondsite/certificates';
import { createTestAuthority, issueTestIdentity } from '@secondsite/certificates/testing';
import { type CloudEvent, closeViewOperation, type ComponentAddress, hostAddedV1, type Telemetry } from '@secondsite/contracts';
import { sampleEvent } from '@secondsite/contracts/testing';
import { reloadNats, waitUntil } from '@secondsite/embedded-services';
import { startTestNats, type TestNats, temporaryFolder } from '@secondsite/embedded-services/testing';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { busUser, MessageBus } from './index';

const folder = temporaryFolder('bus-security');
const server: ComponentAddress = { tenantId: 'provider', role: 'config-server', componentId: 'cs-1' };
const agent: ComponentAddress = { tenantId: 't1', role: 'agent', componentId: 'host-1' };
const neighbour: ComponentAddress = { tenantId: 't2', role: 'agent', componentId: 'host-2' };
const target: ComponentAddress = { tenantId: 't1', role: 'master-target', componentId: 'mt-1' };
const buses: MessageBus[] = [];
let authority: CertificateAuthority;
let nats: TestNats;

async function issue(by: CertificateAuthority, address: ComponentAddress, name = address.componentId): Promise<ReturnType<typeof identityFiles>> {
  await writeIdentity(join(folder, name), await issueTestIdentity(by, address));
  return identityFiles(join(folder, name));
}

async function connectAs(address: ComponentAddress, by = authority, name = address.componentId): Promise<MessageBus> {
  const bus = await MessageBus.start({ servers: [nats.url], identity: address, tls: await issue(by, address, name) });
  buses.push(bus);
  return bus;
}

const users = (...addresses: ComponentAddress[]) => addresses.map(busUser);
const added = (tenantid: string): CloudEvent => sampleEvent(hostAddedV1, { hostId: 'h1', name: 'orders' }, { tenantid });

beforeAll(async () => {
  authority = await createTestAuthority();
  nats = await startTestNats({ tls: await issue(authority, { ...server, componentId: 'nats' }), users: users(server, agent, neighbour) });
});
afterAll(async () => {
  await Promise.all(buses.map((bus) => bus.close()));
  await nats.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('the bus with certificates', () => {
  let central: MessageBus;
  let host: MessageBus;
  beforeAll(async () => {
    central = await connectAs(server);
    await central.keepTopology();
    host = await connectAs(agent);
    await host.whenConnected(10_000);
  });

  it('refuses a certificate of another authority, and one that stands in no list', async () => {
    const foreign = await connectAs(agent, await createTestAuthority(), 'foreign');
    const unknown = await connectAs({ ...agent, componentId: 'host-9' });
    await Promise.all([foreign, unknown].map((bus) => expect(bus.whenConnected(1_500)).rejects.toMatchObject({ code: 'bus/not-connected' })));
  });

  it('lets a component do its work: events, telemetry, desired state, requests', async () => {
    const heard: Telemetry[] = [];
    central.subscribeTelemetry({ tenantId: 't1' }, (telemetry) => heard.push(telemetry));
    await central.link.connection().flush();
    expect((await host.publishEvent(added('t1'))).duplicate).toBe(false);
    host.publishTelemetry({ role: 'agent', componentId: 'host-1', tenantId: 't1', at: '2026-11-21T22:50:33Z', volumes: [] });
    await waitUntil(() => heard.length === 1 || undefined, { what: 'telemetry', timeoutMillis: 5_000 });
    const revisions: number[] = [];
    host.watchDesiredState({ role: 'agent', componentId: 'host-1' }, async ({ revision }) => void revisions.push(revision));
    await central.putDesiredState({ role: 'agent', componentId: 'host-1' }, { volumes: [], consistencyGroups: [] });
    await waitUntil(() => revisions.length === 1 || undefined, { what: 'the desired state', timeoutMillis: 5_000 });
  });

  it('keeps tenants and components apart', async () => {
    const other = await connectAs(neighbour);
    await other.whenConnected(10_000);
    await central.putDesiredState({ role: 'agent', componentId: 'host-1' }, { volumes: [], consistencyGroups: [] });
    await expect(other.publishEvent(added('t1'))).rejects.toMatchObject({ code: expect.stringMatching(/^bus\//) });
    await expect(other.getDesiredState({ role: 'agent', componentId: 'host-1' })).rejects.toMatchObject({ code: expect.stringMatching(/^bus\//) });
    await expect(other.request(closeViewOperation, { tenantId: 't1', componentId: 'mt-1', timeoutMillis: 500 }, { viewId: 'v' })).rejects.toBeDefined();
    const overheard: string[] = [];
    for (const subject of ['ss.>', 'sst.>', '$KV.>', '_INBOX_t1_agent_host-1.>']) {
      other.link.connection().subscribe(subject, { callback: (error, message) => (error ? undefined : overheard.push(message.subject)) });
    }
    await other.link.connection().flush();
    await host.publishEvent(added('t1'));
    host.publishTelemetry({ role: 'agent', componentId: 'host-1', tenantId: 't1', at: '2026-11-21T22:50:34Z', volumes: [] });
    await host.getDesiredState({ role: 'agent', componentId: 'host-1' });
    await other.link.connection().flush();
    expect(overheard).toEqual([]);
  });

  it('lets a new component in after the list was loaded anew, without a restart', async () => {
    const late = await connectAs(target);
    await expect(late.whenConnected(700)).rejects.toMatchObject({ code: 'bus/not-connected' });
    reloadNats({ dataDir: nats.dataDir, tls: identityFiles(join(folder, 'nats')), users: users(server, agent, neighbour, target) });
    await late.whenConnected(10_000);
    late.serve(closeViewOperation, async () => ({ closed: true }));
    await late.link.connection().flush();
    expect(await central.request(closeViewOperation, { tenantId: 't1', componentId: 'mt-1' }, { viewId: 'v' })).toEqual({ closed: true });
    expect(host.isConnected).toBe(true);
  });
});
