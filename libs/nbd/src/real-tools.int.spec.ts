// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { NbdClient } from './client/nbd-client';
import { formatNbdUri } from './client/nbd-uri';
import { NbdServer } from './server/nbd-server';
import { MemoryDevice } from './testing/memory-device';
import { describeWithTools, output, started } from './testing/real-tools';
import { testAuthority } from './testing/test-certificates';

const mib = 1024 * 1024;
let folder = '';
let server: NbdServer;
let device: MemoryDevice;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nbd-'));
  device = new MemoryDevice(48 * mib);
  server = new NbdServer();
  server.addExport({ name: 'disk', description: 'the disk', device });
  server.addExport({ name: 'odd', device: new MemoryDevice(mib + 77, { readOnly: true }) });
  await server.listen({ unixSocket: join(folder, 's') });
});

afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

function uri(exportName = 'disk', socket = 's'): string {
  return formatNbdUri({ address: { unixSocket: join(folder, socket) }, exportName, tls: false });
}

/** 48 MiB with data here and there. */
function sparseContent(): Buffer {
  const content = Buffer.alloc(48 * mib);
  for (const at of [0, 5 * mib + 4096, 20 * mib, 48 * mib - 8192]) randomBytes(8192).copy(content, at);
  randomBytes(6 * mib).copy(content, 30 * mib);
  return content;
}

async function imageFile(name: string, content: Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, '');
  const file = await open(path, 'r+');
  await file.truncate(content.length);
  for (let at = 0; at < content.length; at += 4096) {
    const block = content.subarray(at, at + 4096);
    if (block.some((byte) => byte !== 0)) await file.write(block, 0, block.length, at);
  }
  await file.close();
  return path;
}

describeWithTools('real clients of our server', ['nbdinfo', 'nbdcopy', 'qemu-io', 'qemu-img', 'fio'], () => {
  it('nbdinfo sees what is exported, and the map', async () => {
    const shown = JSON.parse(await output('nbdinfo', ['--json', uri()])) as { exports: Record<string, unknown>[] };
    expect(shown.exports[0]).toMatchObject({ 'export-name': 'disk', 'export-size': 48 * mib, description: 'the disk', can_multi_conn: true, can_fua: true, can_fast_zero: true, can_df: true, contexts: ['base:allocation'] });
    const listed = JSON.parse(await output('nbdinfo', ['--list', '--json', uri()])) as { exports: Record<string, unknown>[] };
    expect(listed.exports.map((each) => [each['export-name'], each['export-size'], each['is_read_only']])).toEqual([['disk', 48 * mib, false], ['odd', mib + 77, true]]);
    void device.write(8192, [Buffer.alloc(4096, 1)], { fua: false });
    const map = JSON.parse(await output('nbdinfo', ['--map', '--json', uri()])) as { offset: number; length: number; type: number }[];
    expect(map.map(({ offset, length, type }) => [offset, length, type])).toEqual([[0, 8192, 3], [8192, 4096, 0], [12288, 48 * mib - 12288, 3]]);
  });

  it('nbdcopy copies in and out, qemu-img compare agrees', async () => {
    const content = sparseContent();
    const image = await imageFile('in.img', content);
    await output('nbdcopy', ['--flush', image, uri()]);
    expect(device.content.equals(content)).toBe(true);
    expect(device.flushes).toBeGreaterThan(0);
    await output('nbdcopy', [uri(), join(folder, 'out.img')]);
    expect((await readFile(join(folder, 'out.img'))).equals(content)).toBe(true);
    expect(await output('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', image, uri()])).toContain('identical');
    device.content[31 * mib] = (device.content[31 * mib] as number) ^ 1;
    await expect(output('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', image, uri()])).rejects.toMatchObject({ code: 1 });
    await output('nbdcopy', [uri('odd'), join(folder, 'odd.img')]);
  });

  it('nbdcopy and qemu-img work with a device that answers later', async () => {
    device.answer = () => new Promise((resolve) => setImmediate(resolve));
    const content = sparseContent();
    const image = await imageFile('in.img', content);
    await output('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', image, uri()]);
    await output('nbdcopy', [uri(), join(folder, 'out.img')]);
    expect((await readFile(join(folder, 'out.img'))).equals(content)).toBe(true);
  });

  it('qemu-io writes, zeroes, discards and verifies patterns', async () => {
    const commands = ['write -P 7 0 32M', 'write -P 9 1M 64k', 'write -f -P 8 2M 4k', 'write -z 3M 1M', 'write -z -u 5M 64k', 'discard 6M 64k', 'flush', 'read -P 9 1M 64k', 'read -P 8 2M 4k', 'read -P 0 3M 1M', 'read -P 7 4M 1M'];
    const said = await output('qemu-io', ['-f', 'raw', ...commands.flatMap((each) => ['-c', each]), uri()]);
    expect(said).not.toMatch(/fail|error/i);
    expect(device.content[5 * mib]).toBe(0);
    expect(device.fuaWrites + device.flushes).toBeGreaterThan(0);
  });

  it('fio verifies what it wrote, on several connections at depth', async () => {
    const job = ['--name=verify', '--ioengine=nbd', `--uri=${uri()}`, '--rw=randwrite', '--bsrange=512-256k', '--size=16m', '--iodepth=32', '--numjobs=2', '--offset_increment=16m', '--verify=crc32c', '--verify_state_save=0', '--fsync=50'];
    expect(await output('fio', job)).toMatch(/err= 0/);
  });

  it('nbdinfo and nbdcopy come over mutual TLS only with a certificate', async () => {
    const issue = await testAuthority();
    const [mine, theirs] = await Promise.all([issue('server'), issue('client')]);
    const secured = new NbdServer({ tls: { mode: 'required', options: { ca: mine.ca, cert: mine.cert, key: mine.key } } });
    secured.addExport({ name: 'disk', device });
    const { port } = await secured.listen({ host: '127.0.0.1', port: 0 });
    const content = sparseContent();
    const image = await imageFile('in.img', content);
    await Promise.all([writeFile(join(folder, 'ca-cert.pem'), theirs.ca), writeFile(join(folder, 'client-cert.pem'), theirs.cert), writeFile(join(folder, 'client-key.pem'), theirs.key)]);
    const address = `nbds://localhost:${port}/disk?tls-certificates=${folder}`;
    await output('nbdcopy', [image, address]);
    expect(device.content.equals(content)).toBe(true);
    await expect(output('nbdinfo', [`nbd://localhost:${port}/disk`])).rejects.toBeDefined();
    await secured.close();
  });
});

describeWithTools('our client with real servers', ['nbdkit', 'qemu-nbd', 'qemu-img', 'qemu-io'], () => {
  it('reads, writes and maps through nbdkit', async () => {
    const content = sparseContent();
    const image = await imageFile('k.img', content);
    const nbdkit = await started('nbdkit', ['-f', '-U', join(folder, 'k'), 'file', image], join(folder, 'k'));
    const client = await NbdClient.connect(uri('', 'k'));
    const back = Buffer.alloc(content.length);
    for (let at = 0; at < content.length; at += 16 * mib) await client.read(at, back.subarray(at, at + 16 * mib));
    expect(back.equals(content)).toBe(true);
    const extents = await client.allocation({ offset: 0, length: content.length });
    expect(extents.reduce((sum, extent) => sum + extent.length, 0)).toBe(content.length);
    expect(extents.some((extent) => extent.hole)).toBe(true);
    await client.write(10 * mib, Buffer.alloc(100_000, 5), { fua: true });
    await client.zero({ offset: 30 * mib, length: mib });
    await client.trim({ offset: 31 * mib, length: mib });
    await client.flush();
    await client.disconnect();
    await nbdkit.stop();
    content.fill(5, 10 * mib, 10 * mib + 100_000).fill(0, 30 * mib, 31 * mib);
    const after = await readFile(image);
    expect(after.subarray(0, 31 * mib).equals(content.subarray(0, 31 * mib))).toBe(true);
  });

  it('reads sparse data and a dirty bitmap through qemu-nbd', async () => {
    const image = join(folder, 'q.qcow2');
    await output('qemu-img', ['create', '-f', 'qcow2', image, '48M']);
    await output('qemu-img', ['bitmap', '--add', '-g', '64k', image, 'changes']);
    await output('qemu-io', ['-f', 'qcow2', '-c', 'write -P 3 1M 64k', '-c', 'write -P 4 20M 128k', image]);
    const qemu = await started('qemu-nbd', ['-r', '-t', '-f', 'qcow2', '-B', 'changes', '-k', join(folder, 'q'), image], join(folder, 'q'));
    const context = 'qemu:dirty-bitmap:changes';
    const client = await NbdClient.connect(uri('', 'q'), { metaContexts: ['base:allocation', context] });
    expect(client.readOnly).toBe(true);
    const back = Buffer.alloc(32 * mib, 1);
    await client.read(0, back);
    expect(back.subarray(mib, mib + 65536).every((byte) => byte === 3)).toBe(true);
    expect(back.subarray(2 * mib, 20 * mib).every((byte) => byte === 0)).toBe(true);
    const dirty = await client.blockStatus({ offset: 0, length: 48 * mib }, context);
    expect(dirty.map((extent) => [extent.length, extent.flags])).toEqual([[mib, 0], [65536, 1], [19 * mib - 65536, 0], [131072, 1], [28 * mib - 131072, 0]]);
    await expect(client.blockStatus({ offset: 0, length: 1 }, 'qemu:dirty-bitmap:other')).rejects.toMatchObject({ code: 'nbd/no-context' });
    await client.disconnect();
    await qemu.stop();
  });

  it('loses every request clearly when the server is killed', async () => {
    const image = await imageFile('d.img', Buffer.alloc(mib));
    const nbdkit = await started('nbdkit', ['-f', '-U', join(folder, 'd'), '--filter=delay', 'file', image, 'rdelay=30'], join(folder, 'd'));
    const client = await NbdClient.connect(uri('', 'd'));
    const reads = [client.read(0, Buffer.alloc(10)), client.read(10, Buffer.alloc(10))].map((read) => expect(read).rejects.toMatchObject({ code: 'nbd/disconnected' }));
    client.destroy();
    await Promise.all(reads);
    await client.closed;
    await expect(client.flush()).rejects.toMatchObject({ code: 'nbd/disconnected' });
    await nbdkit.stop();
  });
});
