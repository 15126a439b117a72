// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NbdClient } from '../client/nbd-client';
import { formatNbdUri } from '../client/nbd-uri';
import { encodeInfoRequest, encodeOption } from '../codec/option-codec';
import { encodeRequest } from '../codec/request-codec';
import { command, option } from '../protocol';
import { MemoryDevice } from '../testing/memory-device';
import { waitUntil } from '../testing/wait-until';
import { NbdServer, type NbdServerOptions } from './nbd-server';

const mib = 1024 * 1024;
let folder = '';
let device: MemoryDevice;
let server: NbdServer;
let reasons: string[] = [];
let opened: Socket[] = [];
let port = 0;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nbd-'));
  reasons = [];
  opened = [];
});

afterEach(async () => {
  for (const socket of opened) socket.destroy();
  await server.close(100);
  await rm(folder, { recursive: true });
});

async function serve(options: NbdServerOptions = {}): Promise<void> {
  device = new MemoryDevice(64 * mib);
  server = new NbdServer({ onConnectionClosed: ({ reason }) => reasons.push(reason), ...options });
  server.addExport({ name: '', device });
  await server.listen({ unixSocket: join(folder, 's') });
  ({ port } = await server.listen({ host: '127.0.0.1', port: 0 }));
}

async function open(over: 'unix' | 'tcp' = 'unix'): Promise<Socket> {
  const socket = over === 'unix' ? connect(join(folder, 's')) : connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  opened.push(socket);
  await once(socket, 'connect');
  return socket;
}

/** A raw connection in the transmission phase, without structured replies. */
async function transmitting(over: 'unix' | 'tcp' = 'unix'): Promise<Socket> {
  const socket = await open(over);
  let received = 0;
  const count = (bytes: Buffer): void => void (received += bytes.length);
  socket.on('data', count);
  socket.write(Buffer.concat([Buffer.from([0, 0, 0, 3]), encodeOption(option.go, encodeInfoRequest({ name: '', infos: [] }))]));
  await waitUntil('the export is open', () => received === 18 + 32 + 34 + 20);
  socket.off('data', count);
  return socket;
}

function request(fields: { type: number; offset?: number; length?: number; flags?: number; cookie?: number }): Buffer {
  const bytes = Buffer.alloc(28);
  encodeRequest(bytes, 0, { flags: fields.flags ?? 0, type: fields.type, cookieHigh: 0, cookieLow: fields.cookie ?? 1, offset: fields.offset ?? 0, length: fields.length ?? 0 });
  return bytes;
}

/** The next client is served, quickly and rightly, and nothing is left behind by the others. */
async function nextClientIsServed(): Promise<void> {
  const client = await NbdClient.connect(formatNbdUri({ address: { unixSocket: join(folder, 's') }, exportName: '', tls: false }));
  const data = Buffer.alloc(100_000, 'next');
  const before = Buffer.from(device.content.subarray(mib, mib + data.length));
  await client.write(mib, data);
  const back = Buffer.alloc(data.length);
  await client.read(mib, back);
  expect(back.equals(data)).toBe(true);
  await client.write(mib, before);
  await client.disconnect();
}

async function everythingIsGivenBack(): Promise<void> {
  await waitUntil('no connection is left', () => server.connections === 0);
  expect(server.heldBytes).toEqual({ payload: 0, replies: 0 });
  expect(device.held).toBe(0);
}

describe('a server with hostile clients', () => {
  it('drops a client whose payload length lies, and the device never sees it', async () => {
    await serve();
    for (const length of [0xffffffff, 33 * mib]) {
      const socket = await transmitting();
      socket.write(Buffer.concat([request({ type: command.write, length }), Buffer.alloc(1000, 1)]));
      await once(socket, 'close');
    }
    expect(device.content.subarray(0, 1000).every((byte) => byte === 0)).toBe(true);
    await nextClientIsServed();
    await everythingIsGivenBack();
  });

  it('reads past the payload of a write that it refuses', async () => {
    await serve();
    const socket = await transmitting();
    const replies: Buffer[] = [];
    socket.on('data', (bytes: Buffer) => replies.push(bytes));
    socket.write(Buffer.concat([request({ type: command.write, offset: 64 * mib - 1, length: mib }), Buffer.alloc(mib, 0x25), request({ type: command.flush, cookie: 2 })]));
    await waitUntil('both are answered', () => Buffer.concat(replies).length === 32);
    expect(Buffer.concat(replies).readUInt32BE(4)).toBe(28);
    expect(Buffer.concat(replies).readUInt32BE(20)).toBe(0);
  });

  it('drops clients that send half a message and stop, and never half-writes', async () => {
    await serve({ stallMillisMax: 300 });
    const half = request({ type: command.write, length: mib }).subarray(0, 20);
    const stalled = [half, Buffer.concat([request({ type: command.write, length: 32 * mib }), Buffer.alloc(500_000, 1)])];
    for (const bytes of stalled) (await transmitting()).write(bytes);
    await waitUntil('both are dropped', () => reasons.length === 2);
    expect(reasons).toEqual(['the client stalled', 'the client stalled']);
    expect(device.content[0]).toBe(0);
    await nextClientIsServed();
    await everythingIsGivenBack();
  });

  it('keeps an idle client that has nothing outstanding', async () => {
    await serve({ stallMillisMax: 1, negotiationMillisMax: 200 });
    const idle = await transmitting();
    const silent = await open();
    await once(silent.resume(), 'close');
    idle.write(request({ type: command.flush }));
    expect(((await once(idle, 'data')) as [Buffer])[0]).toHaveLength(16);
  });

  it('bounds the memory of payloads that are on their way', async () => {
    await serve({ payloadBytesMax: 40 * mib, stallMillisMax: 400 });
    const sockets = await Promise.all(Array.from({ length: 10 }, () => transmitting()));
    for (const socket of sockets) socket.write(Buffer.concat([request({ type: command.write, length: 32 * mib }), Buffer.alloc(1000)]));
    await waitUntil('one of them holds memory', () => server.heldBytes.payload === 32 * mib);
    let most = 0;
    await waitUntil('all are dropped', () => {
      most = Math.max(most, server.heldBytes.payload);
      return server.connections === 0;
    }, 20_000);
    expect(most).toBeLessThanOrEqual(40 * mib);
    await nextClientIsServed();
    await everythingIsGivenBack();
  });

  it('survives resets with requests in flight, and the device finishes them first', async () => {
    await serve();
    const releases: (() => void)[] = [];
    device.answer = () => new Promise((resolve) => releases.push(resolve));
    for (let round = 0; round < 10; round += 1) {
      const socket = await transmitting('tcp');
      const all = [request({ type: command.read, length: mib }), request({ type: command.read, length: 10 }), request({ type: command.flush })];
      socket.write(Buffer.concat([...all, request({ type: command.write, length: 4 }), Buffer.alloc(4)]));
      await waitUntil('the device holds all', () => releases.length === 4 * (round + 1));
      socket.resetAndDestroy();
    }
    expect(server.connections).toBe(10);
    releases.forEach((release) => release());
    device.answer = () => undefined;
    await everythingIsGivenBack();
    await nextClientIsServed();
  });

  it('stops reading from a client that does not read its replies, and serves the others', async () => {
    await serve({ replyBytesMax: 16 * mib, stallMillisMax: 300 });
    const greedy = await transmitting();
    greedy.pause();
    for (let index = 0; index < 2000; index += 1) greedy.write(request({ type: command.read, length: mib, cookie: index }));
    await waitUntil('replies pile up', () => server.heldBytes.replies > mib);
    const most = server.heldBytes.replies;
    expect(most).toBeLessThanOrEqual(16 * mib);
    await nextClientIsServed();
    greedy.destroy();
    await everythingIsGivenBack();
  });

  it('serves the next client beside 150 silent ones, and 300 when silent ones must make room', async () => {
    await serve({ connectionsMax: 200 });
    await Promise.all(Array.from({ length: 150 }, () => open()));
    await waitUntil('all are accepted', () => server.connections === 150);
    await nextClientIsServed();
    await Promise.all(Array.from({ length: 150 }, () => open()));
    await nextClientIsServed();
    expect(server.connections).toBeLessThanOrEqual(200);
  });

  it('ends endless options and clients that negotiate for ever', async () => {
    await serve({ negotiationMillisMax: 300 });
    const endless = await open();
    endless.resume().write(Buffer.from([0, 0, 0, 3]));
    for (let index = 0; index < 1000; index += 1) endless.write(encodeOption(option.list, Buffer.alloc(0)));
    await waitUntil('it is closed', () => reasons.length === 1);
    const slow = await open();
    await once(slow.resume(), 'close');
    await waitUntil('it is reported', () => reasons.length === 2);
    expect(reasons).toEqual(['the client sent too many options', 'the client negotiated for too long']);
    await nextClientIsServed();
    await everythingIsGivenBack();
  });

  it('survives any bytes in either phase', async () => {
    await serve();
    const bytes = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 });
    const fields = fc.record({ type: fc.nat(9), offset: fc.oneof(fc.nat(100), fc.maxSafeNat()), length: fc.oneof(fc.nat(100), fc.nat(0xffffffff)), flags: fc.nat(31) });
    await fc.assert(
      fc.asyncProperty(fc.boolean(), bytes, fc.array(fields, { maxLength: 6 }), async (negotiated, junk, requests) => {
        const socket = negotiated ? await transmitting() : await open();
        socket.resume();
        for (const each of requests) socket.write(request(each));
        for (const each of junk) socket.write(each);
        socket.end();
        await waitUntil('the server is rid of it', () => server.connections === 0);
      }),
      { numRuns: 60 },
    );
    await nextClientIsServed();
    await everythingIsGivenBack();
  });
});
