// SPDX-License-Identifier: Apache-2.0
// I8 with the real processes: kill -9 of each in turn under a stamped load, again while it recovers and once more when it has, then random instants
// against the acknowledgement log.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestCluster, type TestDisk, waitFor } from '@secondsite/cli/testing';
import type { RecoveryPoints } from '@secondsite/contracts';
import { MIB } from '@secondsite/units';
import { blockBytes } from './acknowledgement-log';
import { violationsAtRandomInstants } from './check-view';
import { Random } from './random';
import { StampedLoad } from './stamped-load';

const diskBytes = 64 * MIB;
const blocks = diskBytes / blockBytes;
const victims = ['agent', 'process-server', 'master-target', 'config-server', 'nats', 'postgres'] as const;
/** A part is ready about so long after it began to run. */
const startMillis = 700;

describe('a cluster whose processes are killed one after the other', () => {
  const random = Random.announced('kill every process');
  let cluster: TestCluster;
  let disk: TestDisk;
  let load: StampedLoad;

  beforeAll(async () => {
    cluster = await TestCluster.start();
    disk = await cluster.addDisk('disk', diskBytes);
    load = new StampedLoad({ uri: disk.uri, blocks, random, pauseMillis: 2 });
    load.start();
    await cluster.cli('plan', 'create', 'plan', '--volume', 'disk');
    await cluster.whenInSync('plan');
  }, 180_000);

  afterAll(async () => {
    await load?.stop();
    await cluster?.stop();
  }, 60_000);

  it.each(victims)('returns to differential sync by itself after kill -9 of %s, again in its own recovery, and at once after that', async (victim) => {
    await cluster.killWhileItStarts(victim, { afterMillis: random.below(startMillis) });
    const before = load.log.acknowledgedCount;
    await cluster.killAndAwaitRestart(victim);
    await waitFor('writes to go on', 30, async () => load.log.acknowledgedCount > before + 50);
    const resumed = load.log.newestAcknowledgement;
    await cluster.whenInSync('plan', { coveredAfter: resumed });
    const enough = load.log.acknowledgedCount + 200;
    await waitFor('writes under differential sync, to have instants to check', 30, async () => load.log.acknowledgedCount > enough);
  }, 180_000);

  it('shows at 30 random instants exactly the writes acknowledged by then', async () => {
    await load.stop();
    const last = load.log.newestAcknowledgement;
    await cluster.whenInSync('plan', { pointAfter: last });
    const points = await cluster.cli<RecoveryPoints>('points', 'disk');
    expect(points.common.ranges.filter(({ green }) => green).length).toBeGreaterThan(1);
    const found = await violationsAtRandomInstants({ cluster, disk, log: load.log }, random);
    expect(found).toEqual([]);
  }, 300_000);
});
