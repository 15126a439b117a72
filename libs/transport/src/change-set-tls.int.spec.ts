// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type CertificateAuthority, clientTlsOptions, type ComponentIdentity, secureContextOptions, tlsOptions } from '@secondsite/certificates';
import { createTestAuthority, issueTestIdentity } from '@secondsite/certificates/testing';
import { connect as connectPlain } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { allowRoles } from './authorize';
import { ChangeSetClient } from './change-set-client';
import { ChangeSetServer, type RefusedPeer } from './change-set-server';
import { MemoryReceiver } from './testing';
import { waitUntil } from './testing/wait-until';

const pairId = '0b8f2f0e-5a3c-4a57-9f6e-0123456789ab';
const key = { pairId, epoch: 1, sequence: 1 };
const cleanUps: (() => Promise<void> | void)[] = [];
let authority: CertificateAuthority;
let receiverIdentity: ComponentIdentity;

beforeAll(async () => {
  authority = await createTestAuthority();
  receiverIdentity = await issueTestIdentity(authority, { role: 'process-server' });
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function start() {
  const receiver = new MemoryReceiver();
  const refused: RefusedPeer[] = [];
  const server = new ChangeSetServer({
    handler: receiver,
    tls: tlsOptions(receiverIdentity),
    authorize: allowRoles({ tenantId: 'tenant-1', roles: ['agent'] }),
    onRefusedPeer: (peer) => refused.push(peer),
    limits: { headMillisMax: 1000 },
  });
  const { url, port } = await server.listen({ host: '127.0.0.1', port: 0 });
  cleanUps.push(() => server.close({ graceMillisMax: 0 }));
  return { receiver, server, refused, port, url, connect: (tls: ConnectionOptions) => connectTo(url, tls) };
}

function connectTo(url: string, tls: ConnectionOptions): ChangeSetClient {
  const client = new ChangeSetClient({ url, tls });
  cleanUps.push(() => client.close());
  return client;
}

const wanted = { serverRoles: ['process-server'], tenantId: 'tenant-1' } as const;
const body = [new Uint8Array(256).fill(1), new Uint8Array(new SharedArrayBuffer(3_000_000)).fill(2)];

describe('the data plane with mutual TLS', () => {
  it('delivers bodies byte for byte and tells the handler who sent them', async () => {
    const { receiver, connect } = await start();
    const client = connect(clientTlsOptions(await issueTestIdentity(authority), wanted));
    expect(await client.put(body, key)).toMatchObject({ kind: 'stored' });
    expect(receiver.requests[0]?.peer).toEqual({ tenantId: 'tenant-1', role: 'agent', componentId: 'agent-1' });
    expect(Buffer.from(receiver.requests[0]?.body ?? []).equals(Buffer.concat(body))).toBe(true);
  });

  it.each([
    ['another role', { role: 'master-target' }],
    ['another tenant', { tenantId: 'tenant-2' }],
  ] as const)('refuses a sender of %s for good, and reports it', async (_what, component) => {
    const { receiver, connect, refused } = await start();
    const client = connect(clientTlsOptions(await issueTestIdentity(authority, component), wanted));
    expect(await client.put(body, key)).toMatchObject({ kind: 'refused', status: 403, code: 'tls/not-allowed' });
    expect(await client.position(pairId)).toMatchObject({ kind: 'refused', code: 'tls/not-allowed' });
    expect(receiver.requests).toEqual([]);
    expect(refused[0]).toMatchObject({ code: 'tls/not-allowed', remoteAddress: '127.0.0.1' });
  });

  it('lets nobody in with a foreign, an expired or no certificate, and reports why', async () => {
    const { receiver, connect, refused } = await start();
    const foreign = await issueTestIdentity(await createTestAuthority());
    const expired = await issueTestIdentity(authority, { lifetimeSeconds: -1 });
    const ca = authority.certificatePem;
    for (const tls of [{ ...secureContextOptions(foreign), ca }, { ...secureContextOptions(expired), ca }, { ca }]) {
      expect(await connect(tls).put(body, key)).toMatchObject({ kind: 'unreachable' });
    }
    await waitUntil('all were reported', () => refused.length >= 3);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['tls/foreign-certificate']));
    expect(refused.map(({ detail }) => detail).join()).toMatch(/CERT_HAS_EXPIRED/);
    expect(receiver.requests).toEqual([]);
  });

  it('sends nothing to a receiver of a foreign authority or of another role', async () => {
    const { receiver, url } = await start();
    const stranger = await issueTestIdentity(await createTestAuthority());
    const foreign = await connectTo(url, clientTlsOptions(stranger, wanted)).put(body, key);
    expect(foreign).toMatchObject({ kind: 'unreachable', cause: { code: 'tls/foreign-certificate' } });
    const agent = await issueTestIdentity(authority);
    const wrongRole = await connectTo(url, clientTlsOptions(agent, { serverRoles: ['master-target'] })).put(body, key);
    expect(wrongRole).toMatchObject({ kind: 'unreachable', cause: { code: 'tls/foreign-certificate' } });
    expect(receiver.requests).toEqual([]);
  });

  it('takes no more from a kept connection once its certificate has expired, and goes on with a renewed one', async () => {
    const { connect, receiver } = await start();
    const short = await issueTestIdentity(authority, { lifetimeSeconds: 3 });
    const client = connect(clientTlsOptions(short, wanted));
    expect(await client.put(body, key)).toMatchObject({ kind: 'stored' });
    let outcome = await client.put(body, key);
    for (const end = Date.now() + 15_000; outcome.kind === 'stored' && Date.now() < end; ) outcome = await client.put(body, key);
    expect(outcome).toMatchObject({ kind: 'held-off', code: 'tls/certificate-expired' });
    const before = receiver.requests.length;
    client.setTls(clientTlsOptions(await issueTestIdentity(authority), wanted));
    expect(await client.put(body, { ...key, sequence: 2 })).toMatchObject({ kind: 'stored' });
    expect(receiver.requests).toHaveLength(before + 1);
  });

  it('takes over a renewed certificate while it runs', async () => {
    const { connect, server } = await start();
    const client = connect(clientTlsOptions(await issueTestIdentity(authority), wanted));
    expect(await client.put(body, key)).toMatchObject({ kind: 'stored' });
    server.setSecureContext(secureContextOptions(await issueTestIdentity(authority, { role: 'process-server', tenantId: 'tenant-9' })));
    expect(await client.put(body, key)).toMatchObject({ kind: 'stored' });
    client.setTls(clientTlsOptions(await issueTestIdentity(authority), wanted));
    expect(await client.put(body, key)).toMatchObject({ kind: 'unreachable', cause: { code: 'tls/foreign-certificate' } });
  });

  it('disconnects 150 peers that never finish the handshake, and serves others meanwhile', async () => {
    const { connect, port } = await start();
    let closed = 0;
    for (let i = 0; i < 150; i++) {
      const socket = connectPlain(port, '127.0.0.1').on('close', () => closed++);
      socket.on('error', () => undefined).resume();
      if (i % 2 === 0) socket.write(Buffer.from('160301', 'hex'));
      cleanUps.push(() => void socket.destroy());
    }
    const client = connect(clientTlsOptions(await issueTestIdentity(authority), wanted));
    expect(await client.put(body, key)).toMatchObject({ kind: 'stored' });
    await waitUntil('all are disconnected', () => closed === 150);
  });
});
