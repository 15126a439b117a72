// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { OperationError } from '@secondsite/units';
import fc from 'fast-check';
import { NbdClient } from '../client/nbd-client';
import { formatNbdUri } from '../client/nbd-uri';
import { MemoryDevice } from '../testing/memory-device';
import { testAuthority } from '../testing/test-certificates';
import { waitUntil } from '../testing/wait-until';
import { NbdServer, type NbdServerOptions } from './nbd-server';

const mib = 1024 * 1024;
let folder = '';
let socketPath = '';
let servers: NbdServer[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nbd-'));
  socketPath = join(folder, 's');
});

afterEach(async () => {
  await Promise.all(servers.map((server) => server.close(100)));
  servers = [];
  await rm(folder, { recursive: true });
});

async function serve(device: MemoryDevice, options: NbdServerOptions = {}): Promise<NbdServer> {
  const server = new NbdServer(options);
  servers.push(server);
  server.addExport({ name: 'disk', device });
  await server.listen({ unixSocket: socketPath });
  return server;
}

function uri(exportName = 'disk'): string {
  return formatNbdUri({ address: { unixSocket: socketPath }, exportName, tls: false });
}

/** Runs a program to its end, however it ends. */
function execFileSoon(program: string, parameters: string[]): Promise<void> {
  return new Promise((resolve) => execFile(program, parameters, () => resolve()));
}

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function matchesModel(device: MemoryDevice, operations: readonly { kind: number; offset: number; length: number; byte: number }[]): Promise<void> {
  await serve(device);
  const client = await NbdClient.connect(uri());
  const model = Buffer.alloc(device.sizeBytes);
  for (const { kind, offset, length, byte } of operations) {
    const end = Math.min(offset + length, model.length);
    const range = { offset, length: end - offset };
    if (kind === 0) await client.write(offset, Buffer.alloc(end - offset, byte), { fua: byte > 200 });
    else if (kind === 1) await client.zero(range, { noHole: byte > 128 });
    else if (kind === 2) await client.trim(range);
    if (kind < 3) model.fill(kind === 0 ? byte : 0, offset, end);
    const into = Buffer.alloc(end - offset, 0xaa);
    await client.read(offset, into);
    expect(into.equals(model.subarray(offset, end))).toBe(true);
  }
  const whole = Buffer.alloc(model.length, 0xaa);
  await client.read(0, whole);
  expect(whole.equals(model)).toBe(true);
  const extents = await client.allocation({ offset: 0, length: model.length });
  expect(extents.reduce((sum, extent) => sum + extent.length, 0)).toBe(model.length);
  let at = 0;
  for (const extent of extents) {
    if (extent.zero) expect(model.subarray(at, at + extent.length).every((byte) => byte === 0)).toBe(true);
    at += extent.length;
  }
  await client.disconnect();
  await servers.pop()?.close();
}

describe('an NBD server and our client', () => {
  const size = 3 * mib + 77;
  const operation = fc.record({ kind: fc.nat(3), offset: fc.nat(size - 2), length: fc.oneof(fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 1, max: 2 * mib })), byte: fc.integer({ min: 1, max: 255 }) });

  it.each(['at once', 'later'])('keep what was written, for devices that answer %s', async (when) => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 3, maxLength: 25 }), async (operations) => {
        const device = new MemoryDevice(size);
        if (when === 'later') device.answer = soon;
        await matchesModel(device, operations);
      }),
      { numRuns: 12 },
    );
  });

  it('move 32 MiB in one request, in parallel with small ones', async () => {
    const device = new MemoryDevice(64 * mib);
    const server = await serve(device);
    const client = await NbdClient.connect(uri());
    const big = Buffer.alloc(32 * mib, 'large');
    const small = Array.from({ length: 200 }, (_, index) => client.write(40 * mib + index * 5000, Buffer.alloc(5000, index + 1)));
    await Promise.all([client.write(0, big), ...small, client.write(33 * mib, big.subarray(0, mib))]);
    const back = Buffer.alloc(32 * mib);
    const reads = Array.from({ length: 200 }, () => Buffer.alloc(5000));
    await Promise.all([client.read(0, back), ...reads.map((into, index) => client.read(40 * mib + index * 5000, into))]);
    expect(back.equals(big)).toBe(true);
    reads.forEach((into, index) => expect(into.equals(Buffer.alloc(5000, index + 1))).toBe(true));
    await client.disconnect();
    await waitUntil('all memory is given back', () => server.connections === 0 && server.heldBytes.payload === 0 && server.heldBytes.replies === 0);
  });

  it('hold a write until the device says so, and answer the others meanwhile', async () => {
    const device = new MemoryDevice(mib);
    const releases: (() => void)[] = [];
    await serve(device);
    const client = await NbdClient.connect(uri());
    device.answer = () => new Promise((resolve) => releases.push(resolve));
    const held = [client.write(0, Buffer.alloc(10, 1)), client.flush()];
    await waitUntil('the device holds both', () => releases.length === 2);
    device.answer = () => undefined;
    await client.write(100, Buffer.alloc(10, 2));
    expect(device.content[0]).toBe(0);
    releases.forEach((release) => release());
    await Promise.all(held);
    expect(device.content[0]).toBe(1);
    await client.disconnect();
  });

  it('bound the requests a device holds', async () => {
    const device = new MemoryDevice(mib);
    const releases: (() => void)[] = [];
    device.answer = () => new Promise((resolve) => releases.push(resolve));
    await serve(device, { pendingRequestsMax: 10 });
    const client = await NbdClient.connect(uri());
    const writes = Array.from({ length: 100 }, (_, index) => client.write(index * 100, Buffer.alloc(100, index + 1)));
    await waitUntil('ten are held', () => releases.length === 10);
    device.answer = () => soon();
    releases.forEach((release) => release());
    await Promise.all(writes);
    expect(device.heldMost).toBe(10);
    expect(device.content[9999]).toBe(100);
    await client.disconnect();
  });

  it.each([
    ['storage/no-space', 'storage/no-space'],
    ['storage/io-error', 'storage/io-error'],
    ['agent/shutting-down', 'service/shutting-down'],
    ['storage/unsupported', 'storage/unsupported'],
    ['something/else', 'storage/io-error'],
  ])('carry the failure %s', async (thrown, received) => {
    const device = new MemoryDevice(mib);
    await serve(device);
    const client = await NbdClient.connect(uri());
    const failure = new OperationError({ code: thrown, operation: 'test', retryable: false, hint: 'None.' });
    for (const answer of [() => Promise.reject(failure), () => { throw failure; }]) {
      device.answer = answer;
      await expect(client.write(0, Buffer.alloc(1))).rejects.toMatchObject({ code: received });
      await expect(client.read(0, Buffer.alloc(10))).rejects.toMatchObject({ code: received });
      await expect(client.read(0, Buffer.alloc(100_000))).rejects.toMatchObject({ code: received });
      await expect(client.flush()).rejects.toMatchObject({ code: received });
    }
    device.answer = () => undefined;
    await client.flush();
    await client.disconnect();
  });

  it('answer a fault of the device with EIO and report it', async () => {
    const device = new MemoryDevice(mib);
    const faults: unknown[] = [];
    await serve(device, { onFault: (fault) => faults.push(fault) });
    const client = await NbdClient.connect(uri());
    device.answer = () => { throw new TypeError('oops'); };
    await expect(client.flush()).rejects.toMatchObject({ code: 'storage/io-error' });
    expect(faults).toHaveLength(1);
    await client.disconnect();
  });

  it('refuse ranges past the end, unaligned ones and changes of a read-only export', async () => {
    const blockSizes = { minimum: 512, preferred: 4096, maximum: mib };
    const server = await serve(new MemoryDevice(mib, { readOnly: true }));
    server.addExport({ name: 'blocks', device: new MemoryDevice(mib, { blockSizes }) });
    const client = await NbdClient.connect(uri());
    expect(client.readOnly).toBe(true);
    await expect(client.write(0, Buffer.alloc(1))).rejects.toMatchObject({ code: 'storage/read-only' });
    await expect(client.trim({ offset: 0, length: 1 })).rejects.toMatchObject({ code: 'storage/read-only' });
    await expect(client.read(mib - 1, Buffer.alloc(2))).rejects.toMatchObject({ code: 'storage/out-of-range' });
    await client.disconnect();
    const blocks = await NbdClient.connect(uri('blocks'));
    expect(blocks.blockSizes).toEqual(blockSizes);
    await expect(blocks.write(mib - 512, Buffer.alloc(1024))).rejects.toMatchObject({ code: 'storage/no-space' });
    await expect(blocks.write(100, Buffer.alloc(512))).rejects.toMatchObject({ code: 'storage/out-of-range' });
    await expect(blocks.zero({ offset: 0, length: 512 }, { fast: true, noHole: true })).rejects.toMatchObject({ code: 'storage/unsupported' });
    await blocks.write(512, Buffer.alloc(512, 7));
    await blocks.disconnect();
  });

  it('lose an export only after its last request', async () => {
    const device = new MemoryDevice(mib);
    const releases: (() => void)[] = [];
    const server = await serve(device);
    const client = await NbdClient.connect(uri());
    device.answer = () => new Promise((resolve) => releases.push(resolve));
    const write = client.write(0, Buffer.alloc(1, 1));
    await waitUntil('the device holds the write', () => releases.length === 1);
    let removed = false;
    const removal = server.removeExport('disk').then(() => (removed = true));
    await expect(NbdClient.connect(uri())).rejects.toMatchObject({ code: 'nbd/unknown-export' });
    expect(removed).toBe(false);
    releases.forEach((release) => release());
    await write;
    await removal;
    await client.closed;
    await expect(client.flush()).rejects.toMatchObject({ code: 'nbd/disconnected' });
    server.addExport({ name: 'disk', device: new MemoryDevice(5) });
    const again = await NbdClient.connect(uri());
    expect(again.sizeBytes).toBe(5);
    await again.disconnect();
  });

  it('flush for all connections, list exports, and replace a dead socket file only', async () => {
    await writeFile(join(folder, 'plain'), '');
    const device = new MemoryDevice(mib);
    const server = await serve(device);
    server.addExport({ name: 'ünï/code', device: new MemoryDevice(1) });
    expect(await NbdClient.list(uri())).toEqual(['disk', 'ünï/code']);
    const other = await NbdClient.connect(uri('ünï/code'));
    await other.disconnect();
    await expect(new NbdServer().listen({ unixSocket: socketPath })).rejects.toMatchObject({ code: 'nbd/listen-failed' });
    await expect(new NbdServer().listen({ unixSocket: join(folder, 'plain') })).rejects.toMatchObject({ code: 'nbd/listen-failed' });
    await execFileSoon(process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(join(folder, 'dead'))}, () => process.kill(process.pid, 'SIGKILL'))`]);
    const successor = new NbdServer();
    await successor.listen({ unixSocket: join(folder, 'dead') });
    await successor.close();
    expect(() => server.addExport({ name: 'disk', device })).toThrow(/export-exists/);
  });
});

describe('TLS', () => {
  it('is mutual and verified on TCP, and nothing is served without it', async () => {
    const issue = await testAuthority();
    const stranger = await (await testAuthority())('stranger');
    const [server, mine, yours] = await Promise.all([issue('server'), issue('mine'), issue('yours')]);
    const nbd = new NbdServer({
      tls: { mode: 'required', options: { ca: server.ca, cert: server.cert, key: server.key } },
      authorize: (name, peer) => name === peer?.getPeerCertificate().subject.CN,
    });
    servers.push(nbd);
    nbd.addExport({ name: 'mine', device: new MemoryDevice(5 * mib) });
    const { port } = await nbd.listen({ host: '127.0.0.1', port: 0 });
    const address = `127.0.0.1:${port}/mine`;
    await expect(NbdClient.connect(`nbd://${address}`)).rejects.toMatchObject({ code: 'nbd/tls-required' });
    await expect(NbdClient.connect(`nbds://${address}`, { tls: { ca: server.ca } })).rejects.toBeInstanceOf(OperationError);
    await expect(NbdClient.connect(`nbds://${address}`, { tls: { ...stranger, ca: server.ca } })).rejects.toBeInstanceOf(OperationError);
    await expect(NbdClient.connect(`nbds://${address}`, { tls: { ...mine, ca: stranger.ca } })).rejects.toMatchObject({ code: 'nbd/tls-failed' });
    await expect(NbdClient.connect(`nbds://${address}`, { tls: mine, connectMillisMax: 5000 }).then((client) => client.sizeBytes)).resolves.toBe(5 * mib);
    await expect(NbdClient.connect(`nbds://${address}`, { tls: yours })).rejects.toMatchObject({ code: 'nbd/unknown-export' });
    const client = await NbdClient.connect(`nbds://${address}`, { tls: mine });
    const data = Buffer.alloc(4 * mib, 'over TLS');
    await client.write(3, data);
    const back = Buffer.alloc(4 * mib);
    await client.read(3, back);
    expect(back.equals(data)).toBe(true);
    await client.disconnect();
  });

  it('is not given up by a client that wants it when the server has none', async () => {
    await serve(new MemoryDevice(1));
    const address = formatNbdUri({ address: { unixSocket: socketPath }, exportName: 'disk', tls: true });
    await expect(NbdClient.connect(address)).rejects.toMatchObject({ code: 'nbd/refused' });
  });
});

describe('our client', () => {
  it('fails clearly when nobody listens, when the peer is silent and when it is no NBD server', async () => {
    await expect(NbdClient.connect(uri())).rejects.toMatchObject({ code: 'nbd/connect-failed' });
    let greeting = '';
    const peer = createServer((socket) => socket.on('error', () => undefined).write(greeting));
    await new Promise<void>((resolve) => peer.listen(socketPath, resolve));
    await expect(NbdClient.connect(uri(), { connectMillisMax: 50 })).rejects.toMatchObject({ code: 'nbd/connect-failed' });
    greeting = 'HTTP/1.1 400 Bad Request\r\n\r\n';
    await expect(NbdClient.connect(uri())).rejects.toMatchObject({ code: 'nbd/protocol' });
    await new Promise((resolve) => peer.close(resolve));
  });
});
