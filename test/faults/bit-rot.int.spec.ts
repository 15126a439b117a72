// SPDX-License-Identifier: Apache-2.0
// Bytes of replica, journal and spool are changed behind the back of real processes, under a stamped load. The scrubbers find them; what was changed
// in the replica comes again from the source, block by block; random instants are what the acknowledgement log says, and where undo was
// changed exactly what needs it is refused.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BLOCK_BYTES } from '@secondsite/block-checksums';
import { TestCluster, type TestDisk, waitFor } from '@secondsite/cli/testing';
import type { HistoryEntry, PairStatus, RecoveryPoints } from '@secondsite/contracts';
import type { NbdClient } from '@secondsite/nbd';
import { isOperationError, isoFromMicros, MIB, microsFromIso, type TimeMicros } from '@secondsite/units';
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AcknowledgementLog, blockBytes, stampedBlocks } from '../system/acknowledgement-log';
import { Random } from '../system/random';
import { StampedLoad } from '../system/stamped-load';

/** The load writes to the first half; the second is written once, so that there are blocks to be scrubbed. */
const loadBytes = 8 * MIB;
const volumeBytes = 2 * loadBytes;
const damageFound = 'secondsite.replication.damage-found.v1';
const damageRepaired = 'secondsite.replication.damage-repaired.v1';
const environment = { SECONDSITE_SCRUB_MIB_PER_SECOND: '500', SECONDSITE_SCRUB_WAIT_SECONDS: '1', SECONDSITE_MEMORY_BYTES_MAX: String(8 * MIB) };

interface Told {
  readonly place?: string;
  readonly offset?: number;
  readonly before?: string;
}

describe('with disks that change what was written', () => {
  const random = Random.announced('bit rot');
  let folder: string;
  let cluster: TestCluster;
  let disk: TestDisk;
  let load: StampedLoad;
  let pairId: string;
  /** Instants before this may lack what stood in a damaged undo record. */
  let undoLostBefore: TimeMicros = 0;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secondsite-bit-rot-'));
    cluster = await TestCluster.start(environment);
    const log = new AcknowledgementLog();
    const image = join(folder, 'disk.img');
    const file = await open(image, 'wx');
    await file.truncate(volumeBytes);
    const [firstBlock, blockCount] = [loadBytes / blockBytes, loadBytes / blockBytes];
    const write = log.issue({ firstBlock, blockCount, at: 1 });
    await file.write(stampedBlocks({ ...write, firstBlock, blockCount }), 0, volumeBytes - loadBytes, loadBytes);
    await file.close();
    log.acknowledge(write, 2);
    disk = await cluster.addImage('disk', image);
    load = new StampedLoad({ uri: disk.uri, blocks: loadBytes / blockBytes, random, pauseMillis: 10, log });
    load.start();
    await cluster.createPlan('plan', 'disk', { retention: { windowSeconds: 240 } });
    await cluster.whenInSync('plan');
    pairId = (await pair()).pairId;
  }, 120_000);

  afterAll(async () => {
    await load?.stop();
    await cluster?.stop();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  async function pair(): Promise<PairStatus> {
    return (await cluster.planStatus('plan')).pairs[0] as PairStatus;
  }

  /** What was told. */
  async function told(type: string): Promise<Told[]> {
    const { entries } = await cluster.cli<{ entries: HistoryEntry[] }>('plan', 'history', 'plan');
    return entries.filter((entry) => entry.type === type).map(({ data }) => data as Told);
  }

  /** Reads everything again, and returns what was damaged. */
  async function scrub(): Promise<number> {
    const before = (await pair()).scrub?.lastRound?.endedAt;
    await cluster.cli('scrub', 'disk');
    await cluster.whenPair('plan', 'scrubbed', ({ scrub: now }) => now?.lastRound !== undefined && now.lastRound.endedAt !== before);
    return (await pair()).scrub?.lastRound?.damagedBytes ?? NaN;
  }

  /** Changes bytes of a file, whoever has it open. */
  async function rot(file: string, at: number, length = 1): Promise<void> {
    const handle = await open(file, 'r+');
    const bytes = Buffer.alloc(length);
    await handle.read(bytes, 0, length, at);
    await handle.write(bytes.map((byte) => byte ^ 0x20), 0, length, at);
    await handle.close();
  }

  const pairFolder = () => join(cluster.folderOf('master-target'), 'pairs', pairId);

  async function replicaBlock(block: number): Promise<Buffer> {
    const handle = await open(join(pairFolder(), 'replica.img'), 'r');
    const bytes = Buffer.alloc(BLOCK_BYTES);
    await handle.read(bytes, 0, BLOCK_BYTES, block * BLOCK_BYTES);
    await handle.close();
    return bytes;
  }

  it('finds changed blocks of the replica, and has them sent again by the source, and nothing else', async () => {
    expect(await scrub()).toBe(0);
    const { epoch } = await pair();
    const first = loadBytes / BLOCK_BYTES;
    const rotten = [first, first + 40, first + 41];
    const before = await Promise.all(rotten.map(replicaBlock));
    for (const block of rotten) await rot(join(pairFolder(), 'replica.img'), block * BLOCK_BYTES + random.below(BLOCK_BYTES));
    expect(await scrub()).toBe(rotten.length * BLOCK_BYTES);
    await cluster.whenPair('plan', 'repaired', ({ scrub: now }) => now?.damagedBytes === 0);
    expect(await Promise.all(rotten.map(replicaBlock))).toEqual(before);
    expect((await pair()).epoch).toBe(epoch);
    await waitFor('it to be told', 30, async () => (await told(damageRepaired)).length === rotten.length);
    const repaired = (await told(damageRepaired)).sort((left, right) => (left.offset as number) - (right.offset as number));
    expect(repaired).toEqual(rotten.map((block) => ({ pairId, offset: block * BLOCK_BYTES, bytes: BLOCK_BYTES })));
    expect(await scrub()).toBe(0);
  }, 120_000);

  it('finds a changed undo record, and says which instants may lack it', async () => {
    const journal = join(pairFolder(), 'journal');
    await waitFor('a sealed segment of the journal with undo', 60, async () => (await sealedSegments(journal)).length > 0);
    const [segment] = await sealedSegments(journal);
    await rot(join(journal, segment as string), Math.floor((await stat(join(journal, segment as string))).size / 2));
    expect(await scrub()).toBeGreaterThan(0);
    await waitFor('it to be told', 30, async () => (await told(damageFound)).some(({ place }) => place === 'journal'));
    const found = (await told(damageFound)).find(({ place }) => place === 'journal');
    undoLostBefore = microsFromIso(String(found?.before)) as TimeMicros;
    expect(found).toMatchObject({ pairId, file: segment });
  }, 120_000);

  it('finds a changed set in the spool while the link is away, and goes on with the marked regions', async () => {
    const { epoch } = await pair();
    const spool = join(cluster.folderOf('process-server'), 'spool', pairId);
    await cluster.withoutPart('master-target', async () => {
      await cluster.whenPair('plan', 'kept in the spool', ({ dataInTransit }) => dataInTransit.processServerBytes > 2 * MIB);
      // What was there before it started anew is not in its memory.
      await cluster.killAndAwaitRestart('process-server');
      const file = join(spool, (await readdir(spool)).filter((name) => name.endsWith('.log')).sort()[0] as string);
      await waitFor('the spool to be open', 30, async () => [...(await cluster.metric('process-server', 'secondsite_process_server_spool_bytes')).values()].some((bytes) => bytes > MIB));
      await rot(file, Math.floor((await stat(file)).size / 2), 20_000);
      await waitFor('it to be told', 60, async () => (await told(damageFound)).some(({ place }) => place === 'spool'));
    });
    await cluster.whenInSync('plan', { until: (now) => now.epoch > epoch && now.flags.length === 0 });
    expect((await pair()).lastResync).toMatchObject({ work: 'regions' });
  }, 180_000);

  it('shows at random instants what the source held, and refuses only what needs the changed undo', async () => {
    await load.stop();
    const last = load.log.newestAcknowledgement;
    await cluster.whenInSync('plan', { pointAfter: last });
    const points = await cluster.cli<RecoveryPoints>('points', 'disk');
    const ranges = points.common.ranges.filter(({ green }) => green).map(({ from, to }) => ({ from: microsFromIso(from) as TimeMicros, to: microsFromIso(to) as TimeMicros }));
    const instants = Array.from({ length: 30 }, (_, index) => {
      const { from, to } = ranges[index % ranges.length] as { from: TimeMicros; to: TimeMicros };
      return from + random.below(to - from + 1);
    });
    instants.push((ranges[0] as { from: TimeMicros }).from);
    let refused = 0;
    const violations: string[] = [];
    for (const at of instants) {
      await cluster.withView({ of: 'disk', point: ['--at', isoFromMicros(at)] }, async (client) => {
        const read = async (first: number, count: number): Promise<Buffer> => {
          const seen = await readOrRefused(client, { at, first, count });
          refused += seen.refused;
          return seen.data;
        };
        violations.push(...(await load.log.violations({ at, blocks: volumeBytes / blockBytes, read })));
      });
    }
    expect(violations.slice(0, 5)).toEqual([]);
    expect(refused).toBeGreaterThan(0);
    expect(load.interruptions).toBe(0);
  }, 240_000);

  /** What a view refuses is given as if it were right, where it may be refused. */
  async function readOrRefused(client: NbdClient, { at, first, count }: { at: TimeMicros; first: number; count: number }): Promise<{ data: Buffer; refused: number }> {
    const data = Buffer.alloc(count * blockBytes);
    try {
      await client.read(first * blockBytes, data);
      return { data, refused: 0 };
    } catch (error) {
      if (!isOperationError(error, 'storage/io-error') || at >= undoLostBefore) throw error;
    }
    if (count > 1) {
      const parts = [];
      for (const half of [{ first, count: count >> 1 }, { first: first + (count >> 1), count: count - (count >> 1) }]) parts.push(await readOrRefused(client, { at, ...half }));
      return { data: Buffer.concat(parts.map((part) => part.data)), refused: parts.reduce((sum, part) => sum + part.refused, 0) };
    }
    const [stamp = 0] = load.log.allowedStamps(first, at);
    return { data: stamp === 0 ? data.fill(0) : stampedBlocks({ stamp, firstBlock: first, blockCount: 1 }), refused: 1 };
  }
});

/** Oldest first; those with some undo, the newest is not sealed. */
async function sealedSegments(journal: string): Promise<string[]> {
  const names = await readdir(journal);
  const sealed = names.filter((name) => name.endsWith('.undo') && names.includes(name.replace('.undo', '.index'))).sort();
  const sizes = await Promise.all(sealed.map(async (name) => (await stat(join(journal, name))).size));
  return sealed.filter((_, index) => (sizes[index] as number) > MIB);
}
