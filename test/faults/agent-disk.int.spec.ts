// SPDX-License-Identifier: Apache-2.0
// The disk of the agent's data folder goes wrong under a stamped load: where the write-intent bitmap lies, not the protected disk. Writes go on and
// are replicated (ADR 31), and random instants are what the acknowledgement log says; after a crash in the middle of it the replica is the disk again.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { TestCluster, type TestDisk, waitFor } from '@secondsite/cli/testing';
import type { PairStatus } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import { MIB } from '@secondsite/units';
import { blockBytes } from '../system/acknowledgement-log';
import { violationsAtRandomInstants } from '../system/check-view';
import { describeWithTools } from '../system/host-tools';
import { Random } from '../system/random';
import { latencyMicrosMax, StampedLoad } from '../system/stamped-load';
import { FaultyDisk, faultyDiskTools } from './faulty-disk';

const volumeBytes = 128 * MIB;

describeWithTools('with faults of the disk of the agent\'s data folder', faultyDiskTools, () => {
  const random = Random.announced('faults of the agent\'s disk');
  let dataDisk: FaultyDisk;
  let cluster: TestCluster;
  let disk: TestDisk;
  let load: StampedLoad;
  let usual: number;

  beforeAll(async () => {
    cluster = await TestCluster.start({}, async ({ folder }) => {
      dataDisk = await FaultyDisk.mount({ folder: join(folder, 'disk-of-agent'), mountPoint: join(folder, 'cluster', 'agent', 'volumes'), sizeBytes: 64 * MIB });
      return {};
    });
    disk = await cluster.addDisk('disk', volumeBytes);
    // Slow, so that regions are unmarked again and the next write to them needs a mark.
    load = new StampedLoad({ uri: disk.uri, blocks: volumeBytes / blockBytes, random, pauseMillis: 100 });
    load.start();
    // Whatever time it is, the comparison of the whole disk begins at once.
    await cluster.cli('plan', 'create', 'plan', '--volume', 'disk', '--resync-wait', '0s', '--resync-window', '00:00-00:00');
    await inSync();
    usual = load.log.takeP99Micros();
  }, 180_000);

  afterAll(async () => {
    await load?.stop();
    await cluster?.cli('down');
    await dataDisk?.dispose();
    await cluster?.stop();
  }, 120_000);

  /** Everything acknowledged until now is at the target, and the agent has no fault left. */
  async function inSync(isGood: (pair: PairStatus) => boolean = ({ flags }) => flags.length === 0): Promise<void> {
    await cluster.whenInSync('plan', { coveredAfter: clockMicros(), until: isGood });
  }

  const isGivenUp = ({ flags }: PairStatus): boolean => flags.includes('marks-not-durable');

  async function writesGoOn(count: number): Promise<void> {
    const enough = load.log.acknowledgedCount + count;
    await waitFor('writes to go on', 60, async () => load.log.acknowledgedCount > enough);
  }

  function expectQuickWrites(): void {
    expect(load.interruptions).toBe(0);
    expect(load.log.takeP99Micros()).toBeLessThan(latencyMicrosMax(usual));
  }

  it('does not need room on a full disk', async () => {
    await dataDisk.fillUp(0);
    load.log.takeP99Micros(); // While it was filled the disk was busy.
    await writesGoOn(200);
    await inSync();
    expectQuickWrites();
    await dataDisk.heal();
  }, 180_000);

  it('gets over a disk that takes 8 Mbit/s', async () => {
    await dataDisk.slowDown(8_000_000);
    await writesGoOn(200);
    await inSync();
    await dataDisk.heal();
    expectQuickWrites();
  }, 180_000);

  it('goes on without marks when the disk hangs, and with them when it answers again', async () => {
    dataDisk.hang();
    await cluster.whenPair('plan', 'without marks', isGivenUp);
    await inSync(isGivenUp);
    await truncate(disk.image, volumeBytes + MIB); // Needs a larger bitmap, for which nobody may wait now.
    await writesGoOn(800); // Each of the writers waited once until marks were given up.
    await dataDisk.heal();
    await cluster.whenPair('plan', 'grown', ({ lastResync }) => lastResync?.cause === 'volume-grown');
    await inSync();
    expectQuickWrites();
  }, 180_000);

  it('goes on without marks when writes to the disk fail, and compares the whole disk after the agent has ended', async () => {
    await dataDisk.failWrites();
    await cluster.whenPair('plan', 'without marks', isGivenUp);
    await inSync(isGivenUp);
    // What is written now is in no bitmap, and nobody else has it.
    await cluster.withoutPart('process-server', async () => {
      await writesGoOn(50);
      await load.stop();
      expectQuickWrites();
      await cluster.withoutPart('agent', () => dataDisk.remount());
    });
    await cluster.whenInSync('plan', { pointAfter: load.log.newestAcknowledgement, until: ({ flags }) => flags.length === 0 });
    const [pair] = (await cluster.planStatus('plan')).pairs;
    expect(pair?.lastResync).toMatchObject({ work: 'whole', cause: 'bitmap-lost' });
  }, 240_000);

  it('has lost nothing that was acknowledged, and shows nothing that was not', async () => {
    expect(await violationsAtRandomInstants({ cluster, disk, log: load.log }, random)).toEqual([]);
  }, 180_000);
});
