// SPDX-License-Identifier: Apache-2.0
import { afterEach, describe, expect, it } from '@jest/globals';
import type { AgentPair, AgentVolume } from '@secondsite/contracts';
import { MIB } from '@secondsite/units';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HostBench } from '../testing/host-bench';
import { waitFor } from '../testing/wait-for';

let bench: HostBench;
afterEach(() => bench.close());

function replicaIsSource(index: number): boolean {
  return readFileSync(bench.imageOf(index)).equals(Buffer.from(bench.targets[index]?.target.replica ?? []));
}

describe('an agent with real disks, threads and clients', () => {
  it('protects a disk from the baseline on while it is written through NBD', async () => {
    bench = await HostBench.start();
    const client = await bench.connect(0);
    for (let write = 0; write < 300; write++) await client.write(((write * 7919) % 4000) * 4096, Buffer.alloc(4096 + (write % 3), write));
    await client.zero({ offset: 5 * MIB, length: 3 * MIB });
    await client.trim({ offset: 9 * MIB, length: MIB });
    await client.write(12 * MIB, Buffer.alloc(100, 3), { fua: true });
    await client.flush();
    await bench.settled(0);
    expect(replicaIsSource(0)).toBe(true);
    await client.disconnect();
    expect(bench.facts.map((fact) => fact.kind)).toEqual(expect.arrayContaining(['resync-started', 'resync-read']));
    const hops = await bench.host.hops(bench.desired.volumes[0]?.pair?.pairId ?? '');
    expect(hops?.answeredAt).toBeGreaterThanOrEqual(hops?.cutAt ?? Infinity);
  });

  it('cuts two disks at one time, between dependent writes, and holds writes for less than 10 ms', async () => {
    bench = await HostBench.start({ volumes: 2 });
    const clients = [await bench.connect(0), await bench.connect(1)] as const;
    await Promise.all([bench.settled(0), bench.settled(1)]);
    let stop = false;
    let count = 0;
    const writer = (async () => {
      while (!stop) {
        count += 1;
        const stamp = Buffer.alloc(8);
        stamp.writeBigUInt64LE(BigInt(count));
        await clients[0].write(0, stamp);
        await clients[1].write(0, stamp);
      }
    })();
    const held: number[] = [];
    const times: number[] = [];
    for (let round = 0; round < 8; round++) {
      const before = count;
      await waitFor('writes go on', () => count > before + 20);
      const { time, heldMillis } = await bench.host.createBookmark({ bookmarkId: `b${round}`, name: 'n', level: 'crash', volumeIds: ['disk-0', 'disk-1'] });
      held.push(heldMillis);
      times.push(time);
    }
    stop = true;
    await writer;
    await Promise.all([bench.settled(0), bench.settled(1)]);
    for (const { target } of bench.targets) expect(target.bookmarkTimes).toEqual(times);
    for (const time of times) {
      const [first, second] = bench.targets.map(({ target }) => target.stampAt(time));
      expect((first ?? 0) - (second ?? 0)).toBeGreaterThanOrEqual(0);
      expect((first ?? 0) - (second ?? 0)).toBeLessThanOrEqual(1);
    }
    expect(held.toSorted((a, b) => a - b)[4]).toBeLessThan(10);
    expect(bench.bookmarks).toHaveLength(8);
    await Promise.all(clients.map((client) => client.disconnect()));
  });

  it('answers a repeated bookmark with the same cut, and refuses one of an unknown volume', async () => {
    bench = await HostBench.start();
    await bench.settled(0);
    const request = { bookmarkId: 'b', name: 'n', level: 'user' as const, volumeIds: ['disk-0'] };
    expect(await bench.host.createBookmark(request)).toEqual(await bench.host.createBookmark(request));
    await expect(bench.host.createBookmark({ ...request, bookmarkId: 'c', volumeIds: ['nowhere'] })).rejects.toMatchObject({ code: 'volume/unknown' });
    expect(bench.bookmarks.map(({ kind }) => kind)).toEqual(['created', 'failed']);
  });

  it('cuts for a bookmark over hosts only what was held without a break, and stood still', async () => {
    bench = await HostBench.start({ volumes: 2 });
    await Promise.all([bench.settled(0), bench.settled(1)]);
    const volumeIds = ['disk-0', 'disk-1'];
    const file = join(bench.folder.path, 'quiesce');
    writeFileSync(file, '#!/bin/sh\n', { mode: 0o755 });
    await bench.host.reconcile({ ...bench.desired, revision: 2, volumes: bench.desired.volumes.map((volume) => ({ ...volume, hooks: [{ kind: 'script', file }] })) });
    const freeze = { freezeId: 'f', volumeIds, isStrict: true, limitMillis: 20_000 };
    expect(await bench.host.freezeVolumes({ ...freeze, level: 'application' })).toMatchObject([{ volumeId: 'disk-0', outcome: 'done' }, { volumeId: 'disk-1', outcome: 'done' }]);
    const bookmark = { bookmarkId: 'b', name: 'n', level: 'application' as const, hosts: 2 };
    const client = await bench.connect(1);
    await bench.host.holdWrites({ holdId: 'h1', volumeIds, limitMillis: 500 });
    const written = client.write(0, Buffer.alloc(512, 1));
    const { cuts, heldMillis } = await bench.host.cutHeld({ ...bookmark, holdId: 'h1', freezeId: 'f' });
    await written;
    expect([cuts.length, heldMillis < 500]).toEqual([2, true]);
    await bench.host.thawVolumes('f');
    await bench.host.holdWrites({ holdId: 'h2', volumeIds, limitMillis: 500 });
    await expect(bench.host.cutHeld({ ...bookmark, holdId: 'h2', freezeId: 'f' })).rejects.toMatchObject({ code: 'bookmark/thawed-too-early' });
    expect(await bench.host.releaseWrites('h2')).toBe(true);
    await bench.host.holdWrites({ holdId: 'h3', volumeIds, limitMillis: 50 });
    const other = await bench.connect(0);
    await Promise.all([client, other].map((writer) => writer.write(0, Buffer.alloc(512, 2)))); // Waits until both have let go.
    await expect(bench.host.cutHeld({ ...bookmark, holdId: 'h3' })).rejects.toMatchObject({ code: 'bookmark/held-too-long' });
    await Promise.all([client.disconnect(), other.disconnect()]);
    await Promise.all([bench.settled(0), bench.settled(1)]);
    for (const { target } of bench.targets) expect(target.bookmarkTimes).toHaveLength(1);
    expect(bench.targets[1]?.target.markers).toContainEqual({ kind: 'bookmark', ...bookmark });
  });

  it('starts again without the control plane, with nothing to resynchronise after a clean stop', async () => {
    bench = await HostBench.start();
    await bench.settled(0);
    await bench.host.close();
    await bench.open();
    await bench.settled(0);
    expect(bench.targets[0]?.target.markers.filter(({ kind }) => kind === 'epoch-started').at(-1)).toMatchObject({ reason: 'none' });
  });

  it('keeps the disk usable while it is unprotected, protected anew, paused and moved to another process server', async () => {
    bench = await HostBench.start();
    await bench.settled(0);
    const client = await bench.connect(0);
    const { pair, ...bare } = bench.desired.volumes[0] as AgentVolume & { pair: AgentPair };
    let stop = false;
    const writer = (async () => {
      for (let write = 1; !stop; write++) await client.write((write % 3000) * 4096, Buffer.alloc(4096, write));
    })();
    await bench.host.reconcile({ ...bench.desired, revision: 2, volumes: [bare] });
    expect(await bench.telemetryOf(0)).toMatchObject({ mode: 'unprotected' });
    await bench.host.reconcile({ ...bench.desired, revision: 3, volumes: [{ ...bare, pair: { ...pair, paused: true } }] });
    await bench.host.reconcile({ ...bench.desired, revision: 4, volumes: [{ ...bare, pair: { ...pair, processServerUrl: pair.processServerUrl.replace('127.0.0.1', 'localhost'), compression: 'source', folding: true } }] });
    await bench.host.reconcile({ ...bench.desired, revision: 5, volumes: [{ ...bare, pair: { ...pair, resyncRequest: 1 } }] });
    stop = true;
    await writer;
    await bench.settled(0);
    expect(replicaIsSource(0)).toBe(true);
    expect(bench.failures).toEqual([]);
    await client.disconnect();
  });

  it('goes on in its epoch at another process server, and says so', async () => {
    bench = await HostBench.start();
    await bench.settled(0);
    const { epoch } = await bench.telemetryOf(0);
    const [volume] = bench.desired.volumes as [AgentVolume & { pair: AgentPair }];
    const client = await bench.connect(0);
    await client.write(0, Buffer.alloc(4096, 1));
    await bench.host.reconcile({ ...bench.desired, revision: 2, volumes: [{ ...volume, pair: { ...volume.pair, move: 1, processServerUrl: volume.pair.processServerUrl.replace('127.0.0.1', 'localhost') } }] });
    await client.write(4096, Buffer.alloc(4096, 2));
    await client.disconnect();
    await bench.settled(0);
    expect(await bench.telemetryOf(0)).toMatchObject({ epoch, move: 1 });
    expect(replicaIsSource(0)).toBe(true);
  });

  it('follows a source that grows, reading only what is new, and keeps the size of one that shrinks', async () => {
    bench = await HostBench.start({ volumeBytes: 8 * MIB });
    await bench.settled(0);
    const { pairId } = bench.desired.volumes[0]?.pair as AgentPair;
    const firstPage = () => readFileSync(join(bench.folder.path, 'agent', 'volumes', 'disk-0', `${pairId}.bitmap`)).subarray(8192 + 8, 8192 + 512);
    await waitFor('everything is unmarked', () => firstPage().every((bits) => bits === 0));
    const client = await bench.connect(0);
    truncateSync(bench.imageOf(0), 12 * MIB);
    await waitFor('the volume has grown', async () => (await bench.telemetryOf(0)).sizeBytes === 12 * MIB);
    await bench.settled(0);
    await client.write(MIB, Buffer.alloc(100, 9));
    await expect(client.write(9 * MIB, Buffer.alloc(100, 9))).rejects.toBeDefined();
    const grown = await bench.connect(0);
    expect(grown.sizeBytes).toBe(12 * MIB);
    await grown.write(12 * MIB - 100, Buffer.alloc(100, 5));
    await bench.settled(0);
    expect(replicaIsSource(0)).toBe(true);
    expect(bench.facts).toContainEqual({ kind: 'volume-grown', pairId, fromBytes: 8 * MIB, toBytes: 12 * MIB });
    expect(bench.facts.filter(({ kind }) => kind === 'resync-chosen').at(-1)).toMatchObject({ cause: 'volume-grown', work: 'regions', resyncBytes: 4 * MIB, volumeBytes: 12 * MIB });

    truncateSync(bench.imageOf(0), 6 * MIB);
    await waitFor('the shrinking is told', () => bench.facts.some(({ kind }) => kind === 'volume-shrunk'));
    expect(bench.facts.at(-1)).toEqual({ kind: 'volume-shrunk', pairId, volumeBytes: 12 * MIB, sourceBytes: 6 * MIB });
    await bench.host.close();
    await bench.open();
    expect((await bench.telemetryOf(0)).sizeBytes).toBe(12 * MIB);
    await bench.settled(0);
    await waitFor('it is told again', () => bench.facts.filter(({ kind }) => kind === 'volume-shrunk').length === 2);
    truncateSync(bench.imageOf(0), 12 * MIB);
    await waitFor('its size is back', () => bench.facts.some(({ kind }) => kind === 'volume-restored'));
    await bench.settled(0);
    expect(replicaIsSource(0)).toBe(true);
    await Promise.all([client.disconnect().catch(() => undefined), grown.disconnect().catch(() => undefined)]);
  });

  it('reports a disk that cannot be opened, and protects the others', async () => {
    bench = await HostBench.start();
    const missing = { ...bench.desired.volumes[0] as AgentVolume, volumeId: 'gone', tap: { kind: 'nbd' as const, source: '/nowhere/disk.img' } };
    await bench.host.reconcile({ ...bench.desired, revision: 2, volumes: [...bench.desired.volumes, missing] });
    const telemetry = await bench.host.telemetry();
    expect(telemetry.find(({ volumeId }) => volumeId === 'gone')).toMatchObject({ mode: 'resync-required', fault: { code: 'storage/not-found' } });
    expect(bench.host.notReadyReason()).toContain('gone');
    await bench.settled(0);
  });
});
