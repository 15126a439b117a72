// SPDX-License-Identifier: Apache-2.0
// Eight hours without the line to the second site, scaled: not the hours matter but that more is written than every place may keep. One after the other
// they fill: the process server's spool, then (flow control) the agent's buffer, then only the bitmap remembers. When the line is back the kept sets go
// first, then the marked regions, by themselves.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '@secondsite/cli/testing';
import { clockMicros } from '@secondsite/disk-files';
import { MIB } from '@secondsite/units';
import { Random } from '../system/random';
import { latencyMicrosMax, type StampedLoad } from '../system/stamped-load';
import { DataPath } from './data-path';

const volumeBytes = 64 * MIB;
/** As eight hours of 1.5 MB/s (40 GB) beside a spool of 8 GB; a set waits for seconds before it goes into the spool, so the buffer holds more than that. */
const [spoolBytesMax, bufferBytes, writesOfOutage] = [6 * MIB, 20 * MIB, 4000];

describe('with an outage of the line that is longer than the spool lasts', () => {
  const random = Random.announced('long outage');
  let path: DataPath;
  let load: StampedLoad;
  let usual: number;

  beforeAll(async () => {
    path = await DataPath.start({ random, volumeBytes, bufferBytes, spoolBytesMax });
    load = await path.startLoad({ pauseMillis: 20 });
    usual = load.log.takeP99Micros();
  }, 120_000);

  afterAll(async () => {
    await load?.stop();
    await path?.stop();
  }, 60_000);

  it('fills the spool, holds the agent off, falls back to the bitmap, and comes back by itself', async () => {
    path.reports.length = 0;
    path.far.breakWith({ kind: 'blackhole' });
    const before = load.log.acknowledgedCount;
    await waitFor('bitmap mode', 60, async () => (await path.agent()).mode === 'bitmap');
    await waitFor('writes that only the bitmap knows', 60, async () => load.log.acknowledgedCount > before + writesOfOutage);
    expect(path.spoolBytes()).toBeGreaterThan(spoolBytesMax / 2);
    expect(path.spoolBytes()).toBeLessThan(spoolBytesMax + 8 * MIB);
    path.far.heal();
    await path.inSync(clockMicros());
    await waitFor('data mode', 30, async () => (await path.agent()).mode === 'data');
    const facts = path.reports.map((report) => report.replace('agent ', ''));
    const order = ['flow-control-started', 'bitmap-mode-entered', 'flow-control-ended', 'bitmap-mode-left'].map((fact) => facts.indexOf(fact));
    expect({ facts, order }).toEqual({ facts, order: [...order].sort((one, other) => one - other) });
    expect(order[0]).toBeGreaterThanOrEqual(0);
    expect(load.log.takeP99Micros()).toBeLessThan(latencyMicrosMax(usual));
  }, 180_000);

  it('has lost nothing that was acknowledged, and shows nothing that was not', async () => {
    const enough = load.log.acknowledgedCount + 200;
    await waitFor('writes in differential sync', 30, async () => load.log.acknowledgedCount > enough);
    await load.stop();
    await path.inSync(load.log.newestAcknowledgement);
    expect({ fatal: path.fatal, interruptions: load.interruptions }).toEqual({ fatal: [], interruptions: 0 });
    expect(await path.violations(load.log, { instants: 30 })).toEqual([]);
  }, 120_000);
});
