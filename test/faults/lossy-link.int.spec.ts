// SPDX-License-Identifier: Apache-2.0
// Both hops cross a link of 80 ms, 1 % loss and 50 Mbit/s (packets are really lost, see LossyLink) under a stamped load that fits through it: the
// pair stays in data mode and a few seconds behind, and in the end random instants are what the acknowledgement log says.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { waitFor } from '@secondsite/cli/testing';
import { clockMicros } from '@secondsite/disk-files';
import { LossyLink } from '@secondsite/qemu/testing';
import { MIB } from '@secondsite/units';
import { describeWithTools } from '../system/host-tools';
import { Random } from '../system/random';
import { latencyMicrosMax, type StampedLoad } from '../system/stamped-load';
import { DataPath } from './data-path';

const volumeBytes = 32 * MIB;
/** Four writers that pause for so long write some 3 Mbit/s, which a link at 1 % loss carries whatever the congestion control. */
const pauseMillis = 100;
const writesOverLink = 600;
const secondsBehindMax = 20;

describeWithTools('over a link of 80 ms and 1 % loss', LossyLink.tools, () => {
  const random = Random.announced('lossy link');
  let link: LossyLink;
  let path: DataPath;
  let load: StampedLoad;

  beforeAll(async () => {
    link = await LossyLink.start({ delayMillis: 40, lossPercent: 1, megabitsPerSecond: 50 });
    path = await DataPath.start({ random, volumeBytes, bufferBytes: 24 * MIB, link });
    load = await path.startLoad({ pauseMillis });
  }, 180_000);

  afterAll(async () => {
    await load?.stop();
    await path?.stop();
    await link?.stop();
  }, 60_000);

  it('follows in data mode, a few seconds behind, and the application notices nothing', async () => {
    const usual = load.log.takeP99Micros();
    const before = load.log.acknowledgedCount;
    const reportedBefore = path.reports.length;
    const behind: number[] = [];
    await waitFor('writes to be replicated', 60, async () => {
      behind.push((clockMicros() - (await path.target()).coveredTime) / 1e6);
      return load.log.acknowledgedCount > before + writesOverLink;
    });
    expect(Math.max(...behind)).toBeLessThan(secondsBehindMax);
    expect(load.log.takeP99Micros()).toBeLessThan(latencyMicrosMax(usual));
    expect(path.reports.slice(reportedBefore).filter((report) => report.includes('bitmap-mode') || report.includes('flow-control'))).toEqual([]);
    expect(await link.lostPackets()).toBeGreaterThan(0);
  }, 120_000);

  it('has lost nothing that was acknowledged, and shows nothing that was not', async () => {
    await load.stop();
    await path.inSync(load.log.newestAcknowledgement);
    expect({ fatal: path.fatal, interruptions: load.interruptions }).toEqual({ fatal: [], interruptions: 0 });
    expect(await path.violations(load.log, { instants: 30 })).toEqual([]);
  }, 120_000);
}, { asRoot: true });
