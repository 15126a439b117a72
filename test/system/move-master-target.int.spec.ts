// SPDX-License-Identifier: Apache-2.0
// A pair moves to another master target (F26) under a stamped load, and both targets and the configuration server are killed meanwhile. Nothing is
// read from the source again, the old copy goes, and instants of before, during and after the move are what the acknowledgement log says.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TestCluster, type TestDisk, waitFor } from '@secondsite/cli/testing';
import type { HistoryEntry, PairStatus } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import { MIB, microsFromIso, type TimeMicros } from '@secondsite/units';
import { blockBytes } from './acknowledgement-log';
import { violationsAcross } from './check-view';
import { FurtherComponent } from './further-component';
import { Random } from './random';
import { StampedLoad } from './stamped-load';

const volumeBytes = 16 * MIB;

describe('a pair that moves to another master target', () => {
  const random = Random.announced('move master target');
  const moments: TimeMicros[] = [];
  let cluster: TestCluster;
  let other: FurtherComponent;
  let disk: TestDisk;
  let load: StampedLoad;

  const pair = async (): Promise<PairStatus> => (await cluster.planStatus('plan')).pairs[0] as PairStatus;
  const micros = (time: string | undefined): TimeMicros => microsFromIso(time ?? '') ?? 0;

  beforeAll(async () => {
    cluster = await TestCluster.start();
    other = await FurtherComponent.add(cluster, 'master-target', 'mt-2');
    disk = await cluster.addDisk('disk', volumeBytes);
    await cluster.createPlan('plan', 'disk');
    await cluster.whenInSync('plan');
    load = new StampedLoad({ uri: disk.uri, blocks: volumeBytes / blockBytes, random, pauseMillis: 5 });
    load.start();
  }, 180_000);

  afterAll(async () => {
    await load?.stop();
    await other?.end('SIGKILL');
    await cluster?.stop();
  }, 60_000);

  it('arrives by itself whoever is killed on the way, in its epoch, and leaves nothing behind', async () => {
    const { pairId, epoch, masterTargetId } = await pair();
    const folders = { old: join(cluster.folderOf('master-target'), 'pairs', pairId), new: join(other.dataDir, 'pairs', pairId) };
    if (masterTargetId === (await other.seen())?.componentId) [folders.old, folders.new] = [folders.new, folders.old];
    const target = (await cluster.status()).components.find(({ role, componentId }) => role === 'master-target' && componentId !== masterTargetId);
    await waitFor('writes before the move', 30, async () => load.log.acknowledgedCount > 500);
    moments.push(clockMicros());
    await cluster.cli('volume', 'move', 'disk', '--master-target', target?.name as string);
    await waitFor('the copy to begin', 60, async () => existsSync(join(folders.new, 'arrival')));
    await Promise.all([other.end('SIGKILL').then(() => other.start()), cluster.killAndAwaitRestart('master-target')]);
    await cluster.killAndAwaitRestart('config-server');
    await waitFor('the pair to be at home at the new target', 120, async () => {
      const { targetMove, masterTargetId: home } = await pair();
      if (targetMove) throw new Error(targetMove.words);
      return home === target?.componentId;
    });
    moments.push(clockMicros());
    await waitFor('writes after the move', 60, async () => micros((await pair()).coveredTime) > moments[1]! + 1_000_000);
    await load.stop();
    await cluster.whenInSync('plan', { pointAfter: load.log.newestAcknowledgement });
    expect(await pair()).toMatchObject({ epoch, flags: [], masterTargetId: target?.componentId });
    const { entries } = await cluster.cli<{ entries: HistoryEntry[] }>('plan', 'history', 'plan');
    const since = entries.slice(entries.findIndex(({ type }) => type.includes('target-move-started'))).map(({ type }) => type.split('.')[2] ?? '');
    expect(since.filter((fact) => fact.startsWith('target-move'))).toEqual(['target-move-started', 'target-moved']);
    expect(since.filter((fact) => fact.startsWith('resync') || fact === 'bitmap-mode-entered')).toEqual([]);
    await waitFor('the old copy to go', 60, async () => !existsSync(folders.old) && existsSync(folders.new));
  }, 300_000);

  it('shows at 30 random instants of before, during and after the move exactly what was acknowledged', async () => {
    const [begin, end] = moments as [TimeMicros, TimeMicros];
    expect(await violationsAcross({ cluster, disk, log: load.log }, { begin, end, random })).toEqual([]);
  }, 180_000);
});
