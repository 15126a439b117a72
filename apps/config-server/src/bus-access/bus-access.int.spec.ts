// SPDX-License-Identifier: Apache-2.0
// The bus of a real installation: every component enrolled by token, nats-server with the list that this server keeps. I10 on the bus.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createKeyAndRequest, enroll, type PeerIdentity, writeIdentity, identityFiles } from '@secondsite/certificates';
import { bitmapModeEnteredV1, type CloudEvent, componentRegisteredV1, planPausedV1, restRoutes, streamNames, telemetrySubject } from '@secondsite/contracts';
import { sampleEvent } from '@secondsite/contracts/testing';
import { findNats, natsPidFile, natsUsersText, type ProcessIdentity, reloadNats, waitUntil, writeWhole } from '@secondsite/embedded-services';
import { temporaryFolder } from '@secondsite/embedded-services/testing';
import { busUser, MessageBus } from '@secondsite/messaging';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pino from 'pino';
import { readConfig } from '../config';
import { type ConfigServer, startConfigServer } from '../config-server';
import { startTestCluster, type TestCluster, TestComponent } from '../testing';
import { natsFiles } from './nats-files';

const pairId = '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e';
const refused = { code: 'bus/not-permitted' };
const bitmapMode = (tenantid: string): CloudEvent => sampleEvent(bitmapModeEnteredV1, { pairId, epoch: 1, reason: 'buffer-full' }, { tenantid });
const registered = (componentId: string): CloudEvent =>
  sampleEvent(componentRegisteredV1, { componentId, role: 'agent', version: '1', hostName: 'x' }, { tenantid: 'default' });

describe('who may do what on the bus', () => {
  let cluster: TestCluster;
  let agent: TestComponent<'agent'>;
  let neighbour: TestComponent<'agent'>;
  let central: MessageBus;
  let restarted: ConfigServer | undefined;
  const open: MessageBus[] = [];

  beforeAll(async () => {
    cluster = await startTestCluster();
    agent = await enrol('web');
    neighbour = await enrol('db');
    central = await connectWith(identityFiles(cluster.dataDir), { tenantId: 'default', role: 'config-server', componentId: 'config-server' });
    await central.whenConnected(10_000);
  }, 60_000);
  afterAll(async () => {
    await Promise.all([...open, agent, neighbour].map((one) => one?.close()));
    await restarted?.close();
    await cluster?.stop();
  }, 60_000);

  async function enrol(hostName: string): Promise<TestComponent<'agent'>> {
    await cluster.rest.ok(restRoutes.addHost, { body: { name: hostName } });
    return TestComponent.start('agent', { rest: cluster.rest, url: cluster.server.url, host: hostName });
  }

  async function connectWith(tls: { caFile: string; certFile: string; keyFile: string }, identity: PeerIdentity): Promise<MessageBus> {
    const bus = await MessageBus.start({ servers: [cluster.nats.url], identity, tls: { caFile: tls.caFile, certFile: tls.certFile, keyFile: tls.keyFile } });
    open.push(bus);
    return bus;
  }

  /** Somebody with a certificate of the authority who never enrolled. */
  async function connectUnknown(identity: PeerIdentity): Promise<MessageBus> {
    const { authority } = cluster.authority;
    const { keyPem, csrPem } = await createKeyAndRequest(identity.componentId);
    const { certificatePem } = await authority.issue({ csrPem, identity });
    const folder = temporaryFolder('unknown');
    await writeIdentity(folder, { ...identity, certificatePem, keyPem, caPem: authority.certificatePem, configServerUrl: '', natsUrls: [] });
    return connectWith(identityFiles(folder), identity);
  }

  async function expectWorking(component: TestComponent<'agent'>): Promise<void> {
    await component.bus.whenConnected(10_000);
    await waitUntil(() => component.bus.publishEvent(registered(component.componentId)).then(() => true, () => false), { what: 'an event of its own', timeoutMillis: 10_000 });
    await waitUntil(async () => (await component.desiredState().catch(() => undefined)) !== undefined, { what: 'its desired state', timeoutMillis: 10_000 });
  }

  it('lets those who enrolled do their work, and this server everything', async () => {
    await expectWorking(agent);
    await expectWorking(neighbour);
    expect((await central.publishEvent(sampleEvent(planPausedV1, { planId: 'plan' }, { tenantid: 'default' }))).duplicate).toBe(false);
    expect((await central.publishEvent(bitmapMode('other'))).duplicate).toBe(false);
    expect(await central.getDesiredState({ role: 'agent', componentId: agent.componentId })).toBeDefined();
  });

  it('lets a component tell nothing for another component, another role, or another tenant', async () => {
    const forged = [registered(agent.componentId), sampleEvent(planPausedV1, { planId: 'plan' }, { tenantid: 'default' }), bitmapMode('other')];
    for (const event of forged) await expect(neighbour.bus.publishEvent(event)).rejects.toMatchObject(refused);
    const mine = telemetrySubject({ tenantId: 'default', role: 'agent', componentId: neighbour.componentId });
    const others = telemetrySubject({ tenantId: 'default', role: 'agent', componentId: agent.componentId });
    const heard: string[] = [];
    central.link.connection().subscribe('sst.>', { callback: (_error, { subject }) => heard.push(subject) });
    await central.link.connection().flush();
    for (const subject of [others, others.replace('default', 'other'), mine]) neighbour.bus.link.connection().publish(subject, '{}');
    await waitUntil(() => heard.includes(mine), { what: 'its own telemetry', timeoutMillis: 5_000 });
    expect(heard).toEqual([mine]);
  });

  it('lets a component set no desired state and read only its own', async () => {
    const address = { role: 'agent', componentId: agent.componentId } as const;
    const before = await central.getDesiredState(address);
    await expect(neighbour.bus.getDesiredState(address)).rejects.toMatchObject(refused);
    await expect(neighbour.bus.putDesiredState({ role: 'agent', componentId: neighbour.componentId }, { volumes: [], consistencyGroups: [] })).rejects.toBeDefined();
    neighbour.bus.link.connection().publish(`$KV.${streamNames.desiredState}.agent.${agent.componentId}`, '{"revision":99}');
    await neighbour.bus.link.connection().flush();
    expect(await central.getDesiredState(address)).toEqual(before);
  });

  it('lets a component hear nothing of others: events, telemetry, desired state, replies', async () => {
    const overheard: string[] = [];
    const refusals: string[] = [];
    const wanted = ['ss.>', 'ss.other.>', 'sst.>', '$KV.>', '$JS.>', '_INBOX.>', `_INBOX_default_agent_${agent.componentId}.>`, `ssr.default.agent.${agent.componentId}.*`];
    const connection = neighbour.bus.link.connection();
    for (const subject of wanted) connection.subscribe(subject, { callback: (error, message) => (error ? refusals.push(subject) : overheard.push(message.subject)) });
    await central.publishEvent(bitmapMode('other'));
    await expectWorking(agent);
    await waitUntil(() => refusals.length === wanted.length, { what: 'a refusal of each', timeoutMillis: 5_000 });
    expect(overheard).toEqual([]);
    await expect(connection.jetstreamManager()).rejects.toBeDefined();
  });

  it('lets nobody in who has a certificate of the authority but did not enrol: another tenant, nats-server itself, somebody refused', async () => {
    const foreign = await connectUnknown({ tenantId: 'other', role: 'agent', componentId: agent.componentId });
    const promoted = await connectUnknown({ tenantId: 'default', role: 'master-target', componentId: agent.componentId });
    const nats = await connectWith(natsFiles(cluster.dataDir), { tenantId: 'default', role: 'operator', componentId: 'nats-server' });
    expect(new X509Certificate(readFileSync(natsFiles(cluster.dataDir).certFile)).subjectAltName).toContain('URI:secondsite:default/operator/nats-server');
    const before = readFileSync(natsFiles(cluster.dataDir).usersFile, 'utf8');
    const { token } = await cluster.rest.ok<{ token: string }>(restRoutes.issueEnrolmentToken, { body: { role: 'agent' } });
    const wrong = token.replace(/\.../, '.AA');
    await expect(enroll({ token: wrong, configServerUrl: cluster.server.url, dataDir: temporaryFolder('x'), name: 'x', dnsNames: [] })).rejects.toMatchObject({ code: 'enrolment/token-unknown' });
    await Promise.all([foreign, promoted, nats].map((bus) => expect(bus.whenConnected(1_500)).rejects.toMatchObject({ code: 'bus/not-connected' })));
    expect(readFileSync(natsFiles(cluster.dataDir).usersFile, 'utf8')).toBe(before);
  });

  it('keeps everybody\'s rights over a kill -9 of nats-server', async () => {
    await cluster.nats.kill();
    await cluster.nats.start();
    await central.whenConnected(10_000);
    await expectWorking(agent);
    await expect(neighbour.bus.whenConnected(10_000).then(() => neighbour.bus.publishEvent(registered(agent.componentId)))).rejects.toMatchObject(refused);
    const late = await enrol('late');
    open.push(late.bus);
    expect(late.bus.isConnected).toBe(true);
  }, 60_000);

  it('makes the list again from what is enrolled, whatever is in the file when this server starts', async () => {
    await cluster.server.close();
    const { usersFile } = natsFiles(cluster.dataDir);
    const complete = readFileSync(usersFile, 'utf8');
    writeWhole(usersFile, natsUsersText([busUser({ tenantId: 'default', role: 'config-server', componentId: 'config-server' })]));
    reloadNats(findNats(natsPidFile(cluster.nats.dataDir)) as ProcessIdentity);
    await waitUntil(() => !agent.bus.isConnected, { what: 'the agent to be put out', timeoutMillis: 5_000 });
    await expect(agent.bus.whenConnected(1_000)).rejects.toMatchObject({ code: 'bus/not-connected' });
    restarted = await startConfigServer({ config: readConfig(cluster.environment), logger: pino({ level: 'silent' }) });
    await expectWorking(agent);
    expect(readFileSync(usersFile, 'utf8')).toBe(complete);
  }, 60_000);
});
