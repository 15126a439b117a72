// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { clientTlsOptions, tlsOptions } from '@secondsite/certificates';
import { createTestAuthority, issueTestIdentity } from '@secondsite/certificates/testing';
import { CrashableStorage, seededRandom } from '@secondsite/durable-storage/testing';
import { NbdClient } from '@secondsite/nbd';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PairDriver } from '../testing/pair-driver';
import { ViewExporter } from './view-exporter';
import { ViewRegistry } from './view-registry';
import { WriteOverlay } from './write-overlay';

describe('a view over TCP', () => {
  it('is there for components of the tenant only: not without TLS, not for a foreign authority, not for another tenant', async () => {
    const authority = await createTestAuthority();
    const server = await issueTestIdentity(authority, { role: 'master-target' });
    const friend = await issueTestIdentity(authority, { role: 'operator' });
    const neighbour = await issueTestIdentity(authority, { role: 'operator', tenantId: 'tenant-2' });
    const stranger = await issueTestIdentity(await createTestAuthority(), { role: 'operator' });
    const driver = new PairDriver(seededRandom(8));
    const storage = new CrashableStorage();
    const pair = await driver.open(storage.root);
    while (!driver.history.green) await driver.send(pair, 1);
    await pair.idle();
    const socketFolder = await mkdtemp(join(tmpdir(), 'ss-view-'));
    const exporter = new ViewExporter({ socketFolder, listenHost: '127.0.0.1', advertiseHost: 'localhost', tls: { options: tlsOptions(server), tenantId: 'tenant-1' } });
    const views = await ViewRegistry.open({ pair, exporter, directory: await storage.root.directory('views') });
    const view = await views.openView({ viewId: 'v1', pointTime: driver.history.time, readWrite: false, openedAt: 1 });
    const uri = view.nbdUris[1] as string;
    expect(uri).toMatch(/^nbds:\/\/localhost:\d+\/v1$/);
    const tlsOf = (identity: typeof friend) => ({ tls: clientTlsOptions(identity, { serverRoles: ['master-target'] }) });

    const client = await NbdClient.connect(uri, tlsOf(friend));
    const bytes = Buffer.alloc(driver.history.volumeBytes);
    await client.read(0, bytes);
    expect(bytes.equals(driver.history.source)).toBe(true);
    await client.disconnect();
    await expect(NbdClient.connect(uri.replace('nbds', 'nbd'))).rejects.toMatchObject({ name: 'OperationError' });
    await expect(NbdClient.connect(uri, tlsOf(neighbour))).rejects.toMatchObject({ name: 'OperationError' });
    await expect(NbdClient.connect(uri, tlsOf(stranger))).rejects.toMatchObject({ name: 'OperationError' });
    await views.close();
    await pair.close();
    await rm(socketFolder, { recursive: true });
  });
});

describe('a write overlay', () => {
  it('keeps after a power cut what was flushed, and invents nothing', async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = seededRandom(seed);
      const storage = new CrashableStorage();
      const names = { data: 'v.overlay', log: 'v.extents' };
      const overlay = await WriteOverlay.open(storage.root, names, 4096);
      overlay.write(100, [Buffer.alloc(300, 1), Buffer.alloc(300, 2)]);
      overlay.zero(150, 100);
      await overlay.flush();
      overlay.write(2000, [Buffer.alloc(50, 3)]);
      storage.crash(random);
      const after = await WriteOverlay.open(storage.root, names, 4096);
      const seen: [number, number, number][] = [];
      after.visit(0, 4096, (start, end, value) => seen.push([start, end, value]));
      expect(seen).toEqual([[0, 100, -2], [100, 150, 100], [150, 250, -1], [250, 700, 250], [700, 4096, -2]]);
      const bytes = Buffer.alloc(600);
      after.readNow(bytes, 100);
      expect(bytes.equals(Buffer.concat([Buffer.alloc(50, 1), Buffer.alloc(100), Buffer.alloc(150, 1), Buffer.alloc(300, 2)]))).toBe(true);
    }
  });
});
