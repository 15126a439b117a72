// SPDX-License-Identifier: Apache-2.0
// Alerts from what components say, over a restart of the configuration server.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Alert, bookmarkFailedV1, type HistoryEntry, type Plan, restRoutes } from '@secondsite/contracts';
import { waitUntil } from '@secondsite/embedded-services';
import { GIB, MIB } from '@secondsite/units';
import pino from 'pino';
import { readConfig } from '../config';
import { type ConfigServer, startConfigServer } from '../config-server';
import { RestClient, startTestCluster, type TestCluster, TestComponent } from '../testing';

const volume = { volumeId: '', mode: 'data', epoch: 1, sequence: 7, heldBytes: 0, dirtyBytes: 0, writesPerSecond: 0, bytesPerSecond: 0, flowControlled: false } as const;
const kinds = ['rpo-exceeded', 'disk-space-low', 'component-silent', 'bookmark-failed'];
const targetPair = { epoch: 1, receivedSequence: 7, appliedSequence: 7, cacheBytes: 0, stage: 'differential-sync', green: true, journalBytes: 1000, views: 0 } as const;

describe('alerts', () => {
  let cluster: TestCluster;
  let server: ConfigServer | undefined;
  let rest: RestClient;
  let agent: TestComponent<'agent'>;
  let processServer: TestComponent<'process-server'>;
  let masterTarget: TestComponent<'master-target'>;
  let plan: Plan;
  let pairId: string;
  let repeating: NodeJS.Timeout | undefined;

  const alerts = async (): Promise<Alert[]> => (await rest.ok<{ alerts: Alert[] }>(restRoutes.listAlerts)).alerts;
  const raised = async (kind: string): Promise<Alert | undefined> => (await alerts()).find((alert) => alert.kind === kind);
  const until = <Value>(what: string, probe: () => Promise<Value | undefined | false>) => waitUntil(probe, { what, timeoutMillis: 20_000, intervalMillis: 50 });
  const untilRaised = (kind: string) => until(`${kind} to be raised`, () => raised(kind));
  const untilCleared = (kind: string) => until(`${kind} to be cleared`, async () => (await raised(kind)) === undefined);
  /** Facts about alerts of one kind in the order of the event store. */
  const facts = async (kind: string): Promise<(string | undefined)[]> => {
    const { entries } = await rest.ok<{ entries: HistoryEntry[] }>(restRoutes.listEvents, { query: { context: 'monitoring', limit: '500' } });
    return entries.filter(({ data }) => (data as { kind: string }).kind === kind).map(({ type }) => type.split('.')[2]).reverse();
  };
  /** The target goes on saying that it is so many seconds behind. */
  const sayBehind = (seconds: number): void => {
    clearInterval(repeating);
    const say = () => masterTarget.say({ url: 'https://127.0.0.1:2', freeBytes: 100 * GIB, pairs: [{ ...targetPair, pairId, coveredTime: new Date(Date.now() - seconds * 1000).toISOString() }] });
    say();
    repeating = setInterval(say, 300);
  };

  beforeAll(async () => {
    cluster = await startTestCluster({ SECONDSITE_SILENT_SECONDS: '6' });
    rest = cluster.rest;
    const { url } = cluster.server;
    await rest.ok(restRoutes.addHost, { body: { name: 'web' } });
    agent = await TestComponent.start('agent', { rest, url, host: 'web' });
    processServer = await TestComponent.start('process-server', { rest, url });
    masterTarget = await TestComponent.start('master-target', { rest, url });
    processServer.say({ url: 'https://127.0.0.1:1', freeBytes: 100 * GIB, pairs: [] });
    masterTarget.say({ url: 'https://127.0.0.1:2', freeBytes: 100 * GIB, pairs: [] });
    agent.say({ freeBytes: 100 * GIB, volumes: [] });
    const { volumeId } = await rest.ok<{ volumeId: string }>(restRoutes.addVolume, { body: { name: 'root', host: 'web', tap: { kind: 'nbd', source: '/x' }, sizeBytes: 64 * MIB } });
    plan = await rest.ok<Plan>(restRoutes.createPlan, { body: { name: 'shop', volumes: ['root'], rpoThresholdSeconds: 10 } });
    pairId = plan.volumes[0]?.pairId as string;
    agent.say({ freeBytes: 100 * GIB, volumes: [{ ...volume, volumeId, pairId, nbdUris: [] }] });
    sayBehind(0);
  }, 60_000);

  afterAll(async () => {
    clearInterval(repeating);
    await Promise.all([agent, processServer, masterTarget].map((component) => component?.close()));
    await server?.close();
    await cluster?.stop();
  }, 60_000);

  it('are raised for what components say, for who says nothing, and for a bookmark that failed, each with what to do', async () => {
    expect(plan.rpoThresholdSeconds).toBe(10);
    sayBehind(20);
    agent.say({ freeBytes: GIB, volumes: [] });
    processServer.silence();
    const failed = { bookmarkId: 'b1', name: 'nightly', planId: plan.planId, code: 'bookmark/not-in-data-mode', reason: 'the volume is being resynchronised' };
    await agent.bus.publishEventEventually(agent.bus.events.make(bookmarkFailedV1, failed));
    const [rpo, space, silent, bookmark] = await Promise.all(kinds.map(untilRaised));
    expect(rpo).toMatchObject({ severity: 'critical', subjectKind: 'pair', subjectId: pairId, subject: 'root', words: 'the RPO of root is above 10 s', hint: expect.stringContaining('secondsite rpo root') });
    expect(space).toMatchObject({ subjectId: agent.componentId, words: expect.stringContaining('less than 2 GiB free') });
    expect(silent).toMatchObject({ subjectId: processServer.componentId, words: expect.stringContaining('has not been heard for 6 s') });
    expect(bookmark).toMatchObject({ subject: 'shop', words: expect.stringContaining('being resynchronised') });
  }, 60_000);

  it('stay over a restart of the configuration server, are not raised again, and are cleared once', async () => {
    const before = await alerts();
    await cluster.server.close();
    server = await startConfigServer({ config: readConfig(cluster.environment), logger: pino({ level: 'silent' }) });
    rest = new RestClient({ url: server.url, caPem: cluster.authority.identity.caPem, adminToken: cluster.authority.adminToken });
    expect(await alerts()).toEqual(before);
    sayBehind(0);
    agent.say({ freeBytes: 100 * GIB, volumes: [] });
    processServer.say({ url: 'https://127.0.0.1:1', freeBytes: 100 * GIB, pairs: [] });
    await rest.ok(restRoutes.removePlan, { params: { plan: 'shop' }, query: { confirm: 'shop' } });
    await Promise.all(kinds.map(untilCleared));
    for (const kind of kinds) expect([kind, ...(await facts(kind))]).toEqual([kind, 'alert-raised', 'alert-cleared']);
  }, 60_000);

  it('are what their read model says when that is built again from the events', async () => {
    expect(await rest.ok(restRoutes.rebuildReadModels)).toMatchObject({ identical: true });
  });
});
