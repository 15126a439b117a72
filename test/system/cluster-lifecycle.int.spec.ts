// SPDX-License-Identifier: Apache-2.0
// One local cluster through its life as its user sees it: started, used, paused, killed in part, rebuilt, stopped and started again.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ComponentIdentity, enroll, identityFiles } from '@secondsite/certificates';
import { TestCluster, type TestDisk } from '@secondsite/cli/testing';
import type { ClusterStatus, HistoryEntry, Plan, RecoveryPoints, View } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import { identifyProcess } from '@secondsite/embedded-services';
import { MessageBus } from '@secondsite/messaging';
import { NbdClient } from '@secondsite/nbd';
import { isoFromMicros, MIB, microsFromIso, type TimeMicros } from '@secondsite/units';
import { digestOf, firstDifference } from './disk-content';

interface UpAnswer {
  readonly wasRunning: boolean;
  readonly url: string;
  readonly processes: readonly { readonly name: string; readonly pid: number }[];
}
interface RebuildAnswer {
  readonly identical: boolean;
  readonly events: number;
  readonly readModels: readonly { readonly name: string; readonly identical: boolean }[];
}

const diskBytes = 64 * MIB;
const parts = ['agent', 'config-server', 'master-target', 'nats', 'postgres', 'process-server'];

describe('a local cluster', () => {
  let cluster: TestCluster;
  let disk: TestDisk;
  /** After the first content of the disk was acknowledged, before the second was issued. */
  let betweenContents: TimeMicros;
  let firstDigest: string;

  beforeAll(async () => {
    cluster = await TestCluster.start();
    disk = await cluster.addDisk('disk', diskBytes);
    await cluster.cli('plan', 'create', 'plan', '--volume', 'disk');
    await cluster.whenInSync('plan');
    await writeRandomly();
    betweenContents = clockMicros();
    await whenCovered(await writeRandomly());
    firstDigest = await digestAt(betweenContents);
  }, 180_000);

  afterAll(async () => cluster?.stop(), 60_000);

  it('is started once: a second up finds it, with the same processes, and prints where they are', async () => {
    const running = await cluster.processes();
    const again = await cluster.cli<UpAnswer>('up');
    expect(again.wasRunning).toBe(true);
    expect(again.processes.map(({ name, pid }) => [name, pid])).toEqual(running.map(({ name, pid }) => [name, pid]));
    const printed = await cluster.print('up');
    expect(printed).toMatch(/^the cluster is running already\nREST https:\/\/127\.0\.0\.1:\d+\n/);
    for (const { name, pid, url } of running) expect(printed).toMatch(new RegExp(`${name} +${pid} +${url ?? '–'}`));
  });

  it('shows everything at a glance', async () => {
    const status = await cluster.cli<ClusterStatus>('status');
    expect((await cluster.processes()).map(({ name }) => name).sort()).toEqual(parts);
    expect(status.components.map(({ role, state }) => `${role} ${state}`).sort()).toEqual(['agent online', 'master-target online', 'process-server online']);
    expect(status.pairs).toMatchObject([{ volumeName: 'disk', planName: 'plan', stage: 'differential-sync', flags: [], green: true }]);
    expect(status.pairs[0]?.rpoSeconds).toBeLessThan(10);
    expect(status.alarms).toEqual([]);
    expect(await cluster.print('status')).toMatch(/disk +plan +differential-sync/);
  });

  it('lists what can be recovered, within the limits asked for', async () => {
    const made = await cluster.cli<{ time: string }>('bookmark', 'create', 'plan', 'mark');
    await whenCovered(microsFromIso(made.time) as TimeMicros);
    const points = await cluster.cli<RecoveryPoints>('points', 'plan');
    const range = points.common.ranges.find(({ from, to }) => from <= isoFromMicros(betweenContents) && isoFromMicros(betweenContents) <= to);
    expect(range?.green).toBe(true);
    expect(points.common.bookmarks).toMatchObject([{ name: 'mark', time: made.time }]);
    expect(points.volumes.map(({ volumeName }) => volumeName)).toEqual(['disk']);
    const limits = { from: isoFromMicros(betweenContents), to: isoFromMicros(betweenContents + 1000) };
    const few = await cluster.cli<RecoveryPoints>('points', 'disk', '--from', limits.from, '--to', limits.to);
    expect(few.common.ranges).toEqual([{ ...limits, green: true }]);
    expect(few.common.bookmarks).toEqual([]);
  });

  it.each([
    ['long ago', '2001-01-01T00:00:00Z', 'before-retention', 'nearestAfter'],
    ['in the future', '2099-01-01T00:00:00Z', 'after-newest', 'nearestBefore'],
  ])('refuses a point %s with the reason and the nearest one that it has', async (_, time, reason, nearest) => {
    const { exitCode, problem } = await cluster.cliFailure('view', 'open', 'disk', '--at', time);
    expect(exitCode).toBe(1);
    expect(problem).toMatchObject({ status: 409, code: 'recovery/point-refused', context: { reason } });
    const offered = String(problem.context?.[nearest]);
    expect(problem.hint).toContain(offered);
    await cluster.withView({ of: 'disk', point: ['--at', offered] }, async (_client, view) => expect(view.pointTime).toBe(offered));
  });

  it('fails with an exit code and a problem document', async () => {
    expect(await cluster.cliFailure('plan', 'status', 'nobody')).toMatchObject({ exitCode: 1, problem: { status: 404, code: expect.any(String), hint: expect.any(String) } });
    expect(await cluster.cliFailure('view', 'open', 'disk')).toMatchObject({ exitCode: 1, problem: { code: 'cli/usage' } });
    expect(await cluster.cliFailure('view', 'open', 'disk', '--at', 'yesterday')).toMatchObject({ exitCode: 1, problem: { code: 'point/unreadable-time' } });
    expect(await cluster.cliFailure('plan', 'remove', 'plan', '--confirm', 'other')).toMatchObject({ exitCode: 1 });
    expect(await cluster.cliFailure('status', '--data', join(cluster.folder, 'nowhere'))).toMatchObject({ exitCode: 1, problem: { code: 'cli/no-cluster' } });
  });

  it('keeps a view what it is while replication goes on and over a kill -9 of the master target', async () => {
    const { views } = await cluster.cli<{ views: View[] }>('view', 'open', 'disk', '--at', isoFromMicros(betweenContents));
    const { viewId } = views[0] as View;
    await whenCovered(await writeRandomly());
    expect(await digestOfView(viewId)).toBe(firstDigest);
    await cluster.killAndAwaitRestart('master-target');
    await whenCovered(await writeRandomly());
    expect(await digestOfView(viewId)).toBe(firstDigest);
    await cluster.cli('view', 'close', viewId);
    expect((await cluster.cli<{ views: View[] }>('view', 'list')).views).toEqual([]);
  }, 90_000);

  it('takes writes to a writable view apart from the replica and drops them when it is closed', async () => {
    const at = isoFromMicros(betweenContents);
    const read = async (client: NbdClient): Promise<Buffer> => {
      const data = Buffer.alloc(MIB);
      await client.read(0, data);
      return data;
    };
    const before = await cluster.withView({ of: 'disk', point: ['--at', at] }, read);
    const scribble = randomBytes(MIB);
    await cluster.withView({ of: 'disk', point: ['--at', at, '--rw'] }, async (client) => {
      await client.write(0, scribble);
      await client.flush();
      expect((await read(client)).equals(scribble)).toBe(true);
      expect((await cluster.withView({ of: 'disk', point: ['--at', at] }, read)).equals(before)).toBe(true);
    });
    expect((await cluster.withView({ of: 'disk', point: ['--at', at, '--rw'] }, read)).equals(before)).toBe(true);
    expect(await cluster.withView({ of: 'disk', point: ['--latest'] }, (client) => firstDifference(client, disk.image))).toBeUndefined();
    await cluster.withView({ of: 'disk', point: ['--at', at] }, (client) => expect(client.write(0, scribble)).rejects.toThrow());
  }, 60_000);

  it('restores to a sparse file that equals the source, and overwrites none', async () => {
    const to = join(cluster.folder, 'restored.img');
    const done = await cluster.cli<{ sizeBytes: number }>('restore', 'disk', '--latest', '--to', to);
    expect(done.sizeBytes).toBe(diskBytes);
    await cluster.withView({ of: 'disk', point: ['--latest'] }, async (client) => expect(await firstDifference(client, to)).toBeUndefined());
    const [restored, source] = [await stat(to), await stat(disk.image)];
    expect(restored.size).toBe(source.size);
    expect(restored.blocks * 512).toBeLessThan(diskBytes / 2);
    expect(restored.blocks * 512).toBeLessThan(source.blocks * 512 + 4 * MIB);
    expect(await cluster.cliFailure('restore', 'disk', '--latest', '--to', to)).toMatchObject({ exitCode: 1, problem: { code: 'restore/target-exists' } });
    expect((await stat(to)).mtimeMs).toBe(restored.mtimeMs);
  }, 60_000);

  it('only marks what is written while a plan is paused, and sends it when it goes on', async () => {
    expect((await cluster.cli<Plan>('plan', 'pause', 'plan')).state).toBe('paused');
    await whenFlagged('paused');
    const whilePaused = await writeRandomly();
    const { pairs } = await cluster.planStatus('plan');
    expect(pairs[0]?.flags).toContain('paused');
    expect(microsFromIso(pairs[0]?.coveredTime ?? '')).toBeLessThan(whilePaused);
    expect((await cluster.cli<Plan>('plan', 'resume', 'plan')).state).toBe('active');
    await cluster.whenInSync('plan', { pointAfter: whilePaused, until: ({ flags }) => flags.length === 0 });
    expect(await cluster.withView({ of: 'disk', point: ['--latest'] }, (client) => firstDifference(client, disk.image))).toBeUndefined();
    expect(await digestAt(betweenContents)).toBe(firstDigest);
  }, 90_000);

  it('lets a component in once with its token, nobody with a wrong one, and remembers who was refused', async () => {
    await cluster.cli('host', 'add', 'other');
    const { token } = await cluster.cli<{ token: string }>('enroll', 'token', '--role', 'agent', '--host', 'other');
    const { url: configServerUrl } = await cluster.cli<UpAnswer>('up');
    const enrolAs = (name: string, text: string) => enroll({ token: text, configServerUrl, dataDir: join(cluster.folder, name), name, dnsNames: [] });
    const other = await enrolAs('first', token);
    expect(other.role).toBe('agent');
    await expectApartOnTheBus(other);
    await expect(enrolAs('second', token)).rejects.toMatchObject({ code: 'enrolment/token-used' });
    const { token: open } = await cluster.cli<{ token: string }>('enroll', 'token', '--role', 'master-target');
    await expect(enrolAs('third', withOtherSecret(open))).rejects.toMatchObject({ code: 'enrolment/token-unknown' });
    const { entries } = await cluster.cli<{ entries: HistoryEntry[] }>('events', '--limit', '20');
    const refused = entries.filter(({ type }) => type.includes('enrolment-refused'));
    expect(refused.map(({ data }) => (data as { reason: string }).reason)).toEqual(['token-unknown', 'token-used']);
    expect(JSON.stringify(entries)).not.toContain(token);
  }, 30_000);

  it('rebuilds its read models from the events, and they are what they were', async () => {
    const before = await cluster.cli<{ plans: Plan[] }>('plan', 'list');
    const rebuilt = await cluster.cli<RebuildAnswer>('admin', 'rebuild');
    expect(rebuilt.events).toBeGreaterThan(10);
    expect(rebuilt.readModels.filter(({ identical }) => !identical)).toEqual([]);
    expect(rebuilt.readModels.length).toBeGreaterThan(0);
    expect(rebuilt.identical).toBe(true);
    expect(await cluster.cli('plan', 'list')).toEqual(before);
  }, 30_000);

  it('is stopped whole and comes back with its plans and points, and in sync', async () => {
    const before = await cluster.processes();
    await cluster.cli('down');
    expect(before.filter(({ pid }) => identifyProcess(pid)).map(({ name }) => name)).toEqual([]);
    expect(await cluster.cliFailure('status')).toMatchObject({ problem: { code: 'cli/unreachable' } });
    const again = await cluster.cli<UpAnswer>('up');
    expect(again.wasRunning).toBe(false);
    expect((await cluster.cli<{ plans: Plan[] }>('plan', 'list')).plans.map(({ name, state }) => [name, state])).toEqual([['plan', 'active']]);
    await whenCovered(await writeRandomly());
    expect(await digestAt(betweenContents)).toBe(firstDigest);
    expect((await cluster.cli<RecoveryPoints>('points', 'plan')).common.bookmarks.map(({ name }) => name)).toEqual(['mark']);
    expect(await cluster.withView({ of: 'disk', point: ['--latest'] }, (client) => firstDifference(client, disk.image))).toBeUndefined();
  }, 120_000);

  it('leaves nothing behind when it is removed, not even its database, which may lie outside of its folder', async () => {
    const postgres = (await cluster.processes()).find(({ name }) => name === 'postgres');
    const databaseFolder = /\0-D\0([^\0]+)/.exec(await readFile(`/proc/${postgres?.pid}/cmdline`, 'latin1'))?.[1] as string;
    expect(existsSync(databaseFolder)).toBe(true);
    await cluster.stop();
    expect([databaseFolder, cluster.folder].filter(existsSync)).toEqual([]);
  }, 60_000);

  /** A few hundred KiB in the first MiB and at two other places; returns when the last write was acknowledged. */
  async function writeRandomly(): Promise<TimeMicros> {
    const client = await NbdClient.connect(disk.uri);
    for (const offset of [4096, 300_032, 20 * MIB + 512, 40 * MIB]) await client.write(offset, randomBytes(128 * 1024));
    await client.zero({ offset: 30 * MIB, length: 64 * 1024 });
    await client.disconnect();
    return clockMicros();
  }

  /** With its new certificate it gets onto the bus, but not at what belongs to the agent of this machine. */
  async function expectApartOnTheBus(other: ComponentIdentity): Promise<void> {
    const { components } = await cluster.status();
    const local = components.find(({ role, name }) => role === 'agent' && name === 'local')?.componentId as string;
    const bus = await MessageBus.start({ servers: other.natsUrls, identity: other, tls: identityFiles(join(cluster.folder, 'first')) });
    await bus.whenConnected(10_000);
    await expect(bus.getDesiredState({ role: 'agent', componentId: local })).rejects.toMatchObject({ code: 'bus/not-permitted' });
    await bus.close();
  }

  function whenCovered(time: TimeMicros): Promise<void> {
    return cluster.whenInSync('plan', { pointAfter: time });
  }

  function whenFlagged(flag: 'paused'): Promise<void> {
    return cluster.whenPair('plan', `flagged ${flag}`, (pair) => pair.flags.includes(flag));
  }

  function digestAt(time: TimeMicros): Promise<string> {
    return cluster.withView({ of: 'disk', point: ['--at', isoFromMicros(time)] }, digestOf);
  }

  async function digestOfView(viewId: string): Promise<string> {
    const { views } = await cluster.cli<{ views: View[] }>('view', 'list');
    const client = await NbdClient.connect(views.find((view) => view.viewId === viewId)?.nbdUris[0] as string);
    const digest = await digestOf(client);
    await client.disconnect();
    return digest;
  }
});

/** The same token with another character in its secret, which is its second part. */
function withOtherSecret(token: string): string {
  const position = token.indexOf('.') + 2;
  return token.slice(0, position) + (token[position] === 'A' ? 'B' : 'A') + token.slice(position + 1);
}
