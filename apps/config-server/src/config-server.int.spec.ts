// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CertificateAuthority, createKeyAndRequest, enroll, identityFiles, renewIdentity, readIdentity } from '@secondsite/certificates';
import {
  bitmapModeEnteredV1, bookmarkFailedV1, changeSetAppliedV2, type ClusterStatus, componentRegisteredV1, createBookmarkOperation, differentialSyncReachedV1, eventSubjectFilter, type HistoryEntry, type Host, type KeepRule,
  listPointsOperation, listViewsOperation, closeViewOperation, openViewOperation, type OpenedView, peerRefusedV1, type Plan, type PlanStatus, previewRetentionOperation, type RecoveryPoints, type ReplyInputOf, resolvePointOperation, restRoutes,
  quarantineAtMasterTargetOperation, volumeGrownV1, volumeRestoredV1, volumeShrunkV1, resyncChosenV1, resyncComparedV1, resyncReadV1, resyncRequiredV2, resyncStartedV1, retentionShortenedV1, traceAtAgentOperation, traceAtMasterTargetOperation, type Volume,
} from '@secondsite/contracts';
import { temporaryFolder } from '@secondsite/embedded-services/testing';
import { waitUntil } from '@secondsite/embedded-services';
import { MessageBus } from '@secondsite/messaging';
import { Client } from 'pg';
import { RestClient, startTestCluster, type TestCluster, TestComponent } from './testing';

const volumeBytes = 64 * 1024 * 1024;
const agentVolume = { epoch: 1, sequence: 7, heldBytes: 4096, dirtyBytes: 0, writesPerSecond: 12, bytesPerSecond: 49_152, flowControlled: false, mode: 'data' } as const;
const targetPair = {
  epoch: 1, receivedSequence: 7, appliedSequence: 7, cacheBytes: 0, stage: 'differential-sync', green: true, journalBytes: 1000, views: 0,
} as const;

/** Shows a certificate of another authority with the same names in it. */
async function foreignClient({ server, authority }: TestCluster): Promise<RestClient> {
  const material = await CertificateAuthority.generate();
  const other = await CertificateAuthority.load(material);
  const { keyPem, csrPem } = await createKeyAndRequest('x');
  const { certificatePem } = await other.issue({ csrPem, identity: { tenantId: 'default', role: 'agent', componentId: 'x' } });
  return new RestClient({ url: server.url, caPem: authority.identity.caPem, adminToken: '', client: { cert: certificatePem, key: keyPem } });
}

describe('the configuration server', () => {
  let cluster: TestCluster;
  let agent: TestComponent<'agent'>;
  let processServer: TestComponent<'process-server'>;
  let masterTarget: TestComponent<'master-target'>;
  let volume: Volume;
  let plan: Plan;
  let pairId: string;

  const history = async (): Promise<HistoryEntry[]> =>
    (await cluster.rest.ok<{ entries: HistoryEntry[] }>(restRoutes.getPlanHistory, { params: { plan: 'shop' } })).entries;
  /** Alerts come and go at their own times. */
  const historyWithoutAlerts = async (): Promise<HistoryEntry[]> => (await history()).filter(({ type }) => !type.startsWith('secondsite.monitoring.'));
  const until = <Value>(what: string, probe: () => Promise<Value | undefined | false>) => waitUntil(probe, { what, timeoutMillis: 15_000, intervalMillis: 50 });
  const auditReasons = async (): Promise<unknown[]> => {
    const { entries } = await cluster.rest.ok<{ entries: HistoryEntry[] }>(restRoutes.listEvents, { query: { context: 'security', limit: '50' } });
    return entries.map((entry) => entry.data as { reason?: string; code?: string }).map((data) => data.code ?? data.reason);
  };
  const sayDifferentialSync = (): void => masterTarget.say({ url: 'https://127.0.0.1:2', pairs: [{ ...targetPair, pairId, coveredTime: new Date().toISOString() }] });

  beforeAll(async () => {
    cluster = await startTestCluster({ SECONDSITE_STALL_SECONDS: '3', SECONDSITE_MOVE_GIVE_UP_SECONDS: '6' });
  }, 60_000);
  afterAll(async () => {
    await Promise.all([agent, processServer, masterTarget].map((component) => component?.close()));
    await cluster?.stop();
  }, 60_000);

  it('enrols components with one-time tokens over TLS that is checked by the token alone', async () => {
    const { url } = cluster.server;
    processServer = await TestComponent.start('process-server', { rest: cluster.rest, url });
    masterTarget = await TestComponent.start('master-target', { rest: cluster.rest, url });
    const host = await cluster.rest.ok<Host>(restRoutes.addHost, { body: { name: 'web' } });
    expect(host.agent).toBe('missing');
    agent = await TestComponent.start('agent', { rest: cluster.rest, url, host: 'web' });
    expect(agent.componentId).toBe(host.hostId);
    const tokens = await cluster.rest.ok<{ tokens: { state: string }[] }>(restRoutes.listEnrolmentTokens);
    expect(tokens.tokens.map((token) => token.state)).toEqual(['used', 'used', 'used']);
  });

  it('renews a certificate for its holder only', async () => {
    const identity = await readIdentity(agent.dataDir);
    const renewed = await renewIdentity(identity!, []);
    expect(renewed.certificatePem).not.toBe(identity?.certificatePem);
    const { csrPem } = await createKeyAndRequest('nobody');
    const anonymous = await cluster.rest.call(restRoutes.renewCertificate, { body: { csr: csrPem } });
    expect(anonymous).toMatchObject({ status: 401, body: { code: 'access/client-certificate' } });
    const foreigner = await foreignClient(cluster);
    expect(await foreigner.call(restRoutes.renewCertificate, { body: { csr: csrPem } })).toMatchObject({ status: 401, body: { code: 'access/client-certificate' } });
  });

  it('refuses wrong, used and expired tokens and a wrong admin token with an audit event each', async () => {
    const { url } = cluster.server;
    const join = (token: string): Promise<unknown> => enroll({ token, configServerUrl: url, dataDir: temporaryFolder('refused'), name: 'x', dnsNames: [] });
    const issue = (validSeconds: number) => cluster.rest.ok<{ token: string }>(restRoutes.issueEnrolmentToken, { body: { role: 'master-target', validSeconds } });
    const { token: used } = await issue(60);
    await join(used);
    await expect(join(used)).rejects.toMatchObject({ code: 'enrolment/token-used' });
    const parts = used.split('.');
    await expect(join([parts[0], 'A'.repeat(43), parts[2]].join('.'))).rejects.toMatchObject({ code: 'enrolment/token-unknown' });
    const { token: expired } = await issue(1);
    await until('a token to expire', async () => {
      const { tokens } = await cluster.rest.ok<{ tokens: { state: string }[] }>(restRoutes.listEnrolmentTokens);
      return tokens.some((token) => token.state === 'expired');
    });
    await expect(join(expired)).rejects.toMatchObject({ code: 'enrolment/token-expired' });
    const wrong = await cluster.rest.call(restRoutes.listHosts, { token: 'guess' });
    expect(wrong).toMatchObject({ status: 401, contentType: expect.stringContaining('application/problem+json'), body: { code: 'access/admin-token' } });
    await until('the audit', async () => {
      const reasons = await auditReasons();
      return ['token-used', 'token-unknown', 'token-expired', 'access/admin-token', 'access/client-certificate'].every((reason) => reasons.includes(reason));
    });
  });

  it('adds a volume and answers with the address that the agent exports', async () => {
    agent.say({ volumes: [] });
    await until('the agent online', async () => (await cluster.rest.ok<{ hosts: Host[] }>(restRoutes.listHosts)).hosts[0]?.agent === 'online');
    const adding = cluster.rest.ok<Volume>(restRoutes.addVolume, { body: { name: 'web-root', host: 'web', tap: { kind: 'nbd', source: '/disks/web.img' } } });
    const desired = await until('the volume in the desired state', async () => (await agent.desiredState())?.volumes[0]);
    expect(desired).toMatchObject({ name: 'web-root', tap: { kind: 'nbd', source: '/disks/web.img' } });
    agent.say({ volumes: [{ ...agentVolume, volumeId: desired.volumeId, mode: 'unprotected', sizeBytes: volumeBytes, nbdUris: ['nbd+unix:///x?socket=/s'] }] });
    volume = await adding;
    expect(volume).toMatchObject({ nbdUris: ['nbd+unix:///x?socket=/s'], sizeBytes: volumeBytes, hostName: 'web' });
    const twice = await cluster.rest.call(restRoutes.addVolume, { body: { name: 'web-root', host: 'web', tap: { kind: 'nbd', source: '/other' } } });
    expect(twice).toMatchObject({ status: 409, body: { code: 'volume/name-taken' } });
  });

  it('places a plan\'s pairs and hands every component its part', async () => {
    processServer.say({ url: 'https://127.0.0.1:1', pairs: [] });
    masterTarget.say({ url: 'https://127.0.0.1:2', pairs: [] });
    plan = await cluster.rest.ok<Plan>(restRoutes.createPlan, { body: { name: 'shop', volumes: ['web-root'], consistencyIntervalSeconds: 60, deduplication: true } });
    expect(plan).toMatchObject({ deduplication: true });
    pairId = plan.volumes[0]?.pairId as string;
    const atAgent = await until('the pair at the agent', async () => (await agent.desiredState())?.volumes[0]?.pair);
    expect(atAgent).toMatchObject({ pairId, processServerUrl: 'https://127.0.0.1:1', paused: false });
    expect((await agent.desiredState())?.consistencyGroups).toEqual([{ planId: plan.planId, volumeIds: [volume.volumeId], intervalSeconds: 60 }]);
    const atProcessServer = await until('the pair at the process server', async () => (await processServer.desiredState())?.pairs[0]);
    expect(atProcessServer).toMatchObject({ pairId, masterTargetUrl: 'https://127.0.0.1:2', compression: 'process-server', deduplication: true });
    const atMasterTarget = await until('the pair at the master target', async () => (await masterTarget.desiredState())?.pairs[0]);
    expect(atMasterTarget).toMatchObject({ pairId, sizeBytes: volumeBytes, retention: { windowSeconds: 86_400 } });
    const again = await cluster.rest.call(restRoutes.createPlan, { body: { name: 'other', volumes: ['web-root'] } });
    expect(again).toMatchObject({ status: 409, body: { code: 'volume/protected' } });
  });

  it('follows an address that a component registers or says anew', async () => {
    await processServer.bus.publishEventEventually(
      processServer.bus.events.make(componentRegisteredV1, { componentId: processServer.componentId, role: 'process-server', version: '1', hostName: 'h', url: 'https://127.0.0.1:9' }),
    );
    processServer.say({ url: 'https://127.0.0.1:9', pairs: [{ pairId, forwardedSequence: 7, spoolBytes: 0, spoolSets: 0 }] });
    await until('the new address at the agent', async () => (await agent.desiredState())?.volumes[0]?.pair?.processServerUrl === 'https://127.0.0.1:9');
    await until('the address that was only said', async () => {
      const { entries } = await cluster.rest.ok<{ entries: HistoryEntry[] }>(restRoutes.listEvents, { query: { context: 'inventory' } });
      const registered = entries.filter((entry) => entry.type.includes('component-registered')).map((entry) => entry.data as { componentId: string; url: string });
      return registered.some(({ componentId, url }) => componentId === masterTarget.componentId && url === 'https://127.0.0.1:2');
    });
  });

  it('takes what components report into the history once, whoever repeats it', async () => {
    const started = agent.bus.events.make(resyncStartedV1, { pairId, epoch: 1, reason: 'baseline', dirtyBytes: volumeBytes, totalBytes: volumeBytes });
    const ofAgent = [
      started, agent.bus.events.make(bitmapModeEnteredV1, { pairId, epoch: 1, reason: 'buffer-full' }),
      agent.bus.events.make(resyncComparedV1, { pairId, epoch: 1, comparedBlocks: 160, sentBlocks: 2, skippedBlocks: 158, blockBytes: 65536 }),
      agent.bus.events.make(resyncReadV1, { pairId, epoch: 1, sequence: 3 }),
    ];
    const ofTarget = [
      masterTarget.bus.events.make(resyncStartedV1, { pairId, epoch: 1, reason: 'baseline', dirtyBytes: volumeBytes, totalBytes: volumeBytes }),
      masterTarget.bus.events.make(differentialSyncReachedV1, { pairId, epoch: 1, sequence: 5, coveredTime: new Date().toISOString() }),
    ];
    for (const report of ofAgent) await agent.bus.publishEvent(report);
    for (const report of ofTarget) await masterTarget.bus.publishEvent(report);
    agent.say({ volumes: [{ ...agentVolume, volumeId: volume.volumeId, pairId, sizeBytes: volumeBytes, nbdUris: ['nbd+unix:///x?socket=/s'] }] });
    sayDifferentialSync();
    await until('differential sync in the history', async () => (await history()).some((entry) => entry.type.includes('differential-sync-reached')));
    const facts = (await history()).map((entry) => entry.type.split('.')[2]);
    expect(facts).toEqual([
      'plan-created', 'volume-protected', 'deduplication-changed', 'pair-created', 'resync-started', 'bitmap-mode-entered', 'resync-compared', 'resync-read', 'differential-sync-reached',
    ]);
    expect((await history())[6]?.summary).toMatch(/: 160 blocks compared, 2 sent, 158 skipped\.$/);
    expect((await history())[4]).toMatchObject({ eventId: started.id, occurredAt: started.time, actor: `component ${agent.componentId}` });
  });

  it('shows stage, RPO, rate and data in transit from what the components said less than 2 s ago', async () => {
    const status = await until('a fresh status', async () => {
      const { pairs } = await cluster.rest.ok<PlanStatus>(restRoutes.getPlanStatus, { params: { plan: 'shop' } });
      return pairs[0]?.stage === 'differential-sync' && pairs[0].rpoSeconds !== null && pairs[0];
    });
    expect(status).toMatchObject({
      green: true, epoch: 1, sequences: { agent: 7, forwarded: 7, received: 7, applied: 7 }, writesPerSecond: 12,
      dataInTransit: { agentBytes: 4096, totalBytes: 4096, waitsAt: 'nowhere', words: '4 KiB on the way, nothing is waiting' },
    });
    expect(Date.now() - Date.parse(status.measuredAt as string)).toBeLessThan(2_000);
  });

  it('keeps what components tell of refused peers and of bookmarks of their own', async () => {
    const { componentId, bus } = agent;
    const peer = bus.events.make(peerRefusedV1, { componentId, role: 'agent', code: 'tls/stranger', reason: 'unknown authority', remoteAddress: '10.0.0.9' });
    const bookmark = bus.events.make(bookmarkFailedV1, { bookmarkId: 'own-1', name: 'own', code: 'bookmark/timeout', reason: 'held for too long' });
    for (const event of [peer, bookmark]) await bus.publishEventEventually(event);
    const ids = async (context: string): Promise<string[]> =>
      (await cluster.rest.ok<{ entries: HistoryEntry[] }>(restRoutes.listEvents, { query: { context } })).entries.map((entry) => entry.eventId);
    await until('the bookmark', async () => (await ids('recovery')).includes(bookmark.id));
    expect((await ids('security')).filter((id) => id === peer.id)).toHaveLength(1);
  });

  it('knows a newer covered time from change-set-applied before the next telemetry', async () => {
    const rpoSeconds = async (): Promise<number> => {
      const { pairs } = await cluster.rest.ok<PlanStatus>(restRoutes.getPlanStatus, { params: { plan: 'shop' } });
      return pairs[0]?.rpoSeconds ?? 0;
    };
    await until('an older covered time', async () => (await rpoSeconds()) > 0.7);
    let sequence = targetPair.appliedSequence;
    await until('the newer one', async () => {
      const now = new Date().toISOString();
      await masterTarget.bus.publishEvent(masterTarget.bus.events.make(changeSetAppliedV2, { pairId, epoch: 1, sequence: ++sequence, coveredTime: now, appliedAt: now }));
      return (await rpoSeconds()) < 0.5;
    });
  });

  it('raises a stall alarm by itself and takes it back', async () => {
    const old = new Date(Date.now() - 60_000).toISOString();
    masterTarget.say({ url: 'https://127.0.0.1:2', pairs: [{ ...targetPair, pairId, coveredTime: old }] });
    const alarm = await until('the alarm', async () => (await cluster.rest.ok<ClusterStatus>(restRoutes.getStatus)).alarms.find((one) => one.kind === 'stalled'));
    expect(alarm.subject).toBe('web-root');
    masterTarget.silence();
    sayDifferentialSync();
    masterTarget.silence();
    const refresh = setInterval(sayDifferentialSync, 300);
    await until('the end of the alarm', async () => (await cluster.rest.ok<ClusterStatus>(restRoutes.getStatus)).alarms.every((one) => one.kind !== 'stalled'));
    clearInterval(refresh);
    expect((await history()).map((entry) => entry.type.split('.')[2]).slice(-4)).toEqual(['replication-stalled', 'alert-raised', 'replication-recovered', 'alert-cleared']);
  });

  it('makes bookmarks through the agent and lists points through the target', async () => {
    const time = '2026-01-01T00:00:05.000001Z';
    agent.bus.serve(createBookmarkOperation, async ({ bookmarkId, volumeIds }) => {
      expect(volumeIds).toEqual([volume.volumeId]);
      return { bookmarkId, time, heldMillis: 1.5, cuts: [{ volumeId: volume.volumeId, pairId, epoch: 1, sequence: 8, time }] };
    });
    const points = { pairId, ranges: [{ from: '2026-01-01T00:00:00.000000Z', to: '2026-01-01T00:00:09.000000Z', green: true }], latest: '2026-01-01T00:00:09.000000Z' };
    const bookmarks = [{ bookmarkId: 'alone', name: 'alone', level: 'crash' as const, time }, { bookmarkId: 'half', name: 'half', level: 'user' as const, time, hosts: 2 }];
    masterTarget.bus.serve(listPointsOperation, async () => ({ pairs: [{ ...points, bookmarks }] }));
    await Promise.all([agent.served(), masterTarget.served()]);
    const bookmark = await cluster.rest.ok<{ time: string; bookmarkId: string }>(restRoutes.createBookmark, { params: { plan: 'shop' }, body: { name: 'before update' } });
    expect(bookmark).toMatchObject({ time, heldMillis: 1.5, volumes: [{ volumeName: 'web-root' }] });
    const listed = await cluster.rest.ok(restRoutes.listPoints, { query: { of: 'shop', from: '-1h' } });
    expect(listed).toMatchObject({ of: { kind: 'plan', name: 'shop' }, common: { latest: points.latest }, volumes: [{ volumeName: 'web-root', ranges: points.ranges }] });
    expect((await historyWithoutAlerts()).at(-1)).toMatchObject({ type: 'secondsite.recovery.bookmark-created.v2', actor: 'user admin' });
    const offered = async () => (await cluster.rest.ok<RecoveryPoints>(restRoutes.listPoints, { query: { of: 'web-root' } })).common.bookmarks.map(({ name }) => name);
    expect(await offered()).toEqual(['alone']);
    bookmarks.push({ bookmarkId: bookmark.bookmarkId, name: 'before update', level: 'user', time, hosts: 2 });
    expect(await offered()).toEqual(['alone', 'before update']);
  });

  it('hands the hooks of a volume to its agent, and refuses a level for which there are none', async () => {
    const hooks = [{ kind: 'script', file: '/etc/quiesce' }];
    const told = await cluster.rest.ok<Volume>(restRoutes.setVolumeHooks, { params: { volume: 'web-root' }, body: { hooks } });
    expect(told.hooks).toEqual(hooks);
    await until('the hooks at the agent', async () => (await agent.desiredState())?.volumes[0]?.hooks?.length === 1);
    const relative = await cluster.rest.call(restRoutes.setVolumeHooks, { params: { volume: 'web-root' }, body: { hooks: [{ kind: 'script', file: 'quiesce' }] } });
    expect(relative.status).toBe(400);
    await cluster.rest.ok(restRoutes.setVolumeHooks, { params: { volume: 'web-root' }, body: { hooks: [] } });
    const refused = await cluster.rest.call(restRoutes.createBookmark, { params: { plan: 'shop' }, body: { name: 'x', level: 'application' } });
    expect(refused).toMatchObject({ status: 409, body: { code: 'bookmark/no-hooks' } });
  });

  it('opens views at a resolved point, refuses others with the nearest points, and closes them', async () => {
    const open = new Map<string, OpenedView>();
    const pointTime = '2026-01-01T00:00:05.000000Z';
    masterTarget.bus.serve(resolvePointOperation, async ({ point }): Promise<ReplyInputOf<typeof resolvePointOperation>> =>
      point.kind === 'at' && point.time < '2026-01-01'
        ? { outcome: 'refused', reason: 'before-retention', detail: 'older than the retention window', nearestAfter: '2026-01-01T00:00:00.000000Z' }
        : { outcome: 'found', time: pointTime },
    );
    masterTarget.bus.serve(openViewOperation, async ({ viewId, readWrite }): Promise<ReplyInputOf<typeof openViewOperation>> => {
      const view = { viewId, pairId, volumeId: volume.volumeId, pointTime, readWrite: readWrite ?? false, sizeBytes: volumeBytes, nbdUris: ['nbd://x'] };
      open.set(viewId, view);
      return { outcome: 'opened', view };
    });
    masterTarget.bus.serve(listViewsOperation, async () => ({ views: [...open.values()] }));
    masterTarget.bus.serve(closeViewOperation, async ({ viewId }) => ({ closed: open.delete(viewId) }));
    await masterTarget.served();
    const opened = await cluster.rest.ok<{ pointTime: string; views: { viewId: string }[] }>(restRoutes.openViews, { body: { of: 'web-root', point: { kind: 'latest' }, readWrite: true } });
    expect(opened).toMatchObject({ pointTime, views: [{ volumeName: 'web-root', readWrite: true, masterTargetId: masterTarget.componentId }] });
    const refused = await cluster.rest.call(restRoutes.openViews, { body: { of: 'shop', point: { kind: 'at', time: '2025-01-01T00:00:00Z' } } });
    expect(refused).toMatchObject({ status: 409, body: { code: 'recovery/point-refused', context: { reason: 'before-retention', nearestAfter: '2026-01-01T00:00:00.000000Z' } } });
    const unreadable = await cluster.rest.call(restRoutes.openViews, { body: { of: 'shop', point: { kind: 'at', time: 'yesterday' } } });
    expect(unreadable).toMatchObject({ status: 400, body: { code: 'point/unreadable-time' } });
    const viewId = opened.views[0]?.viewId as string;
    await cluster.rest.ok(restRoutes.closeView, { params: { viewId } });
    expect(open.size).toBe(0);
    const again = await cluster.rest.call(restRoutes.closeView, { params: { viewId } });
    expect([again.status, (await historyWithoutAlerts()).slice(-3).map((entry) => entry.type.split('.')[2])]).toEqual([503, ['view-opened', 'point-refused', 'view-closed']]);
  });

  it('follows one change set through the components and names those that do not answer', async () => {
    const set = { pairId, epoch: 1, sequence: 7 };
    masterTarget.bus.serve(traceAtMasterTargetOperation, async (): Promise<ReplyInputOf<typeof traceAtMasterTargetOperation>> => ({ changeSet: { ...set, hops: [{ hop: 'applied', at: '2026-01-01T00:00:01.250000Z' }] } }));
    agent.bus.serve(traceAtAgentOperation, async (wanted): Promise<ReplyInputOf<typeof traceAtAgentOperation>> => {
      expect(wanted).toMatchObject(set);
      return { changeSet: { ...set, storedBytes: 4096, hops: [{ hop: 'cut', at: '2026-01-01T00:00:01.000000Z' }] } };
    });
    await Promise.all([agent.served(), masterTarget.served()]);
    const trace = await cluster.rest.ok(restRoutes.traceVolume, { params: { volume: 'web-root' } });
    expect(trace).toMatchObject({
      sequence: 7, storedBytes: 4096, silent: [`process-server ${processServer.componentId}`],
      hops: [{ hop: 'cut', sinceFirstMillis: 0 }, { hop: 'applied', sinceFirstMillis: 250, component: `master-target ${masterTarget.componentId}` }],
    });
  });

  it('lists the change sets that components refused and kept aside, and names those that do not answer', async () => {
    const set = { pairId, epoch: 1, sequence: 9, bytes: 500, reason: 'epoch 1 ended', keptAt: '2026-01-01T00:00:00.000000Z' };
    masterTarget.bus.serve(quarantineAtMasterTargetOperation, async ({ pairIds }) => ({ sets: pairIds.map((id) => ({ ...set, pairId: id })) }));
    await masterTarget.served();
    const kept = { ...set, volumeName: 'web-root', component: { role: 'master-target', componentId: masterTarget.componentId } };
    const expected = { sets: [kept], silent: [`process-server ${processServer.componentId}`] };
    expect(await cluster.rest.ok(restRoutes.listQuarantine)).toEqual(expected);
    expect(await cluster.rest.ok(restRoutes.listQuarantine, { query: { of: 'shop' } })).toEqual(expected);
    expect((await cluster.rest.call(restRoutes.listQuarantine, { query: { of: 'nothing' } })).status).toBe(404);
  });

  it('pauses and resumes a plan at every component', async () => {
    await cluster.rest.ok(restRoutes.pausePlan, { params: { plan: 'shop' } });
    await until('the pause at the agent', async () => (await agent.desiredState())?.volumes[0]?.pair?.paused === true);
    const refused = await cluster.rest.call(restRoutes.createBookmark, { params: { plan: 'shop' }, body: { name: 'x' } });
    expect(refused).toMatchObject({ status: 409, body: { code: 'plan/paused' } });
    await cluster.rest.ok(restRoutes.resumePlan, { params: { plan: plan.planId } });
    await cluster.rest.ok(restRoutes.changePlan, { params: { plan: 'shop' }, body: { retention: { windowSeconds: 3600 }, consistencyIntervalSeconds: null } });
    const retention = await until('the new retention at the target', async () => {
      const pair = (await masterTarget.desiredState())?.pairs[0];
      return pair?.retention.windowSeconds === 3600 && pair.retention;
    });
    expect(retention).toEqual({ windowSeconds: 3600 });
  });

  it('hands bandwidth limits and the priority of a host to the process server, and takes them back', async () => {
    const bandwidth = { timeZone: 'Europe/Berlin', rules: [{ bytesPerSecond: 5_000_000, days: ['mon'], from: '08:00', to: '18:00' }, { bytesPerSecond: 50_000_000 }] };
    expect(await cluster.rest.ok(restRoutes.changePlan, { params: { plan: 'shop' }, body: { bandwidth } })).toMatchObject({ bandwidth });
    expect(await cluster.rest.ok(restRoutes.changeComponent, { params: { component: masterTarget.componentId }, body: { bandwidth } })).toMatchObject({ bandwidth });
    expect(await cluster.rest.ok(restRoutes.changeHost, { params: { host: 'web' }, body: { priority: 'high' } })).toMatchObject({ name: 'web', priority: 'high' });
    const limits = [plan.planId, masterTarget.componentId];
    const limited = await until('the limits at the process server', async () => {
      const state = await processServer.desiredState();
      return state?.pairs[0]?.linkIds.length === 2 && state.pairs[0].priority === 'high' && state;
    });
    expect(limited).toMatchObject({ pairs: [{ linkIds: limits }], links: [...limits].sort().map((linkId) => ({ linkId, bandwidth })) });
    await cluster.rest.ok(restRoutes.changePlan, { params: { plan: 'shop' }, body: { bandwidth: null } });
    await until('the limit of the plan to be gone', async () => (await processServer.desiredState())?.links.length === 1);
  });

  it('refuses bandwidth limits that make no sense, and says why', async () => {
    const refused = async (component: string, wish: object): Promise<unknown> => {
      const { status, body } = await cluster.rest.call(restRoutes.changeComponent, { params: { component }, body: { bandwidth: { rules: [{ bytesPerSecond: 1e6 }], ...wish } } });
      return [status, JSON.stringify(body)];
    };
    const target = masterTarget.componentId;
    expect(await refused(target, { timeZone: 'Berlin' })).toEqual([400, expect.stringContaining('IANA')]);
    expect(await refused(target, { rules: [{ bytesPerSecond: 1000 }] })).toEqual([400, expect.stringContaining('125000')]);
    expect(await refused(target, { rules: [{ bytesPerSecond: 1e6, from: '8:00' }] })).toEqual([400, expect.stringContaining('HH:MM')]);
    expect(await refused(processServer.componentId, {})).toEqual([422, expect.stringContaining('component/not-a-master-target')]);
    expect(await refused('nowhere', {})).toEqual([404, expect.stringContaining('component/unknown')]);
  });

  it('lets a pair read its whole volume in its time or when an operator asks, and says what the agent chose and why', async () => {
    const pairNow = async () => (await cluster.rest.ok<PlanStatus>(restRoutes.getPlanStatus, { params: { plan: 'shop' } })).pairs[0];
    const make = agent.bus.events;
    const wrong = await cluster.rest.call(restRoutes.changePlan, { params: { plan: 'shop' }, body: { automaticResync: { timeZone: 'Mars/Olympus' } } });
    expect(wrong.status).toBe(400);
    const change = { timeZone: 'Europe/Berlin', from: '00:00', to: '00:00', waitSeconds: 7200 };
    await cluster.rest.ok(restRoutes.changePlan, { params: { plan: 'shop' }, body: { automaticResync: change } });
    const requiredAt = Date.now();
    await agent.bus.publishEvent(make.make(resyncRequiredV2, { pairId, reason: 'the replica was lost', work: 'whole' }));
    const waiting = await until('the requirement', async () => ((await pairNow())?.resyncWait ? pairNow() : undefined));
    expect(waiting).toMatchObject({ stage: 'queued', flags: ['resync-required'], resyncWait: { words: expect.stringContaining('begins by itself at') } });
    expect(Math.abs(Date.parse(waiting.resyncWait?.notBefore ?? '') - requiredAt - 7_200_000)).toBeLessThan(60_000);
    await until('no turn at the agent', async () => (await agent.desiredState())?.volumes[0]?.pair?.resyncTurn === false);
    expect(await cluster.rest.ok<ClusterStatus>(restRoutes.getStatus)).toMatchObject({ resyncs: { atOnce: 3, going: 0, waiting: 1 } });
    const plan = await cluster.rest.ok<Plan>(restRoutes.changePlan, { params: { plan: 'shop' }, body: { automaticResync: { enabled: false } } });
    expect(plan.automaticResync).toEqual({ ...change, enabled: false });
    expect((await pairNow())?.resyncWait?.words).toContain('its plan wants to be asked');

    const asked = await cluster.rest.ok<{ pairId: string; place?: number }>(restRoutes.requestResync, { params: { volume: 'web-root' } });
    expect(asked).toEqual({ pairId, volumeName: 'web-root' });
    const told = await until('the request at the agent', async () => {
      const pair = (await agent.desiredState())?.volumes[0]?.pair;
      return pair?.resyncRequest === 1 && pair;
    });
    expect(told.resyncTurn).toBe(true);
    const chosen = { work: 'whole', cause: 'requested', resyncBytes: volumeBytes, volumeBytes } as const;
    await agent.bus.publishEvent(make.make(resyncChosenV1, { pairId, epoch: 2, ...chosen }));
    await agent.bus.publishEvent(make.make(resyncStartedV1, { pairId, epoch: 2, reason: 'requested', dirtyBytes: volumeBytes, totalBytes: volumeBytes }));
    await agent.bus.publishEvent(make.make(resyncReadV1, { pairId, epoch: 2, sequence: 3 }));
    const words = 'the whole volume is read, 64 MiB, because an operator asked for it';
    const status = await until('the end of step 1', async () => {
      const pair = await pairNow();
      return pair?.stage === 'resync-step-2' && pair;
    });
    expect(status).toMatchObject({ lastResync: { ...chosen, words } });
    expect((await history()).map((entry) => entry.summary)).toContain(`A pair goes on after an interruption: ${words}.`);
    expect(await cluster.rest.ok<ClusterStatus>(restRoutes.getStatus)).toMatchObject({ resyncs: { going: 0, waiting: 0 } });
  });

  it('takes the new size of a volume that grew to its target, and raises an alarm as long as a source is too small', async () => {
    const [fromBytes, toBytes] = [volumeBytes, 2 * volumeBytes];
    await agent.bus.publishEvent(agent.bus.events.make(volumeGrownV1, { pairId, fromBytes, toBytes }));
    await until('the size at the target', async () => (await masterTarget.desiredState())?.pairs[0]?.sizeBytes === toBytes);
    const alarms = async () => (await cluster.rest.ok<ClusterStatus>(restRoutes.getStatus)).alarms.filter(({ kind }) => kind === 'volume-shrunk');
    await agent.bus.publishEvent(agent.bus.events.make(volumeShrunkV1, { pairId, volumeBytes: toBytes, sourceBytes: volumeBytes }));
    const [alarm] = await until('the alarm', async () => (await alarms()).length === 1 && alarms());
    expect(alarm).toMatchObject({ subject: 'web-root', words: expect.stringContaining('has only 64 MiB of 128 MiB') });
    await agent.bus.publishEvent(agent.bus.events.make(volumeRestoredV1, { pairId, volumeBytes: toBytes }));
    await until('the end of the alarm', async () => (await alarms()).length === 0);
    expect((await history()).map((entry) => entry.summary)).toEqual(expect.arrayContaining([expect.stringContaining('from 64 MiB to 128 MiB'), expect.stringContaining('64 MiB of 128 MiB')]));
  });

  it('gives a ladder and pinned points to the target, and passes on what another retention would drop', async () => {
    const rules: KeepRule[] = [{ keep: 'all', untilSeconds: 3600 }, { keep: 'periodic', untilSeconds: 86_400, everySeconds: 900, bookmarks: ['user'] }];
    const dropped = [{ from: '2026-01-01T00:00:00.000000Z', to: '2026-01-01T01:00:00.000000Z' }];
    masterTarget.bus.serve(previewRetentionOperation, async ({ pairIds, retention }) => ({
      pairs: pairIds.map((id) => ({ pairId: id, dropped, droppedBookmarks: [], freedBytes: retention.windowSeconds })),
    }));
    await masterTarget.served();
    const preview = await cluster.rest.ok(restRoutes.previewRetention, { params: { plan: 'shop' }, body: { retention: { rules } } });
    expect(preview).toMatchObject({ volumes: [{ pairId, volumeName: 'web-root', dropped, freedBytes: 86_400 }] });
    const faulty = await cluster.rest.call(restRoutes.previewRetention, { params: { plan: 'shop' }, body: { retention: { rules: [...rules].reverse() } } });
    expect(faulty).toMatchObject({ body: { code: 'retention/invalid-ladder' } });

    await cluster.rest.ok(restRoutes.changePlan, { params: { plan: 'shop' }, body: { retention: { rules } } });
    const pinned = await cluster.rest.ok<Plan>(restRoutes.pinPoint, { params: { plan: 'shop' }, body: { name: 'good', point: { kind: 'latest' } } });
    expect(pinned).toMatchObject({ retention: { windowSeconds: 86_400, rules }, pins: [{ name: 'good', points: [{ pairId, time: '2026-01-01T00:00:05.000000Z' }] }] });
    const atTarget = await until('ladder and pin at the target', async () => {
      const pair = (await masterTarget.desiredState())?.pairs[0];
      return pair?.pins && pair.retention.rules && pair;
    });
    expect(atTarget).toMatchObject({ retention: { windowSeconds: 86_400, rules }, pins: [{ pinId: pinned.pins[0]?.pinId, time: '2026-01-01T00:00:05.000000Z' }] });
    expect(await cluster.rest.call(restRoutes.pinPoint, { params: { plan: 'shop' }, body: { name: 'good', point: { kind: 'latest' } } })).toMatchObject({ status: 409, body: { code: 'pin/exists' } });
    await cluster.rest.ok(restRoutes.pinPoint, { params: { plan: 'shop' }, body: { name: 'other', point: { kind: 'latest' } } });
    const unpinned = await cluster.rest.ok<Plan>(restRoutes.unpinPoint, { params: { plan: 'shop', pin: 'good' } });
    expect(unpinned.pins.map(({ name }) => name)).toEqual(['other']);
  });

  it('shows how the journal stands, and an alarm when points had to go', async () => {
    const report = { promisedSeconds: 86_400, availableSeconds: 3600, limitBytes: 4096, shortenedBy: 'space-limit', shortenedAt: '2026-01-01T00:00:00.000000Z' } as const;
    masterTarget.say({ url: 'https://127.0.0.1:2', pairs: [{ ...targetPair, pairId, coveredTime: new Date().toISOString(), retention: report }] });
    const status = await until('the alarm', async () => {
      const found = await cluster.rest.ok<ClusterStatus>(restRoutes.getStatus);
      return found.alarms.some(({ kind }) => kind === 'retention-window-low') && found;
    });
    expect(status.pairs[0]?.retention).toMatchObject({ ...report, words: expect.stringContaining('1 h of 1 d available') });
    const shortened = { pairId, cause: 'space-limit', promisedSeconds: 86_400, availableSeconds: 3600, journalBytes: 4096 } as const;
    await masterTarget.bus.publishEventEventually(masterTarget.bus.events.make(retentionShortenedV1, shortened));
    await until('the alarm in the history', async () => (await history()).some(({ type }) => type === 'secondsite.replication.retention-shortened.v1'));
  });

  it('moves a pair to another process server, from step to step as the components show them', async () => {
    const other = await TestComponent.start('process-server', { rest: cluster.rest, url: cluster.server.url });
    const spool = { pairId, forwardedSequence: 7, spoolBytes: 4096, spoolSets: 1 };
    const move = (processServer: string, giveUp = false) => cluster.rest.call(restRoutes.moveVolume, { params: { volume: 'web-root' }, body: { processServer, giveUp } });
    const statusOfMove = async () => (await cluster.rest.ok<PlanStatus>(restRoutes.getPlanStatus, { params: { plan: 'shop' } })).pairs[0]?.move;
    const sends = (number: number) => agent.say({ volumes: [{ ...agentVolume, volumeId: volume.volumeId, pairId, sizeBytes: volumeBytes, nbdUris: [], move: number }] });
    try {
      expect(await move(masterTarget.componentId)).toMatchObject({ status: 422, body: { code: 'component/not-a-process-server' } });
      expect(await move(other.componentId)).toMatchObject({ status: 409, body: { code: 'placement/process-server-silent' } });
      other.say({ url: 'https://127.0.0.1:7', pairs: [] });
      processServer.say({ url: 'https://127.0.0.1:9', pairs: [spool] });
      await until('the move', async () => (await move(other.componentId)).status === 200);
      expect(await statusOfMove()).toMatchObject({ fromId: processServer.componentId, toId: other.componentId, step: 'switching', leftBytes: 4096, words: expect.stringContaining('its agent still sends') });
      await until('the pair at both', async () => (await other.desiredState())?.pairs[0]?.handover === 'to' && (await processServer.desiredState())?.pairs[0]);
      expect((await processServer.desiredState())?.pairs[0]?.handover).toBeUndefined();
      const atAgent = await until('the way at the agent', async () => {
        const pair = (await agent.desiredState())?.volumes[0]?.pair;
        return pair?.move === 1 && pair;
      });
      expect(atAgent.processServerUrl).toBe('https://127.0.0.1:7');
      sends(1);
      await until('the old one draining', async () => (await processServer.desiredState())?.pairs[0]?.handover === 'from');
      expect(await statusOfMove()).toMatchObject({ step: 'draining', words: expect.stringContaining('still has to forward 4 KiB') });
      processServer.say({ url: 'https://127.0.0.1:9', pairs: [{ ...spool, spoolBytes: 0, spoolSets: 0, drained: 1 }] });
      await until('the old one without the pair', async () => (await processServer.desiredState())?.removedPairs.includes(pairId));
      await until('the new one alone', async () => (await other.desiredState())?.pairs[0]?.handover === undefined);
      expect(await statusOfMove()).toBeUndefined();
      const told = (await history()).filter(({ type }) => type.includes('.process-server-'));
      expect(told.map(({ type, actor }) => `${actor.split(' ')[1]} ${type.split('.')[2]}`)).toEqual([
        'admin process-server-changed', 'move-watch process-server-switched', 'move-watch process-server-left',
      ]);
      expect(await move(processServer.componentId, true)).toMatchObject({ status: 200 });
      await until('the way back without waiting', async () => (await processServer.desiredState())?.pairs[0]?.move === 2 && (await other.desiredState())?.removedPairs.includes(pairId));
      expect((await processServer.desiredState())?.removedPairs).toEqual([]);
    } finally {
      sends(2);
      await other.close();
    }
  });

  it('gives an old process server up by itself that is silent for too long', async () => {
    const other = await TestComponent.start('process-server', { rest: cluster.rest, url: cluster.server.url });
    const move = (processServer: string) => cluster.rest.call(restRoutes.moveVolume, { params: { volume: 'web-root' }, body: { processServer } });
    other.say({ url: 'https://127.0.0.1:7', pairs: [] });
    await until('the move away', async () => (await move(other.componentId)).status === 200);
    agent.say({ volumes: [{ ...agentVolume, volumeId: volume.volumeId, pairId, sizeBytes: volumeBytes, nbdUris: [], move: 3 }] });
    processServer.silence();
    const waits = await until('the end of patience in sight', async () => {
      const { pairs } = await cluster.rest.ok<PlanStatus>(restRoutes.getPlanStatus, { params: { plan: 'shop' } });
      return pairs[0]?.move?.giveUpAt !== undefined && pairs[0].move;
    });
    expect(waits.words).toContain('secondsite volume move web-root --process-server');
    await until('the end of the move', async () => (await history()).some(({ type, summary }) => type.includes('process-server-left') && summary.includes('has not been heard since')));
    processServer.say({ url: 'https://127.0.0.1:9', pairs: [] });
    await until('the move back', async () => (await move(processServer.componentId)).status === 200);
    await cluster.rest.call(restRoutes.moveVolume, { params: { volume: 'web-root' }, body: { processServer: processServer.componentId, giveUp: true } });
    await other.close();
  }, 40_000);

  it('lets a volume leave its plan for a while and join another one with its pair', async () => {
    const plans = { shop: 'shop', next: 'next' } as const;
    const add = (name: string, takeOver: boolean) => cluster.rest.call(restRoutes.addPlanVolumes, { params: { plan: name }, body: { volumes: ['web-root'], takeOver } });
    const remove = (body: object) => cluster.rest.call(restRoutes.removePlanVolumes, { params: { plan: plans.next }, body: { volumes: ['web-root'], ...body } });
    expect(await cluster.rest.call(restRoutes.createPlan, { body: { name: plans.next, volumes: ['web-root'] } })).toMatchObject({ status: 409, body: { code: 'volume/protected', hint: expect.stringContaining('--take-over') } });
    const next = await cluster.rest.ok<Plan>(restRoutes.createPlan, { body: { name: plans.next, volumes: ['web-root'], takeOver: true, retention: { windowSeconds: 7200 } } });
    expect(next.volumes).toMatchObject([{ name: 'web-root', pairId }]);
    await until('the retention of the new plan', async () => (await masterTarget.desiredState())?.pairs[0]?.retention.windowSeconds === 7200);
    expect((await cluster.rest.ok<PlanStatus>(restRoutes.getPlanStatus, { params: { plan: plans.shop } })).volumes).toEqual([]);
    expect(await remove({ keepSeconds: 0 })).toMatchObject({ status: 409, body: { code: 'plan/not-confirmed' } });
    expect(await remove({ keepSeconds: 3600 })).toMatchObject({ status: 200, body: { plan: { volumes: [] }, left: [{ volumeName: 'web-root', pairId, keptUntil: expect.any(String) }] } });
    const standby = await until('the agent standing by', async () => {
      const pair = (await agent.desiredState())?.volumes[0]?.pair;
      return pair?.standby === true && pair;
    });
    expect(standby.pairId).toBe(pairId);
    await until('the time of grace at the target', async () => (await masterTarget.desiredState())?.pairs[0]?.retention.windowSeconds === 10_800);
    expect(await cluster.rest.call(restRoutes.removeVolume, { params: { volume: 'web-root' } })).toMatchObject({ status: 409, body: { code: 'volume/kept' } });
    expect(await add(plans.shop, false)).toMatchObject({ status: 200, body: { volumes: [{ pairId }] } });
    await until('the agent as before', async () => (await agent.desiredState())?.volumes[0]?.pair?.standby === undefined);
    await cluster.rest.ok(restRoutes.removePlan, { params: { plan: plans.next }, query: { confirm: plans.next } });
  });

  it('moves a pair to another master target when that has all of it, and takes a move back that has not arrived', async () => {
    const other = await TestComponent.start('master-target', { rest: cluster.rest, url: cluster.server.url });
    const to = (target: string) => cluster.rest.call(restRoutes.moveToMasterTarget, { params: { volume: 'web-root' }, body: { masterTarget: target } });
    expect(await to(other.componentId)).toMatchObject({ status: 409, body: { code: 'target/not-online' } });
    other.say({ url: 'https://127.0.0.1:3', pairs: [] });
    const withUndo = (cold: object) => masterTarget.say({ url: 'https://127.0.0.1:2', pairs: [{ ...targetPair, pairId, retention: { promisedSeconds: 60, availableSeconds: 60, ...cold } }] });
    withUndo({ cold: { bytes: 4096, waitingBytes: 0 } });
    await until('undo in the cold store to be refused', async () => ((await to(other.componentId)).body as { code?: string }).code === 'move/cold-segments');
    withUndo({});
    await until('the new target to be heard', async () => (await to(other.componentId)).status === 200);
    expect(await to(processServer.componentId)).toMatchObject({ status: 422, body: { code: 'component/not-a-master-target' } });
    const arriving = async () => (await other.desiredState())?.arrivingPairs?.[0];
    expect(await until('the move at the new target', arriving)).toMatchObject({ pairId, placement: 1, sourceUrl: 'https://127.0.0.1:2' });
    await until('the move at the old target', async () => (await masterTarget.desiredState())?.pairs[0]?.movingTo === other.componentId);
    expect((await masterTarget.desiredState())?.pairs[0]).toMatchObject({ pairId, placement: 0 });
    const arrival = { pairId, placement: 1, state: 'copying', copiedBytes: 250, totalBytes: 1000, finishSeconds: 90 } as const;
    other.say({ url: 'https://127.0.0.1:3', pairs: [], arrivals: [arrival] });
    const status = async () => (await cluster.rest.ok<PlanStatus>(restRoutes.getPlanStatus, { params: { plan: 'shop' } })).pairs[0];
    const words = `moves to ${other.componentId}: 25 % copied, about 1 min 30 s left`;
    expect(await until('progress', async () => (await status())?.targetMove?.state === 'copying' && status())).toMatchObject({ masterTargetId: masterTarget.componentId, targetMove: { percent: 25, words } });

    await cluster.rest.ok(restRoutes.cancelTargetMove, { params: { volume: 'web-root' } });
    other.say({ url: 'https://127.0.0.1:3', pairs: [], arrivals: [{ ...arrival, state: 'complete' }] });
    await until('the end of the move at both', async () => (await other.desiredState())?.departedPairs?.[0]?.pairId === pairId && (await masterTarget.desiredState())?.pairs[0]?.placement === 1);

    expect((await to(other.componentId)).status).toBe(200);
    expect(await until('the next move', arriving)).toMatchObject({ placement: 2 });
    expect((await status())?.masterTargetId).toBe(masterTarget.componentId);
    other.say({ url: 'https://127.0.0.1:3', pairs: [], arrivals: [{ ...arrival, placement: 2, state: 'complete' }] });
    await until('the process server to turn', async () => (await processServer.desiredState())?.pairs[0]?.masterTargetUrl === 'https://127.0.0.1:3');
    await until('the pair at the new target', async () => (await other.desiredState())?.pairs[0]?.placement === 2);
    await until('the old target to let go', async () => (await masterTarget.desiredState())?.departedPairs?.[0]?.pairId === pairId);
    const told = (await history()).map((entry) => entry.type.split('.')[2] ?? '').filter((fact) => fact.startsWith('target-move'));
    expect(told).toEqual(['target-move-started', 'target-move-cancelled', 'target-move-started', 'target-moved']);

    other.say({ url: 'https://127.0.0.1:3', pairs: [{ ...targetPair, pairId, coveredTime: new Date().toISOString() }] });
    expect((await to(masterTarget.componentId)).status).toBe(200);
    await until('the way back', async () => (await masterTarget.desiredState())?.arrivingPairs?.[0]?.placement === 3);
    masterTarget.say({ url: 'https://127.0.0.1:2', pairs: [], arrivals: [{ ...arrival, placement: 3, state: 'complete' }] });
    await until('the pair at home', async () => (await masterTarget.desiredState())?.pairs[0]?.placement === 3);
    await other.close();
  });

  it('rebuilds its read models from zero, identical', async () => {
    const rebuilt = await cluster.rest.ok<{ events: number; identical: boolean; readModels: { name: string; rows: number }[] }>(restRoutes.rebuildReadModels);
    expect(rebuilt.identical).toBe(true);
    expect(rebuilt.events).toBeGreaterThan(20);
    expect(rebuilt.readModels.filter((model) => model.rows === 0).map(({ name }) => name).filter((name) => name !== 'alerts')).toEqual([]);
  });

  it('finds and repairs a read model that is not what the events say', async () => {
    const client = new Client({ connectionString: cluster.postgres.url });
    await client.connect();
    await client.query(`update rm_plans set name = 'tampered'`);
    await client.end();
    const verdicts = async (): Promise<boolean[]> =>
      (await cluster.rest.ok<{ readModels: { identical: boolean }[] }>(restRoutes.rebuildReadModels)).readModels.map((model) => model.identical);
    expect(await verdicts()).toEqual([true, true, false, true]);
    expect(await verdicts()).toEqual([true, true, true, true]);
    expect((await cluster.rest.call(restRoutes.getPlanStatus, { params: { plan: 'shop' } })).status).toBe(200);
  });

  it('answers 503 with a hint while the bus is away, and comes back by itself', async () => {
    await cluster.nats.kill();
    const away = await until('an outage', async () => {
      const answer = await cluster.rest.call(restRoutes.listPoints, { query: { of: 'shop' } });
      return answer.status === 503 && answer;
    });
    expect(away.body).toMatchObject({ code: 'bus/not-connected', retryable: true });
    const traceparent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;
    await cluster.rest.ok(restRoutes.addHost, { body: { name: 'added-without-bus' }, traceparent });
    await cluster.nats.start();
    const relayed = Promise.withResolvers<string | undefined>();
    const listener = await MessageBus.start({
      servers: [cluster.nats.url], identity: { tenantId: 'default', role: 'config-server', componentId: 'config-server' }, tls: identityFiles(cluster.dataDir),
    });
    listener.consume({
      durable: 'spec', subjects: [eventSubjectFilter({ fact: 'host-added' })],
      handler: async (event) => ('name' in event.data && event.data.name === 'added-without-bus' ? relayed.resolve(event.traceparent) : undefined),
    });
    expect(await relayed.promise).toBe(traceparent);
    await listener.close();
    await until('points again', async () => (await cluster.rest.call(restRoutes.listPoints, { query: { of: 'shop' } })).status === 200);
  });

  it('answers 503 with a hint while the database is away, and comes back by itself', async () => {
    await cluster.postgres.kill();
    const away = await cluster.rest.call(restRoutes.addHost, { body: { name: 'db' } });
    expect(away).toMatchObject({ status: 503, body: { code: 'database/unavailable', retryable: true } });
    await cluster.postgres.start();
    await until('hosts again', async () => (await cluster.rest.call(restRoutes.addHost, { body: { name: 'db' } })).status === 201);
  });

  it('removes protection only when the name is repeated, and tells everyone', async () => {
    const unconfirmed = await cluster.rest.call(restRoutes.removePlan, { params: { plan: 'shop' }, query: { confirm: 'shp' } });
    expect(unconfirmed).toMatchObject({ status: 409, body: { code: 'plan/not-confirmed' } });
    await cluster.rest.ok(restRoutes.removePlan, { params: { plan: 'shop' }, query: { confirm: 'shop', deleteData: 'true' } });
    const told = await until('the removal at the target', async () => {
      const state = await masterTarget.desiredState();
      return state?.removedPairs.includes(pairId) && state;
    });
    expect(told.pairs).toEqual([]);
    await until('the removal at the agent', async () => (await agent.desiredState())?.volumes[0]?.pair === undefined);
    expect((await historyWithoutAlerts()).at(-1)?.type).toBe('secondsite.protection.pair-removed.v1');
    await cluster.rest.ok(restRoutes.removeVolume, { params: { volume: 'web-root' } });
  });
});
