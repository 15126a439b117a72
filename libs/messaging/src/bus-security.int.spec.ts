// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CertificateAuthority } from '@secondsite/certificates';
import { identityFiles, writeIdentity } from '@secondsite/certificates';
import { createTestAuthority, issueTestIdentity } from '@secondsite/certificates/testing';
import {
  bitmapModeEnteredV1, changeSetAppliedV2, type CloudEvent, closeViewOperation, type ComponentAddress, componentRegisteredV1, planPausedV1, telemetrySubject, type Telemetry,
} from '@secondsite/contracts';
import { sampleEvent } from '@secondsite/contracts/testing';
import { findNats, natsPidFile, natsUsersText, type ProcessIdentity, reloadNats, waitUntil, writeWhole } from '@secondsite/embedded-services';
import { startTestNats, type TestNats, temporaryFolder } from '@secondsite/embedded-services/testing';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { busUser, MessageBus } from './index';

const folder = temporaryFolder('bus-security');
const usersFile = join(folder, 'users.conf');
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

/** As the configuration server does it. */
function grant(...addresses: ComponentAddress[]): void {
  writeWhole(usersFile, natsUsersText(addresses.map(busUser)));
}

const pairId = '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e';
const overflow = (tenantid: string): CloudEvent => sampleEvent(bitmapModeEnteredV1, { pairId, epoch: 1, reason: 'buffer-full' }, { tenantid });
const refused = { code: 'bus/not-permitted' };

beforeAll(async () => {
  authority = await createTestAuthority();
  grant(server, agent, neighbour);
  nats = await startTestNats({ tls: await issue(authority, { ...server, componentId: 'nats' }), usersFile });
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
    expect((await host.publishEvent(overflow('t1'))).duplicate).toBe(false);
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
    await expect(other.publishEvent(overflow('t1'))).rejects.toMatchObject(refused);
    await expect(other.getDesiredState({ role: 'agent', componentId: 'host-1' })).rejects.toMatchObject(refused);
    await expect(other.request(closeViewOperation, { tenantId: 't1', componentId: 'mt-1', timeoutMillis: 500 }, { viewId: 'v' })).rejects.toBeDefined();
    const overheard: string[] = [];
    for (const subject of ['ss.>', 'sst.>', '$KV.>', '_INBOX_t1_agent_host-1.>']) {
      other.link.connection().subscribe(subject, { callback: (error, message) => (error ? undefined : overheard.push(message.subject)) });
    }
    await other.link.connection().flush();
    await host.publishEvent(overflow('t1'));
    host.publishTelemetry({ role: 'agent', componentId: 'host-1', tenantId: 't1', at: '2026-11-21T22:50:34Z', volumes: [] });
    await host.getDesiredState({ role: 'agent', componentId: 'host-1' });
    await other.link.connection().flush();
    expect(overheard).toEqual([]);
  });

  it('keeps a component from speaking for another one of its tenant, for another role, and for the configuration server', async () => {
    const registered = sampleEvent(componentRegisteredV1, { componentId: 'host-7', role: 'agent', version: '1', hostName: 'x' }, { tenantid: 't1' });
    const applied = { pairId, epoch: 1, sequence: 1, coveredTime: '2026-11-21T22:50:33Z', appliedAt: '2026-11-21T22:50:34Z' };
    const forged = [registered, sampleEvent(changeSetAppliedV2, applied, { tenantid: 't1' }), sampleEvent(planPausedV1, { planId: 'plan' }, { tenantid: 't1' })];
    for (const event of forged) await expect(host.publishEvent(event)).rejects.toMatchObject(refused);
    const own = sampleEvent(componentRegisteredV1, { ...registered.data, componentId: 'host-1' }, { tenantid: 't1' });
    expect((await host.publishEvent(own)).duplicate).toBe(false);
    await expect(host.putDesiredState({ role: 'agent', componentId: 'host-1' }, { volumes: [], consistencyGroups: [] })).rejects.toBeDefined();
    const heard: string[] = [];
    for (const subject of ['sst.t1.>', '$KV.>']) central.link.connection().subscribe(subject, { callback: (_error, message) => heard.push(message.subject) });
    await central.link.connection().flush();
    host.link.connection().publish(telemetrySubject({ ...agent, componentId: 'host-7' }), '{}');
    host.link.connection().publish('$KV.desired-state.agent.host-1', '{}');
    host.link.connection().publish(telemetrySubject(agent), '{}');
    await waitUntil(() => heard.length > 0, { what: 'what is permitted', timeoutMillis: 5_000 });
    expect(heard).toEqual([telemetrySubject(agent)]);
  });

  it('lets a new component in after the list was loaded anew, without a restart', async () => {
    const late = await connectAs(target);
    await expect(late.whenConnected(700)).rejects.toMatchObject({ code: 'bus/not-connected' });
    grant(server, agent, neighbour, target);
    reload();
    await late.whenConnected(10_000);
    late.serve(closeViewOperation, async () => ({ closed: true }));
    await late.link.connection().flush();
    expect(await central.request(closeViewOperation, { tenantId: 't1', componentId: 'mt-1' }, { viewId: 'v' })).toEqual({ closed: true });
    expect(host.isConnected).toBe(true);
  });

  it('puts out a component that is no longer in the list, and nobody else', async () => {
    grant(server, agent, target);
    const gone = await connectAs(neighbour);
    await gone.whenConnected(10_000);
    const left = Promise.withResolvers<void>();
    gone.link.onDisconnected(() => left.resolve());
    reload();
    await left.promise;
    await expect(gone.whenConnected(700)).rejects.toMatchObject({ code: 'bus/not-connected' });
    expect([host.isConnected, central.isConnected]).toEqual([true, true]);
  });

  function reload(): void {
    expect(reloadNats(findNats(natsPidFile(nats.dataDir)) as ProcessIdentity)).toBe(true);
  }
});
