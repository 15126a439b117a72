// SPDX-License-Identifier: Apache-2.0
// WAN deduplication with real threads, disks and connections: the second of two volumes that hold the same crosses the link as references.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { encodeChangeSet, encodeMarker, type LooseEntry } from '@secondsite/change-set';
import { waitFor } from '@secondsite/cli/testing';
import { temporaryDirectory } from '@secondsite/disk-files/testing';
import { TargetServer } from '@secondsite/master-target';
import { ProcessServer } from '@secondsite/process-server';
import { allowEveryone, ChangeSetClient } from '@secondsite/transport';
import { KIB, MIB } from '@secondsite/units';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const volumeBytes = 16 * MIB;
const setBytes = 2 * MIB;
const pairIds = { first: '0a0e0d0c-0b0a-4908-8706-050403020101', second: '0b0e0d0c-0b0a-4908-8706-050403020102' };
const cleanups: (() => Promise<unknown>)[] = [];

/** A process server and a master target of one tenant. */
interface Site {
  readonly processServer: ProcessServer;
  readonly target: TargetServer;
  readonly client: ChangeSetClient;
  readonly folder: string;
}

async function site({ tenantId, targetOf }: { readonly tenantId: string; readonly targetOf?: Site }): Promise<Site> {
  const folder = await temporaryDirectory();
  const onFatal = (error: unknown): never => { throw error; };
  const deduplication = { tenantId, bytesMax: 4 * MIB };
  const shared = { listen: { host: '127.0.0.1', port: 0 }, authorize: allowEveryone, onFatal, deduplication };
  const target = await TargetServer.open({
    ...shared, dataDir: join(folder.path, 'target'), advertiseHost: '127.0.0.1', overAllocate: true, limits: { freeBytesMin: 0 },
    reporter: { pairEvent: () => undefined, overAllocated: () => undefined },
  });
  const pairs = Object.values(pairIds).map((pairId) => ({ pairId, volumeId: pairId, volumeName: pairId, sizeBytes: volumeBytes, retention: { windowSeconds: 3600 }, deduplication: true }));
  await target.reconcile({ revision: 1, pairs, removedPairs: [] });
  const { url: ownUrl } = await target.listen();
  const processServer = await ProcessServer.open({ ...shared, dataDir: join(folder.path, 'ps'), reporter: { report: () => undefined }, freeBytesMin: 0, memoryBytesMax: 24 * MIB });
  const masterTargetUrl = targetOf ? urls.get(targetOf.target) as string : ownUrl;
  urls.set(target, ownUrl);
  const spoolBytesMax = { resync: 64 * MIB, differential: 64 * MIB };
  await processServer.reconcile({
    revision: 1, removedPairs: [], links: [],
    pairs: Object.values(pairIds).map((pairId) => ({ pairId, masterTargetUrl, compression: 'process-server' as const, deduplication: true, paused: false, priority: 'normal' as const, linkIds: [], spoolBytesMax })),
  });
  const client = new ChangeSetClient({ url: (await processServer.listen()).url });
  cleanups.push(async () => {
    client.close();
    await processServer.close();
    await target.close();
    await folder.dispose();
  });
  return { processServer, target, client, folder: folder.path };
}

const urls = new WeakMap<TargetServer, string>();

/** A baseline as an agent sends it: the marker that begins the epoch, then all blocks. */
async function sendBaseline({ client, processServer }: Site, { pairId, disk, epoch }: { readonly pairId: string; readonly disk: Uint8Array; readonly epoch: number }): Promise<void> {
  const time = 1_900_000_000_000_000;
  const started: LooseEntry = { kind: 'marker', time, offset: 0, length: 0, bytes: [encodeMarker({ kind: 'epoch-started', reason: 'baseline', volumeBytes, resyncBytes: volumeBytes })] };
  const blocks = Array.from({ length: volumeBytes / setBytes }, (_, set) => Array.from({ length: setBytes / (64 * KIB) }, (_unused, block): LooseEntry => {
    const offset = set * setBytes + block * 64 * KIB;
    return { kind: 'resync-write', time: time + 1 + set, offset, length: 64 * KIB, bytes: [disk.subarray(offset, offset + 64 * KIB)] };
  }));
  const read: LooseEntry = { kind: 'marker', time: time + 1000, offset: 0, length: 0, bytes: [encodeMarker({ kind: 'resync-read' })] };
  const sets = [[started], ...blocks, [read]];
  for (const [index, entries] of sets.entries()) {
    const place = { pairId, epoch, sequence: index + 1 };
    expect(await client.put(encodeChangeSet({ ...place, traceparent: undefined }, entries).parts, place)).toMatchObject({ kind: 'stored' });
  }
  const isTold = async (): Promise<boolean> => {
    const position = await processServer.pairs.get(pairId)?.position();
    return position?.appliedEpoch === epoch && position.appliedSequence === sets.length;
  };
  await waitFor('the baseline is applied, and the process server knows', 20, isTold);
}

const sent = ({ processServer }: Site, pairId: string) => processServer.telemetry().find((pair) => pair.pairId === pairId)?.sent as { contentBytes: number; referencedBytes: number; wireBytes: number };
const replica = ({ folder }: Site, pairId: string) => readFile(join(folder, 'target', 'pairs', pairId, 'replica.img'));

describe('deduplication between volumes', () => {
  let disk: Buffer;
  beforeEach(() => {
    disk = randomBytes(volumeBytes);
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  it('sends about nothing of a volume that holds what another one of the tenant holds', async () => {
    const own = await site({ tenantId: 'acme' });
    await sendBaseline(own, { pairId: pairIds.first, disk, epoch: 1 });
    expect(sent(own, pairIds.first)).toMatchObject({ referencedBytes: 0 });
    // The next heartbeat brings the news that all of it is applied.
    await sendBaseline(own, { pairId: pairIds.first, disk, epoch: 2 });
    const clone = Buffer.from(disk);
    randomBytes(64 * KIB).copy(clone, 5 * MIB + 4096);
    await sendBaseline(own, { pairId: pairIds.second, disk: clone, epoch: 1 });
    const { contentBytes, referencedBytes, wireBytes } = sent(own, pairIds.second);
    expect(contentBytes).toBeGreaterThan(volumeBytes);
    expect(referencedBytes).toBe(volumeBytes - 64 * KIB);
    expect(wireBytes).toBeLessThan(64 * KIB + volumeBytes / 200);
    expect((await replica(own, pairIds.second)).equals(clone)).toBe(true);
    expect((await replica(own, pairIds.first)).equals(disk)).toBe(true);
  });

  it('finds nothing of another tenant, whichever target it asks (I10)', async () => {
    const own = await site({ tenantId: 'acme' });
    await sendBaseline(own, { pairId: pairIds.first, disk, epoch: 1 });
    const other = await site({ tenantId: 'other' });
    await sendBaseline(other, { pairId: pairIds.second, disk, epoch: 1 });
    expect(sent(other, pairIds.second)).toMatchObject({ referencedBytes: 0 });
    expect(sent(other, pairIds.second).wireBytes).toBeGreaterThan(volumeBytes);
    // Even one that reaches the target of the first, and believes to know its blocks.
    const stranger = await site({ tenantId: 'other', targetOf: own });
    await sendBaseline(stranger, { pairId: pairIds.second, disk, epoch: 1 });
    await sendBaseline(stranger, { pairId: pairIds.second, disk, epoch: 2 });
    const { contentBytes, referencedBytes, wireBytes } = sent(stranger, pairIds.second);
    expect({ referencedBytes, triedInVain: wireBytes > contentBytes }).toEqual({ referencedBytes: 0, triedInVain: true });
    expect((await replica(own, pairIds.second)).equals(disk)).toBe(true);
  });
});
