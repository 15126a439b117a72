// SPDX-License-Identifier: Apache-2.0
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { clientTlsOptions, type ComponentIdentity, tlsOptions, writeIdentity } from '@secondsite/certificates';
import { createTestAuthority, issueTestIdentity } from '@secondsite/certificates/testing';
import { type CurrentEvent, eventSubjectFilter, type Telemetry, traceAtProcessServerOperation } from '@secondsite/contracts';
import { temporaryDirectory } from '@secondsite/disk-files/testing';
import { startTestNats, type TestNats } from '@secondsite/embedded-services/testing';
import type { MessageBus } from '@secondsite/messaging';
import { startTestBus } from '@secondsite/messaging/testing';
import { allowRoles, ChangeSetClient, ChangeSetServer } from '@secondsite/transport';
import { startComponent } from './component';
import { readConfig } from './config';
import { changeSetBytes, FakeMasterTarget, waitUntil } from './testing';

type Running = Awaited<ReturnType<typeof startComponent>>;

const pairId = '0f0e0d0c-0b0a-4908-8706-050403020100';
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let component: Running | undefined;

beforeEach(async () => {
  folder = await temporaryDirectory();
});

afterEach(async () => {
  await component?.close();
  await folder.dispose();
});

async function start(environment: Record<string, string>): Promise<Running> {
  const config = readConfig({ SECONDSITE_DATA_DIR: folder.path, SECONDSITE_FREE_BYTES_MIN: '0', ...environment });
  component = await startComponent(config, { log: silent, metricsUrl: undefined, onFatal: (error) => { throw error; } });
  return component;
}

function desired(masterTargetUrl: string) {
  const spoolBytesMax = { resync: 1 << 30, differential: 1 << 30 };
  return { pairs: [{ pairId, masterTargetUrl, compression: 'none' as const, paused: false, priority: 'normal' as const, linkIds: [], spoolBytesMax }], removedPairs: [], links: [] };
}

describe('a process server on the bus', () => {
  let nats: TestNats;
  let bus: MessageBus;
  const target = new FakeMasterTarget();

  beforeAll(async () => {
    nats = await startTestNats();
    bus = await startTestBus(nats.url, { role: 'config-server', componentId: 'cs' });
  });

  afterAll(async () => {
    await bus.close();
    await target.stop();
    await nats.stop();
  });

  it('obeys its desired state, tells how it is every second, reports refusals as events and answers traces; also with the bus gone', async () => {
    const telemetry: Telemetry[] = [];
    const events: CurrentEvent[] = [];
    bus.subscribeTelemetry({ role: 'process-server' }, (message) => telemetry.push(message));
    bus.consume({ durable: 'spec', subjects: [eventSubjectFilter({ context: 'replication' })], handler: async (event) => void events.push(event) });
    const masterTargetUrl = await target.start();
    const { url, notReadyReason } = await start({ SECONDSITE_INSECURE: '1', SECONDSITE_COMPONENT_ID: 'ps1', NATS_URL: nats.url });
    expect(notReadyReason()).toContain('desired state');
    await bus.putDesiredState({ role: 'process-server', componentId: 'ps1' }, desired(masterTargetUrl));
    await waitUntil('the pair is known', () => notReadyReason() === undefined);
    const client = new ChangeSetClient({ url });
    const put = (epoch: number, sequence: number) => client.put([changeSetBytes({ pairId, epoch, sequence, traceparent })], { pairId, epoch, sequence });
    expect((await put(2, 1)).kind).toBe('stored');
    expect((await put(1, 1)).kind).toBe('refused');
    await waitUntil('the refusal is an event', () => events.some(({ type }) => type === 'secondsite.replication.change-set-refused.v1'));
    const pairs = () => telemetry.flatMap((message) => (message.role === 'process-server' ? message.pairs : []));
    await waitUntil('telemetry shows the pair', () => pairs().some(({ forwardedSequence }) => forwardedSequence === 1));
    expect(telemetry.at(-1)).toMatchObject({ componentId: 'ps1', url });
    const { changeSet } = await bus.request(traceAtProcessServerOperation, { componentId: 'ps1' }, { pairId });
    expect(changeSet).toMatchObject({ epoch: 2, sequence: 1, traceId: traceparent.slice(3, 35), hops: [{ hop: 'spool-durable' }, { hop: 'forwarded' }] });
    await nats.kill();
    expect((await put(2, 2)).kind).toBe('stored');
    await waitUntil('it is forwarded without the bus', () => target.contiguous(pairId) === 2);
    await nats.start();
    await component?.close();
    component = undefined;
    expect((await put(2, 3)).kind).toBe('unreachable');
    client.close();
  });
});

describe('a process server with certificates', () => {
  it('lets only agents of its tenant in, trusts only a master target of ours, and reports strangers', async () => {
    const authority = await createTestAuthority();
    const issue = (role: 'agent' | 'process-server' | 'master-target', tenantId = 'tenant-1') => issueTestIdentity(authority, { role, tenantId });
    await writeIdentity(folder.path, { ...(await issue('process-server')), natsUrls: ['tls://127.0.0.1:1'] });
    const target = new FakeMasterTarget();
    const targetServer = new ChangeSetServer({
      handler: target, authorize: allowRoles({ tenantId: 'tenant-1', roles: ['process-server'] }), tls: tlsOptions(await issue('master-target')),
    });
    const { url: masterTargetUrl } = await targetServer.listen({ host: '127.0.0.1', port: 0 });
    await folder.directory.open('desired-state.json', { create: true }).then(async (file) => {
      await file.write([Buffer.from(JSON.stringify({ revision: 1, ...desired(masterTargetUrl) }))], 0);
      await file.close();
    });
    const { url } = await start({});
    expect(url).toMatch(/^https:/);
    const putAs = async (identity: ComponentIdentity, sequence: number) => {
      const client = new ChangeSetClient({ url, tls: clientTlsOptions(identity, { serverRoles: ['process-server'] }) });
      const outcome = await client.put([changeSetBytes({ pairId, epoch: 1, sequence })], { pairId, epoch: 1, sequence });
      client.close();
      return outcome;
    };
    expect((await putAs(await issue('agent'), 1)).kind).toBe('stored');
    await waitUntil('the target has it', () => target.contiguous(pairId) === 1);
    expect(await putAs(await issue('agent', 'tenant-2'), 2)).toMatchObject({ kind: 'refused', status: 403 });
    expect(await putAs(await issue('master-target'), 2)).toMatchObject({ kind: 'refused', status: 403 });
    const foreign = await issueTestIdentity(await createTestAuthority(), { role: 'agent' });
    expect((await putAs({ ...foreign, caPem: authority.certificatePem }, 2)).kind).toBe('unreachable');
    const pending = await folder.directory.open('pending-events.log');
    const text = Buffer.alloc(pending.size());
    pending.readNow(text, 0);
    await pending.close();
    expect(text.toString()).toContain('secondsite.security.peer-refused.v1');
    await component?.close();
    component = undefined;
    await targetServer.close();
  });
});
