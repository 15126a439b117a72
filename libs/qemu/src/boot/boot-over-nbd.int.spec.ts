// SPDX-License-Identifier: Apache-2.0
// The ways a recovered disk is booted: read-only exports through an overlay, and NBD with mutual TLS.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB } from '@secondsite/units';
import { guestComesUp } from '../accelerator/probe-accelerator';
import { buildGuest, type GuestImage } from '../guest/build-guest';
import { createGuestDisk } from '../guest/create-guest-disk';
import { waitUntil } from '../host-tools/wait-until';
import { makeTestIdentity } from '../testing/test-identity';
import { sharedGuestFolder } from '../testing/shared-guest';
import { bootGuest } from './boot-guest';

describe('booting over NBD', () => {
  let folder: string;
  let guest: GuestImage;
  let disk: string;
  let server: ChildProcess | undefined;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secondsite-nbd-boot-'));
    guest = await buildGuest(sharedGuestFolder());
    disk = join(folder, 'disk.img');
    await createGuestDisk({ path: disk, sizeBytes: 64 * MIB, guest });
  }, 300_000);

  afterAll(async () => {
    server?.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  it('a read-only export with mutual TLS boots through an overlay and stays unchanged', async () => {
    const identityFolder = await makeTestIdentity(join(folder, 'identity'));
    const port = await startTlsServer(identityFolder);
    const before = await readFile(disk);
    const uri = `nbds://127.0.0.1:${port}/`;
    const running = await bootGuest({ guest, disk: uri, mode: 'idle', overlay: true, identityFolder });
    await running.waitForLine(/^SECONDSITE-READY/, 90_000);
    await expect(running.run('echo new > /data/new && sync && cat /data/new')).resolves.toEqual({ exitCode: 0, output: 'new\n' });
    await running.kill();
    expect(Buffer.compare(before, await readFile(disk))).toBe(0);
  }, 120_000);

  it("a foreign authority's server is refused with QEMU's reason", async () => {
    const identityFolder = await makeTestIdentity(join(folder, 'foreign'));
    const port = await startTlsServer(join(folder, 'identity'));
    const refused = bootGuest({ guest, disk: `nbds://127.0.0.1:${port}/`, mode: 'idle', identityFolder });
    await expect(refused).rejects.toMatchObject({ code: 'qemu/start-failed', message: expect.stringMatching(/certificate|TLS/i) });
  }, 60_000);

  it('a probe tells an accelerator that brings a guest up from one that does not in time', async () => {
    await expect(guestComesUp({ guest, accelerator: 'tcg', timeLimitMillis: 60_000 })).resolves.toBe(true);
    await expect(guestComesUp({ guest, accelerator: 'tcg', timeLimitMillis: 1 })).resolves.toBe(false);
  }, 90_000);

  async function startTlsServer(identityFolder: string): Promise<number> {
    server?.kill('SIGKILL');
    const certificates = await mkdtemp(join(folder, 'server-'));
    await mkdir(certificates, { recursive: true });
    const links = { 'ca-cert.pem': 'ca.pem', 'server-cert.pem': 'cert.pem', 'server-key.pem': 'key.pem' };
    for (const [name, file] of Object.entries(links)) await symlink(join(identityFolder, file), join(certificates, name));
    const port = await freePort();
    const tls = ['--tls=require', `--tls-certificates=${certificates}`, '--tls-verify-peer'];
    const pidFile = join(certificates, 'ready');
    const address = ['-i', '127.0.0.1', '-p', String(port), '-P', pidFile];
    server = spawn('nbdkit', ['--exit-with-parent', '-f', '-r', ...address, ...tls, 'file', disk], { stdio: 'ignore' });
    const probe = async (): Promise<true | undefined> => ((await readFile(pidFile, 'utf8').catch(() => '')) === '' ? undefined : true);
    await waitUntil({ probe, timeLimitMillis: 10_000, operation: 'start nbdkit', hint: 'apt-get install nbdkit' });
    return port;
  }
});

/** nbdkit cannot listen on port 0 and tell which it got. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
