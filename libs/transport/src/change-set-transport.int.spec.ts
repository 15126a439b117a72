// SPDX-License-Identifier: Apache-2.0
import { afterEach, describe, expect, it } from '@jest/globals';
import { OperationError } from '@secondsite/units';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { allowEveryone } from './authorize';
import { ChangeSetClient, type ChangeSetClientOptions } from './change-set-client';
import type { CompareRequest, StoreOutcome } from './change-set-protocol';
import { ChangeSetServer, type ChangeSetServerOptions } from './change-set-server';
import { MemoryReceiver } from './testing';
import { waitUntil } from './testing/wait-until';

const pairId = '0b8f2f0e-5a3c-4a57-9f6e-0123456789ab';
const key = { pairId, epoch: 3, sequence: 7 };
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const cleanUps: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function start(options: Partial<ChangeSetServerOptions> & Partial<ChangeSetClientOptions> = {}) {
  const receiver = new MemoryReceiver();
  const server = new ChangeSetServer({ handler: receiver, authorize: allowEveryone, ...options });
  const { url, port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const client = new ChangeSetClient({ url, ...options });
  cleanUps.push(
    () => server.close({ graceMillisMax: 0 }),
    () => client.close(),
  );
  return { receiver, server, client, port };
}

async function rawConnection(port: number): Promise<{ socket: Socket; received: () => string }> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => chunks.push(Buffer.from('<reset>')));
  socket.on('close', () => chunks.push(Buffer.from('<closed>')));
  cleanUps.push(() => void socket.destroy());
  await once(socket, 'connect');
  return { socket, received: () => Buffer.concat(chunks).toString('latin1') };
}

const putHead = (length: number | string, path = `/v1/pairs/${pairId}/change-sets/3/7`) => `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;
const parts = (...sizes: number[]) => sizes.map((size, at) => new Uint8Array(size).fill(at + 1));

describe('sending change sets', () => {
  it('delivers the parts as one exactly sized body, with its key and trace', async () => {
    const { receiver, client } = await start();
    const shared = new Uint8Array(new SharedArrayBuffer(100_000)).fill(3);
    const outcome = await client.put([...parts(256, 0, 3200), shared], { ...key, traceparent });
    expect(outcome).toEqual({ kind: 'stored', appliedEpoch: 3, appliedSequence: 7, creditBytes: 64 * 1024 * 1024 });
    const request = receiver.requests[0];
    expect(request).toMatchObject({ ...key, traceparent, peer: undefined });
    expect(request?.body.byteLength).toBe(256 + 3200 + 100_000);
    const expected = Buffer.concat([...parts(256, 0, 3200), shared]);
    expect(Buffer.from(request?.body ?? []).equals(expected)).toBe(true);
  });

  it('tells the handler which set is the oldest that the sender still has, if the sender says so', async () => {
    const { receiver, client } = await start();
    for (const oldestPending of [undefined, 1, 5, Number.MAX_SAFE_INTEGER]) {
      await client.put(parts(10), { ...key, oldestPending });
      expect(receiver.requests.at(-1)?.oldestPending).toBe(oldestPending);
    }
  });

  it('carries which sets are to be traced late', async () => {
    const { receiver, client } = await start();
    for (const lateTraces of [[], [{ epoch: 1, sequence: 5 }, { epoch: 2, sequence: 1 }]]) {
      await client.put(parts(10), { ...key, lateTraces });
      expect(receiver.requests.at(-1)?.lateTraces).toEqual(lateTraces);
    }
  });

  it.each(['', '0', '-1', '+5', '05', '5.0', '1e3', '0x10', '5, 6', 'five', '9007199254740992', '99999999999999999999'])(
    'takes the set and ignores %j as the oldest one of the sender',
    async (value) => {
      const { receiver, port } = await start();
      const { socket, received } = await rawConnection(port);
      socket.write(putHead(3).replace('\r\n\r\n', `\r\nSecondsite-Oldest-Pending: ${value}\r\n\r\n`) + 'abc');
      await waitUntil('there is an answer', () => received().includes('\r\n\r\n'));
      expect(received()).toContain('HTTP/1.1 200');
      expect(receiver.requests).toMatchObject([{ ...key, oldestPending: undefined }]);
    },
  );

  it('hands large bodies over in memory that threads can share', async () => {
    const { receiver, client } = await start();
    await client.put(parts(700_000), key);
    const body = receiver.requests[0]?.body as Uint8Array;
    expect(body.byteLength).toBe(700_000);
    expect(body.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  it('tells the position of a pair, and that a pair is unknown', async () => {
    const { client } = await start();
    expect(await client.position(pairId)).toMatchObject({ kind: 'refused', status: 409, code: 'change-set/unknown-pair', hint: 'Create it first.' });
    await client.put(parts(10), key);
    expect(await client.position(pairId)).toMatchObject({ kind: 'known', epoch: 3, sequence: 7, appliedEpoch: 3, appliedSequence: 7 });
  });

  it('brings a question to the handler and its answer back, byte for byte; one that is too long is refused', async () => {
    const { receiver, client } = await start();
    const question = Buffer.from(Array.from({ length: 1000 }, (_, index) => index * 7));
    const asked: CompareRequest[] = [];
    receiver.compare = async (request) => {
      asked.push(request);
      return { kind: 'compared', answer: Buffer.concat([request.question, Buffer.from([0, 13, 10, 255])]) };
    };
    expect(await client.compare(question, key)).toEqual({ kind: 'compared', answer: Buffer.concat([question, Buffer.from([0, 13, 10, 255])]) });
    expect(asked).toMatchObject([{ ...key, peer: undefined }]);
    receiver.compare = async () => ({ kind: 'held-off', code: 'comparison/not-applied', detail: 'd', retryAfterMillis: 20 });
    expect(await client.compare(question, key)).toMatchObject({ kind: 'held-off', code: 'comparison/not-applied', retryAfterMillis: 20 });
    expect(await client.compare(Buffer.alloc(17_000), key)).toMatchObject({ kind: 'refused', status: 413 });
  });

  it('does not let change sets wait behind questions', async () => {
    const { receiver, client } = await start({ connectionsMax: 1 });
    const gate = Promise.withResolvers<void>();
    receiver.compare = async ({ question }) => {
      await gate.promise;
      return { kind: 'compared', answer: question };
    };
    const answer = client.compare(Buffer.alloc(9), key);
    expect(await client.put(parts(10), key)).toMatchObject({ kind: 'stored' });
    gate.resolve();
    expect(await answer).toMatchObject({ kind: 'compared' });
  });

  it('brings every outcome of the handler to the sender', async () => {
    const { receiver, client } = await start();
    const refusal = { code: 'change-set/x', detail: 'd', hint: 'h' };
    const cases: [StoreOutcome, object][] = [
      [{ kind: 'refused', ...refusal }, { kind: 'refused', status: 409, ...refusal }],
      [{ kind: 'corrupt', ...refusal }, { kind: 'refused', status: 422, ...refusal }],
      [{ kind: 'held-off', code: 'change-set/flow-controlled', detail: 'd', retryAfterMillis: 345 }, { kind: 'held-off', code: 'change-set/flow-controlled', retryAfterMillis: 345 }],
      [{ kind: 'held-off', code: 'storage/no-space', detail: 'd', retryAfterMillis: 1500 }, { kind: 'held-off', code: 'storage/no-space', retryAfterMillis: 1500 }],
      [{ kind: 'stored', appliedEpoch: 1, appliedSequence: 2, creditBytes: 0, retryAfterMillis: 50 }, { kind: 'stored', creditBytes: 0, retryAfterMillis: 50 }],
    ];
    for (const [outcome, expected] of cases) {
      receiver.answers.push(() => outcome);
      expect(await client.put(parts(100), key)).toMatchObject(expected);
    }
  });

  it('holds the sender off when the handler fails, and reports a bug of it', async () => {
    const faults: unknown[] = [];
    const { receiver, client, server } = await start({ onFault: (error) => faults.push(error) });
    const failWith = (code: string, retryable: boolean) =>
      receiver.answers.push(() => {
        throw new OperationError({ code, operation: 'append', retryable, hint: 'h', context: { path: '/secret' } });
      });
    failWith('storage/no-space', true);
    failWith('storage/damaged', false);
    receiver.answers.push(() => {
      throw new TypeError('bug with a secret');
    });
    expect(await client.put(parts(9), key)).toMatchObject({ kind: 'held-off', code: 'storage/no-space' });
    expect(await client.put(parts(9), key)).toMatchObject({ kind: 'held-off', code: 'storage/damaged', retryAfterMillis: 5000 });
    const fault = await client.put(parts(9), key);
    expect(fault).toMatchObject({ kind: 'held-off', code: 'transport/fault' });
    expect(JSON.stringify(fault)).not.toContain('secret');
    expect(faults).toEqual([expect.objectContaining({ message: 'bug with a secret' })]);
    expect(server.bytesInFlight).toBe(0);
  });

  it('says unreachable when nobody listens, when the peer is silent, and when it is given up', async () => {
    const silent = createServer((socket) => void socket.resume());
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const client = new ChangeSetClient({ url: `http://127.0.0.1:${port}`, idleMillisMax: 60 });
    expect(await client.put(parts(10), key)).toMatchObject({ kind: 'unreachable', cause: { code: 'transport/timeout' } });
    expect(await client.put(parts(10), { ...key, signal: AbortSignal.abort() })).toMatchObject({ cause: { code: 'transport/cancelled' } });
    const stop = new AbortController();
    const pending = new ChangeSetClient({ url: `http://127.0.0.1:${port}` }).put(parts(10), { ...key, signal: stop.signal });
    setImmediate(() => stop.abort());
    expect(await pending).toMatchObject({ kind: 'unreachable', cause: { code: 'transport/cancelled' } });
    silent.close();
    expect(await new ChangeSetClient({ url: 'http://127.0.0.1:1' }).put(parts(10), key)).toMatchObject({
      kind: 'unreachable',
      cause: { code: 'transport/unreachable', retryable: true },
    });
    client.close();
    expect(await client.position(pairId)).toMatchObject({ kind: 'unreachable', cause: { code: 'transport/cancelled' } });
  });

  it('replaces a kept connection that the receiver has closed', async () => {
    const { port, server, client } = await start();
    expect(await client.put(parts(10), key)).toMatchObject({ kind: 'stored' });
    await server.close();
    const next = new ChangeSetServer({ handler: new MemoryReceiver(), authorize: allowEveryone });
    await next.listen({ host: '127.0.0.1', port });
    cleanUps.push(() => next.close({ graceMillisMax: 0 }));
    expect(await client.put(parts(3_000_000), key)).toMatchObject({ kind: 'stored' });
  });

  it('uses no more connections than allowed, and keeps them', async () => {
    const { client, receiver, server } = await start({ connectionsMax: 2 });
    let peak = 0;
    for (let i = 0; i < 8; i++) {
      receiver.answers.push(async () => {
        peak = Math.max(peak, server.bytesInFlight / 1000);
        return { kind: 'stored', appliedEpoch: 1, appliedSequence: 1, creditBytes: 1 };
      });
    }
    await Promise.all(Array.from({ length: 8 }, (_, i) => client.put(parts(1000), { ...key, sequence: i + 1 })));
    expect(peak).toBeLessThanOrEqual(2);
  });
});

describe('a receiver', () => {
  it('answers before the body when the budget is used up, and takes the set later', async () => {
    const limits = { bodyBytesMax: 1_000_000, budgetBytes: 2_000_000, peerBudgetBytes: 1_000_000, retryAfterMillis: 77 };
    const { client, receiver, server } = await start({ limits });
    const gate = Promise.withResolvers<StoreOutcome>();
    receiver.answers.push(() => gate.promise);
    const first = client.put(parts(800_000), key);
    await waitUntil('the first set is being stored', () => server.bytesInFlight === 800_000);
    expect(await client.put(parts(900_000), { ...key, sequence: 8 })).toMatchObject({ kind: 'held-off', code: 'transport/busy', retryAfterMillis: 77 });
    gate.resolve({ kind: 'stored', appliedEpoch: 1, appliedSequence: 1, creditBytes: 1 });
    expect(await first).toMatchObject({ kind: 'stored' });
    expect(await client.put(parts(900_000), { ...key, sequence: 8 })).toMatchObject({ kind: 'stored' });
    expect(server.bytesInFlight).toBe(0);
  });

  it('asks for authorisation before it reads a body', async () => {
    const refused: string[] = [];
    const { client, receiver } = await start({
      authorize: () => ({ kind: 'refused', code: 'tls/not-allowed', detail: 'no', hint: 'h' }),
      onRefusedPeer: ({ code }) => refused.push(code),
    });
    expect(await client.put(parts(5_000_000), key)).toMatchObject({ kind: 'refused', status: 403, code: 'tls/not-allowed' });
    expect(await client.position(pairId)).toMatchObject({ kind: 'refused', status: 403 });
    expect(receiver.requests).toEqual([]);
    expect(refused).toEqual(['tls/not-allowed', 'tls/not-allowed']);
  });

  it.each([
    ['an unknown path', putHead(3, '/v1/x'), '404'],
    ['a path upwards', putHead(3, `/v1/pairs/${pairId}/change-sets/3/../7`), '404'],
    ['another method', `DELETE /v1/pairs/${pairId}/position HTTP/1.1\r\nHost: x\r\n\r\n`, '405'],
    ['an unknown length', `PUT /v1/pairs/${pairId}/change-sets/3/7 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`, '411'],
    ['a length of 0', putHead(0), '400'],
    ['a body that is too long', putHead(41 * 1024 * 1024), '413'],
    ['an absurd length', putHead('99999999999999999999999'), '400'],
    ['a negative length', putHead('-1'), '400'],
    ['two lengths', `PUT /v1/pairs/${pairId}/change-sets/3/7 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc`, '400'],
    ['length and chunks at once', `PUT /v1/pairs/${pairId}/change-sets/3/7 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc`, '400'],
    ['no HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '400'],
    ['an endless head', `PUT / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}`, '431'],
  ])('answers %s with a clear status and serves the next one', async (_what, bytes, status) => {
    const { port, receiver, client, server } = await start();
    const { socket, received } = await rawConnection(port);
    socket.write(bytes, 'latin1');
    await waitUntil('there is an answer', () => received().includes('\r\n\r\n'));
    expect(received()).toContain(`HTTP/1.1 ${status}`);
    expect(receiver.requests).toEqual([]);
    expect(server.bytesInFlight).toBe(0);
    expect(await client.put(parts(10), key)).toMatchObject({ kind: 'stored' });
  });

  it('forgets half a body when the peer resets, and gives its memory back', async () => {
    const { port, receiver, server, client } = await start();
    const { socket } = await rawConnection(port);
    socket.write(putHead(5_000_000));
    socket.write(Buffer.alloc(2_000_000));
    await waitUntil('the body has begun', () => server.bytesInFlight === 5_000_000);
    socket.resetAndDestroy();
    await waitUntil('the memory is back', () => server.bytesInFlight === 0);
    expect(receiver.requests).toEqual([]);
    expect(await client.put(parts(10), key)).toMatchObject({ kind: 'stored' });
  });

  it('disconnects a peer that stops in the middle of a body', async () => {
    const { port, server, receiver } = await start({ limits: { stallMillisMax: 50 } });
    const { socket, received } = await rawConnection(port);
    socket.write(putHead(1000));
    socket.write(Buffer.alloc(10));
    await waitUntil('the peer is disconnected', () => received().includes('<closed>'));
    expect(server.bytesInFlight).toBe(0);
    expect(receiver.requests).toEqual([]);
  });

  it('disconnects 150 silent connections and slow heads, and serves others meanwhile', async () => {
    const { port, client } = await start({ limits: { headMillisMax: 300 } });
    const silent = await Promise.all(Array.from({ length: 150 }, () => rawConnection(port)));
    const slow = await rawConnection(port);
    slow.socket.write('PUT /v1/');
    expect(await client.put(parts(10), key)).toMatchObject({ kind: 'stored' });
    await waitUntil('all are disconnected', () => [...silent, slow].every(({ received }) => received().includes('<closed>')), 10_000);
  });

  it('gives the memory back once when the peer goes away while its set is being stored', async () => {
    const { port, server, receiver } = await start();
    const gate = Promise.withResolvers<StoreOutcome>();
    receiver.answers.push(() => gate.promise);
    const { socket } = await rawConnection(port);
    socket.write(putHead(1000));
    socket.write(Buffer.alloc(1000));
    await waitUntil('the set is being stored', () => receiver.answers.length === 0);
    expect(server.bytesInFlight).toBe(1000);
    socket.resetAndDestroy();
    gate.resolve({ kind: 'stored', appliedEpoch: 1, appliedSequence: 1, creditBytes: 1 });
    await waitUntil('the memory is back', () => server.bytesInFlight === 0);
  });

  it('closes gracefully: what is under way is finished, then the connections end', async () => {
    const { server, client, receiver } = await start();
    const gate = Promise.withResolvers<StoreOutcome>();
    receiver.answers.push(() => gate.promise);
    const put = client.put(parts(1000), key);
    await waitUntil('the set is being stored', () => receiver.answers.length === 0);
    const closed = server.close();
    gate.resolve({ kind: 'stored', appliedEpoch: 1, appliedSequence: 1, creditBytes: 1 });
    expect(await put).toMatchObject({ kind: 'stored' });
    await closed;
    expect(await client.put(parts(10), key)).toMatchObject({ kind: 'unreachable' });
  });

  it('says which address it cannot listen on', async () => {
    const { port } = await start();
    const other = new ChangeSetServer({ handler: new MemoryReceiver(), authorize: allowEveryone });
    await expect(other.listen({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'transport/listen', context: { port } });
  });
});
