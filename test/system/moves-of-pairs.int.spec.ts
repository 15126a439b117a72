// SPDX-License-Identifier: Apache-2.0
// A volume moves to another process server (F14) under a stamped load, with a backlog at the old one, both of which are killed on the way, and the configuration server too: the epoch
// goes on, and no instant is missing. Then it leaves a process server that is dead, with change sets that nobody else has: only the regions that are
// marked are read again. Last it leaves its plan and joins another one.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TestCluster, type TestDisk, waitFor } from '@secondsite/cli/testing';
import type { HistoryEntry, PairStatus, RecoveryPoints } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import { NbdClient } from '@secondsite/nbd';
import { isoFromMicros, MIB, microsFromIso, type TimeMicros } from '@secondsite/units';
import { blockBytes } from './acknowledgement-log';
import { violationsAcross, violationsAt } from './check-view';
import { FurtherComponent } from './further-component';
import { Random } from './random';
import { StampedLoad } from './stamped-load';

const volumeBytes = 96 * MIB;
/** What is written; the rest of the volume is what a baseline would have to carry. */
const writtenBytes = 4 * MIB;

describe('a pair that moves', () => {
  const random = Random.announced('move process server');
  const moments: TimeMicros[] = [];
  let cluster: TestCluster;
  let other: FurtherComponent;
  let disk: TestDisk;
  let load: StampedLoad;

  const pair = async (): Promise<PairStatus> => (await cluster.planStatus('plan')).pairs[0] as PairStatus;
  const history = async (): Promise<HistoryEntry[]> => (await cluster.cli<{ entries: HistoryEntry[] }>('plan', 'history', 'plan')).entries;
  const micros = (time: string | undefined): TimeMicros => microsFromIso(time ?? '') ?? 0;
  const when = (what: string, is: (status: PairStatus) => boolean) => cluster.whenPair('plan', what, is);

  beforeAll(async () => {
    cluster = await TestCluster.start();
    other = await FurtherComponent.add(cluster, 'process-server', 'ps-2');
    const image = join(cluster.folder, 'disk.img');
    await writeFile(image, Buffer.concat([Buffer.alloc(writtenBytes), randomBytes(volumeBytes - writtenBytes)]));
    disk = { ...(await cluster.addImage('disk', image)), sizeBytes: writtenBytes };
    await cluster.createPlan('plan', 'disk');
    await cluster.whenInSync('plan');
    await cluster.cli('volume', 'move', 'disk', '--process-server', 'process-server');
    await when('with the first process server', ({ move }) => move === undefined);
    load = new StampedLoad({ uri: disk.uri, blocks: writtenBytes / blockBytes, random, pauseMillis: 5 });
    load.start();
    await cluster.whenInSync('plan');
  }, 180_000);

  afterAll(async () => {
    await load?.stop();
    await other?.end('SIGKILL');
    await cluster?.stop();
  }, 60_000);

  it('to another process server goes on in its epoch, whoever is killed on the way', async () => {
    const { epoch } = await pair();
    const entriesBefore = (await history()).length;
    moments.push(load.log.newestAcknowledgement);
    await cluster.withoutPart('master-target', async () => {
      await when('kept in the spool', ({ dataInTransit }) => dataInTransit.processServerBytes > MIB);
      const begun = await cluster.cli<PairStatus>('volume', 'move', 'disk', '--process-server', 'ps-2');
      expect(begun.move?.words).toContain('it moves from process server process-server to ps-2');
      await when('draining', ({ move }) => move?.step === 'draining' && (move.leftBytes ?? 0) > MIB);
      await when('kept at both', ({ move, dataInTransit }) => dataInTransit.processServerBytes > (move?.leftBytes ?? Infinity) + MIB);
      await Promise.all([cluster.killAndAwaitRestart('process-server'), cluster.killAndAwaitRestart('config-server'), other.end('SIGKILL').then(() => other.start())]);
    });
    await when('with the new process server', ({ move }) => move === undefined);
    moments.push(clockMicros());
    await cluster.whenInSync('plan', { coveredAfter: moments[1]! });
    const facts = (await history()).slice(entriesBefore).map(({ type, summary }) => ({ type: type.split('.')[2], summary }));
    // The agent may hear of the move before the new process server does; it asks again until it is taken.
    const told = facts.filter(({ type, summary }) => type !== 'replication-stalled' && type !== 'replication-recovered' && !summary.includes('is not assigned here'));
    expect(told.map(({ type }) => type)).toEqual([
      'process-server-changed', 'process-server-switched', 'process-server-left',
    ]);
    expect(facts.find(({ type }) => type === 'process-server-left')?.summary).toContain('has forwarded everything');
    expect((await pair()).epoch).toBe(epoch);
  }, 180_000);

  it('to another process server has no gap in its recovery points, and shows at 30 random instants before, during and after exactly what was acknowledged', async () => {
    const [begin, end] = moments as [TimeMicros, TimeMicros];
    expect(await violationsAcross({ cluster, disk, log: load.log }, { begin, end, random })).toEqual([]);
  }, 180_000);

  it('away from a dead process server: an operator gives it up, and what only that one had is read again, no more', async () => {
    await cluster.withoutPart('master-target', async () => {
      await when('kept in the spool', ({ dataInTransit }) => dataInTransit.processServerBytes > MIB);
      await other.end('SIGKILL');
      await cluster.cli('volume', 'move', 'disk', '--process-server', 'process-server');
      await when('draining', ({ move }) => move?.step === 'draining');
      await load.stop();
    });
    await when('told that it waits for the dead one', ({ move }) => move?.giveUpAt !== undefined && move.words.includes('--give-up'));
    const before = await pair();
    expect(micros(before.coveredTime)).toBeLessThan(load.log.newestAcknowledgement);
    await cluster.cli('volume', 'move', 'disk', '--process-server', 'process-server', '--give-up');
    await cluster.whenInSync('plan', { coveredAfter: load.log.newestAcknowledgement, until: ({ move }) => move === undefined });
    await when('told what was sent', ({ sent }) => (sent?.contentBytes ?? 0) > (before.sent?.contentBytes ?? 0));
    const { lastResync, epoch, sent } = await pair();
    expect(lastResync).toMatchObject({ work: 'regions', cause: 'stream-broken' });
    expect(epoch).toBe(before.epoch + 1);
    const sentBytes = (sent?.contentBytes ?? 0) - (before.sent?.contentBytes ?? 0);
    process.stdout.write(`after the loss of a process server ${lastResync?.resyncBytes} bytes were read again and ${sentBytes} sent, of ${volumeBytes}\n`);
    expect(sentBytes).toBeLessThan(2 * writtenBytes);
    const newest = (await cluster.cli<RecoveryPoints>('points', 'disk')).common.latest as string;
    expect(await violationsAt({ cluster, disk, log: load.log }, micros(newest))).toEqual([]);
    expect(isoFromMicros(load.log.newestAcknowledgement) < newest).toBe(true);
  }, 180_000);

  it('out of its plan and into another one keeps its points, and reads what was written meanwhile, no more', async () => {
    const point = micros((await cluster.cli<RecoveryPoints>('points', 'disk')).common.latest);
    const { left } = await cluster.cli<{ left: { keptUntil?: string }[] }>('plan', 'remove-volume', 'plan', 'disk', '--keep', '1h');
    expect(micros(left[0]?.keptUntil)).toBeGreaterThan(clockMicros());
    const client = await NbdClient.connect(disk.uri);
    await waitFor('the agent to note what is written', 30, async () => {
      await client.write(MIB, randomBytes(64 * 1024));
      return [...(await cluster.metric('agent', 'secondsite_agent_dirty_bytes')).values()].some((bytes) => bytes > 0);
    });
    await client.disconnect();
    expect(await violationsAt({ cluster, disk, log: load.log }, point)).toEqual([]);
    const joinedAt = clockMicros();
    await cluster.createPlan('next', 'disk');
    await cluster.whenInSync('next', { coveredAfter: joinedAt });
    const [{ lastResync, pairId }] = (await cluster.planStatus('next')).pairs as [PairStatus];
    expect(lastResync).toMatchObject({ work: 'regions', cause: 'bitmap-mode' });
    expect(lastResync?.resyncBytes).toBeLessThan(2 * writtenBytes);
    const source = (await readFile(disk.image)).subarray(0, writtenBytes);
    const replica = await cluster.withView({ of: 'disk', point: ['--latest'] }, async (view) => {
      const data = Buffer.alloc(writtenBytes);
      await view.read(0, data);
      return data;
    });
    expect(replica.equals(source)).toBe(true);
    expect(await violationsAt({ cluster, disk, log: load.log }, point)).toEqual([]);
    expect((await cluster.planStatus('plan')).pairs).toEqual([]);
    expect(pairId).toBe((await cluster.cli<{ volumes: { pairId?: string }[] }>('volume', 'list')).volumes[0]?.pairId);
  }, 120_000);
});
