// SPDX-License-Identifier: Apache-2.0
// The network between two parts goes wrong under a stamped load. Writes go on, everything comes back by itself, and in the end random instants
// are what the acknowledgement log says.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '@secondsite/cli/testing';
import { clockMicros } from '@secondsite/disk-files';
import { MIB } from '@secondsite/units';
import { Random } from '../system/random';
import { latencyMicrosMax, type StampedLoad } from '../system/stamped-load';
import { DataPath } from './data-path';
import type { WireFault } from './faulty-wire';

const volumeBytes = 32 * MIB;
/** While it lasts the application writes so much. */
const writesDuringFault = 1000;

const faults: readonly WireFault[] = [
  { kind: 'blackhole' },
  { kind: 'half-open' },
  { kind: 'reset', afterBytes: 300_000 },
  { kind: 'corrupt', everyBytes: 200_000 },
  { kind: 'slow', bytesPerSecond: 300_000 },
  { kind: 'far', millisOneWay: 40 },
];

describe.each(['near', 'far'] as const)('with faults of the network: %s', (wire) => {
  const random = Random.announced(`network faults, ${wire}`);
  let path: DataPath;
  let load: StampedLoad;
  let usual: number;

  beforeAll(async () => {
    path = await DataPath.start({ random, volumeBytes, bufferBytes: 24 * MIB });
    load = await path.startLoad({ pauseMillis: 1 });
    usual = load.log.takeP99Micros();
  }, 120_000);

  afterAll(async () => {
    await load?.stop();
    await path?.stop();
  }, 60_000);

  /** Of faults that nothing passes, or too little: lasting that long, they reach the place that keeps what is written. */
  async function isKept({ kind }: WireFault): Promise<boolean> {
    if (wire === 'near') return kind !== 'blackhole' || (await path.agent()).mode === 'bitmap';
    return !['blackhole', 'half-open', 'slow'].includes(kind) || path.spoolBytes() > 0;
  }

  it.each(faults)('gets over $kind by itself', async (fault) => {
    path[wire].breakWith(fault);
    const before = load.log.acknowledgedCount;
    await waitFor(`${fault.kind} to hit while writes go on`, 30, async () => path[wire].hits > 0 && load.log.acknowledgedCount > before + writesDuringFault);
    await waitFor('what is written meanwhile to be where it belongs', 30, () => isKept(fault));
    path[wire].heal();
    await path.inSync(clockMicros());
    expect(load.log.takeP99Micros()).toBeLessThan(latencyMicrosMax(usual));
  }, 120_000);

  it('has lost nothing that was acknowledged, and shows nothing that was not', async () => {
    await load.stop();
    await path.inSync(load.log.newestAcknowledgement);
    process.stdout.write(`${load.log.acknowledgedCount} writes, ${[...new Set(path.reports)].join(', ')}\n`);
    expect({ fatal: path.fatal, interruptions: load.interruptions }).toEqual({ fatal: [], interruptions: 0 });
    expect(await path.violations(load.log, { instants: 30 })).toEqual([]);
  }, 120_000);
});
