// SPDX-License-Identifier: Apache-2.0
// I8 with the real processes: kill -9 of each in turn under a stamped load, then random instants against the acknowledgement log.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RecoveryPoints, Volume } from '@secondsite/contracts';
import { NbdClient } from '@secondsite/nbd';
import { isoFromMicros, MIB, microsFromIso } from '@secondsite/units';
import { blockBytes } from './acknowledgement-log';
import { Random } from './random';
import { StampedLoad } from './stamped-load';
import { TestCluster, waitFor } from '@secondsite/cli/testing';

const diskBytes = 64 * MIB;
const blocks = diskBytes / blockBytes;
const victims = ['agent', 'process-server', 'master-target', 'config-server', 'nats', 'postgres'];

describe('a cluster whose processes are killed one after the other', () => {
  const random = Random.announced('kill every process');
  let cluster: TestCluster;
  let load: StampedLoad;

  beforeAll(async () => {
    cluster = await TestCluster.start();
    const image = join(cluster.folder, 'disk.img');
    const file = await open(image, 'w');
    await file.truncate(diskBytes);
    await file.close();
    const volume = await cluster.cli<Volume>('volume', 'add', 'disk', '--host', 'local', '--image', image);
    load = new StampedLoad({ uri: volume.nbdUris[0] as string, blocks, random, pauseMillis: 2 });
    load.start();
    await cluster.cli('plan', 'create', 'plan', '--volume', 'disk');
    await cluster.whenInSync('plan');
  }, 180_000);

  afterAll(async () => {
    await load?.stop();
    await cluster?.stop();
  }, 60_000);

  it.each(victims)('returns to differential sync by itself after kill -9 of %s', async (victim) => {
    const before = load.log.acknowledgedCount;
    await cluster.killAndAwaitRestart(victim);
    await waitFor('writes to go on', 30, async () => load.log.acknowledgedCount > before + 50);
    const resumed = load.log.newestAcknowledgement;
    await cluster.whenInSync('plan', { until: (pair) => (microsFromIso(pair.coveredTime ?? '') ?? 0) > resumed });
    await delay(1000); // not a wait: a second of writes under differential sync, to have instants to check
  }, 180_000);

  it('shows at 30 random instants exactly the writes acknowledged by then', async () => {
    await load.stop();
    const last = load.log.newestAcknowledgement;
    await cluster.whenInSync('plan', { until: (pair) => (microsFromIso(pair.latestPoint ?? '') ?? 0) > last });
    const points = await cluster.cli<RecoveryPoints>('points', 'disk');
    const ranges = points.common.ranges.filter((range) => range.green).map((range) => ({ from: microsFromIso(range.from) as number, to: microsFromIso(range.to) as number }));
    expect(ranges.length).toBeGreaterThan(1);
    const found: string[] = [];
    for (let check = 0; check < 30; check++) {
      const range = ranges[random.below(ranges.length)] as { from: number; to: number };
      found.push(...(await violationsAt(range.from + random.below(range.to - range.from + 1))));
    }
    expect(found).toEqual([]);
  }, 300_000);

  async function violationsAt(at: number): Promise<string[]> {
    const { views } = await cluster.cli<{ views: { viewId: string; nbdUris: string[] }[] }>('view', 'open', 'disk', '--at', isoFromMicros(at));
    const view = views[0] as { viewId: string; nbdUris: string[] };
    const client = await NbdClient.connect(view.nbdUris[0] as string);
    const read = async (first: number, count: number): Promise<Buffer> => {
      const data = Buffer.alloc(count * blockBytes);
      await client.read(first * blockBytes, data);
      return data;
    };
    const found = await load.log.violations({ at, blocks, read });
    await client.disconnect();
    await cluster.cli('view', 'close', view.viewId);
    return found.slice(0, 5);
  }
});
