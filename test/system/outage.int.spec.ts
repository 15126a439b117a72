// SPDX-License-Identifier: Apache-2.0
// Parts go away for a while under a stamped load: replication needs neither the bus nor the database; without the process server the agent's
// small buffer runs over, and everything comes back by itself. In the end the acknowledgement log says whether anything was lost.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestCluster, type TestDisk, waitFor } from '@secondsite/cli/testing';
import type { HistoryEntry } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import { MIB, type TimeMicros } from '@secondsite/units';
import { connect } from 'node:tls';
import { blockBytes } from './acknowledgement-log';
import { violationsAtRandomInstants } from './check-view';
import { Random } from './random';
import { StampedLoad } from './stamped-load';

const diskBytes = 32 * MIB;
/** The database is away for longer than the five tries of an event that fails take. */
const awayMicros = { nats: 3_000_000, postgres: 10_000_000 };

describe('a cluster of which parts go away for a while', () => {
  const random = Random.announced('outage');
  let cluster: TestCluster;
  let disk: TestDisk;
  let load: StampedLoad;

  beforeAll(async () => {
    cluster = await TestCluster.start({ SECONDSITE_BUFFER_BYTES_MAX: String(32 * MIB), SECONDSITE_STALL_SECONDS: '3' });
    disk = await cluster.addDisk('disk', diskBytes);
    // 3 to 4 MB/s: the agent's buffer outlasts a busy machine of eight seconds, and runs over when a part stays away.
    load = new StampedLoad({ uri: disk.uri, blocks: diskBytes / blockBytes, random, pauseMillis: 10 });
    load.start();
    await cluster.cli('plan', 'create', 'plan', '--volume', 'disk');
    await cluster.whenInSync('plan');
  }, 180_000);

  afterAll(async () => {
    await load?.stop();
    await cluster?.stop();
  }, 60_000);

  it.each(['nats', 'postgres'] as const)('replicates on while %s is away', async (part) => {
    await cluster.withoutPart(part, async () => {
      const goneAt = clockMicros();
      if (part === 'postgres') await comeAsStranger();
      await waitFor('the target to cover what was written meanwhile', 30, async () => (await coveredAtTarget()) > goneAt + awayMicros[part]);
    });
    const backAt = clockMicros();
    await cluster.whenInSync('plan', { coveredAfter: backAt, until: ({ flags }) => !flags.includes('stalled') });
    const { epoch, flags } = (await cluster.planStatus('plan')).pairs[0] as { epoch: number; flags: string[] };
    expect({ epoch, flags }).toEqual({ epoch: 1, flags: [] });
    if (part === 'postgres') await waitFor('what was told meanwhile', 20, async () => (await refusedStrangers()) === 1);
  }, 120_000);

  it('falls back to the bitmap and raises an alarm while the process server is away, and gets over both by itself', async () => {
    await cluster.withoutPart('process-server', async () => {
      await cluster.whenPair('plan', 'stalled', (pair) => pair.flags.includes('stalled'));
      await waitFor('the alarm', 20, async () => (await cluster.status()).alarms.some(({ kind, subject }) => kind === 'stalled' && subject === 'disk'));
      const { alarms, pairs } = await cluster.status();
      process.stdout.write(`${alarms.map(({ kind, words }) => `${kind}: ${words}`).join('\n')}\nRPO ${pairs[0]?.rpoSeconds} s, ${pairs[0]?.dataInTransit.words}; ${pairs[0]?.rpoExplained.words}\n`);
      expect(pairs[0]?.rpoExplained.bottleneck).toBe('process-server');
      await cluster.whenPair('plan', 'in bitmap mode', (pair) => pair.flags.includes('bitmap-mode'));
    });
    const backAt = clockMicros();
    await cluster.whenInSync('plan', { coveredAfter: backAt, until: ({ flags }) => flags.length === 0 });
    await waitFor('the alarms to end', 20, async () => (await cluster.status()).alarms.length === 0);
    const { entries } = await cluster.cli<{ entries: HistoryEntry[] }>('plan', 'history', 'plan');
    const facts = entries.map(({ type }) => /^secondsite\.replication\.(.+)\.v\d+$/.exec(type)?.[1]).filter((fact) => fact !== undefined);
    for (const fact of ['replication-stalled', 'replication-recovered', 'bitmap-mode-entered', 'bitmap-mode-left']) expect(facts).toContain(fact);
    expect(facts.lastIndexOf('replication-recovered')).toBeGreaterThan(facts.lastIndexOf('replication-stalled'));
    expect(facts.lastIndexOf('bitmap-mode-left')).toBeGreaterThan(facts.lastIndexOf('bitmap-mode-entered'));
  }, 180_000);

  it('has lost nothing that was acknowledged, and shows nothing that was not', async () => {
    const enough = load.log.acknowledgedCount + 500;
    await waitFor('writes in differential sync', 30, async () => load.log.acknowledgedCount > enough);
    await load.stop();
    const last = load.log.newestAcknowledgement;
    await cluster.whenInSync('plan', { pointAfter: last });
    expect(load.interruptions).toBe(0);
    expect(await violationsAtRandomInstants({ cluster, disk, log: load.log }, random)).toEqual([]);
  }, 120_000);

  /** Something that the process server has to tell: somebody without a certificate wanted to speak to it. */
  async function comeAsStranger(): Promise<void> {
    const { url = '' } = (await cluster.processes()).find(({ name }) => name === 'process-server') ?? {};
    const stranger = connect({ host: new URL(url).hostname, port: Number(new URL(url).port), rejectUnauthorized: false });
    // It is turned away, which is an error to it.
    await new Promise((resolve) => stranger.on('error', () => undefined).on('close', resolve).resume());
  }

  async function refusedStrangers(): Promise<number> {
    const { entries } = await cluster.cli<{ entries: HistoryEntry[] }>('events', '--limit', '500');
    return entries.filter(({ type }) => type === 'secondsite.security.peer-refused.v1').length;
  }

  /** From the target itself: while the bus is away nobody else knows. */
  async function coveredAtTarget(): Promise<TimeMicros> {
    const [seconds] = (await cluster.metric('master-target', 'secondsite_master_target_covered_time_seconds')).values();
    return (seconds ?? 0) * 1e6;
  }
});
