// SPDX-License-Identifier: Apache-2.0
// What parts of the way kept is lost for good, under a stamped load: the pair returns to differential sync by itself, with the least work that
// is safe, and says which it chose and why. One pair at a time reads its whole volume.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestCluster, type TestDisk, waitFor } from '@secondsite/cli/testing';
import type { HistoryEntry, PairStatus } from '@secondsite/contracts';
import { MIB } from '@secondsite/units';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { blockBytes } from './acknowledgement-log';
import { violationsAtRandomInstants } from './check-view';
import { Random } from './random';
import { StampedLoad } from './stamped-load';

/** The load writes the first quarter; the rest is quiet, so that it is not marked. */
const diskBytes = 64 * MIB;

describe('a cluster of which parts lose what they kept', () => {
  const random = Random.announced('lost parts');
  let cluster: TestCluster;
  let disk: TestDisk;
  let load: StampedLoad;

  beforeAll(async () => {
    cluster = await TestCluster.start({ SECONDSITE_RESYNCS_AT_ONCE: '1' });
    disk = await cluster.addDisk('disk', diskBytes);
    load = new StampedLoad({ uri: disk.uri, blocks: diskBytes / 4 / blockBytes, random, pauseMillis: 2 });
    load.start();
    await cluster.cli('plan', 'create', 'plan', '--volume', 'disk', '--resync-wait', '0s', '--resync-window', '00:00-00:00');
    await cluster.whenInSync('plan');
  }, 180_000);

  afterAll(async () => {
    await load?.stop();
    await cluster?.stop();
  }, 60_000);

  it('reads at most what is marked when the process server lost its spool', async () => {
    await loseFolder('process-server', 'spool');
    await cluster.whenInSync('plan', { coveredAfter: load.log.newestAcknowledgement });
    const { entries } = await cluster.cli<{ entries: HistoryEntry[] }>('plan', 'history', 'plan');
    const chosen = entries.filter(({ type }) => type === 'secondsite.replication.resync-chosen.v1').map(({ data }) => (data as { work: string }).work);
    expect(chosen.filter((work) => work === 'whole')).toHaveLength(1); // The baseline.
  }, 120_000);

  it('reads everything when the target lost the replica, and the target shows nothing wrong meanwhile', async () => {
    await loseFolder('master-target', 'pairs');
    const { lastResync } = await inSyncAgain('replica-lost');
    expect(lastResync).toMatchObject({ work: 'whole', words: `the whole volume is read, 64 MiB, because the master target does not hold what was applied there before (${lastResync?.detail})` });
    expect(await cluster.print('plan', 'history', 'plan')).toContain(`A pair goes on after an interruption: ${lastResync?.words}`);
  }, 120_000);

  it('shows at random instants exactly the writes acknowledged by then', async () => {
    const enough = load.log.acknowledgedCount + 200;
    await waitFor('writes in differential sync', 30, async () => load.log.acknowledgedCount > enough);
    await load.stop();
    await cluster.whenInSync('plan', { pointAfter: load.log.newestAcknowledgement });
    expect(load.interruptions).toBe(0);
    expect(await violationsAtRandomInstants({ cluster, disk, log: load.log }, random)).toEqual([]);
  }, 120_000);

  async function loseFolder(part: 'process-server' | 'master-target', folder: string): Promise<void> {
    await cluster.withoutPart(part, async () => {
      const lost = join(cluster.folderOf(part), folder);
      expect(await readdir(lost)).not.toEqual([]);
      await rm(lost, { recursive: true });
    });
  }

  async function inSyncAgain(cause: NonNullable<PairStatus['lastResync']>['cause']): Promise<PairStatus> {
    await cluster.whenPair('plan', `going on after ${cause}`, (pair) => pair.lastResync?.cause === cause);
    await cluster.whenInSync('plan', { coveredAfter: load.log.newestAcknowledgement });
    return (await cluster.planStatus('plan')).pairs[0] as PairStatus;
  }
});
