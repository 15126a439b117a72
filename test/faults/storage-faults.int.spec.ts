// SPDX-License-Identifier: Apache-2.0
// The disks of process server and master target go wrong under a stamped load, the parts being real processes. Writes go on, everything comes
// back by itself (after failed writes: once the disk was checked and mounted anew), and random instants are what the acknowledgement log says.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { TestCluster, type TestDisk, waitFor } from '@secondsite/cli/testing';
import { clockMicros } from '@secondsite/disk-files';
import { GIB, MIB } from '@secondsite/units';
import { blockBytes } from '../system/acknowledgement-log';
import { violationsAtRandomInstants } from '../system/check-view';
import { describeWithTools } from '../system/host-tools';
import { Random } from '../system/random';
import { latencyMicrosMax, StampedLoad } from '../system/stamped-load';
import { FaultyDisk, faultyDiskTools } from './faulty-disk';

const volumeBytes = 32 * MIB;
const parts = ['process-server', 'master-target'] as const;
type Part = (typeof parts)[number];
/** Where the change sets and replicas lie. */
const dataFolders: Record<Part, string> = { 'process-server': 'spool', 'master-target': 'pairs' };

describeWithTools('with faults of the disks', faultyDiskTools, () => {
  const random = Random.announced('storage faults');
  const disks = {} as Record<Part, FaultyDisk>;
  let cluster: TestCluster;
  let disk: TestDisk;
  let load: StampedLoad;
  let usual: number;

  beforeAll(async () => {
    cluster = await TestCluster.start({ SECONDSITE_BUFFER_BYTES_MAX: String(32 * MIB), SECONDSITE_FREE_BYTES_MIN: String(8 * MIB) }, async ({ folder }) => {
      for (const part of parts) disks[part] = await FaultyDisk.mount({ folder: join(folder, `disk-of-${part}`), mountPoint: join(folder, 'cluster', part, dataFolders[part]), sizeBytes: GIB });
      return {};
    });
    disk = await cluster.addDisk('disk', volumeBytes);
    load = new StampedLoad({ uri: disk.uri, blocks: volumeBytes / blockBytes, random, pauseMillis: 5 });
    load.start();
    await cluster.createPlan('plan', 'disk');
    await inSync();
    usual = load.log.takeP99Micros();
  }, 180_000);

  afterAll(async () => {
    await load?.stop();
    await cluster?.cli('down');
    for (const part of parts) await disks[part]?.dispose();
    await cluster?.stop();
  }, 120_000);

  /** Everything acknowledged until now is at the target, and no alarm is left. */
  async function inSync(): Promise<void> {
    await cluster.whenInSync('plan', { secondsMax: 90, coveredAfter: clockMicros(), until: ({ flags }) => flags.length === 0 });
  }

  async function writesGoOn(): Promise<void> {
    const before = load.log.acknowledgedCount;
    await waitFor('writes to go on', 30, async () => load.log.acknowledgedCount > before + 1000);
  }

  function expectQuickWrites(): void {
    expect(load.log.takeP99Micros()).toBeLessThan(latencyMicrosMax(usual));
  }

  // The first, while the journal is one segment: with older ones the target would make room by dropping them, and go on.
  it('gets over a full disk of the master target: the process server keeps what it cannot take', async () => {
    await disks['master-target'].fillUp(MIB);
    await cluster.whenPair('plan', 'kept in the spool', ({ dataInTransit }) => dataInTransit.processServerBytes > MIB);
    await disks['master-target'].heal();
    await inSync();
    expectQuickWrites();
  }, 180_000);

  it.each(parts)('gets over a disk of %s that takes 8 Mbit/s', async (part) => {
    await disks[part].slowDown(8_000_000);
    await writesGoOn();
    await disks[part].heal();
    await inSync();
    expectQuickWrites();
  }, 180_000);

  it.each(parts)('gets over a disk of %s that hangs', async (part) => {
    disks[part].hang();
    await writesGoOn();
    if (part === 'master-target') await cluster.whenPair('plan', 'kept in the spool', ({ dataInTransit }) => dataInTransit.processServerBytes > 0);
    await disks[part].heal();
    await inSync();
    expectQuickWrites();
  }, 180_000);

  it('gets over a full disk of the process server: it holds the agent off, which falls back to the bitmap', async () => {
    await disks['process-server'].fillUp(12 * MIB);
    await cluster.withoutPart('master-target', async () => {
      await cluster.whenPair('plan', 'in bitmap mode', ({ flags }) => flags.includes('bitmap-mode'));
    });
    await disks['process-server'].heal();
    await inSync();
    expectQuickWrites();
  }, 180_000);

  it.each(parts)('gets over failed writes to the disk of %s', async (part) => {
    await disks[part].failWrites();
    await writesGoOn();
    await cluster.withoutPart(part, () => disks[part].remount());
    await inSync();
    expectQuickWrites();
  }, 180_000);

  it('has lost nothing that was acknowledged, and shows nothing that was not', async () => {
    await load.stop();
    const last = load.log.newestAcknowledgement;
    await cluster.whenInSync('plan', { pointAfter: last });
    expect(load.interruptions).toBe(0);
    expect(await violationsAtRandomInstants({ cluster, disk, log: load.log }, random)).toEqual([]);
  }, 180_000);
});
