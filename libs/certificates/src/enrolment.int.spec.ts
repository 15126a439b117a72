// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { Agent, createServer, request, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import { enroll, ensureIdentity } from './enroll';
import { type ComponentIdentity, readIdentity } from './identity-folder';
import { IdentityRotator, renewIdentity } from './identity-rotator';
import { createTestAuthority, EnrolmentServer, issueTestIdentity } from './testing';
import { clientTlsOptions, secureContextOptions, tlsOptions, verifiedPeer } from './tls-options';

let dataDir: string;
let server: EnrolmentServer;
const cleanUps: (() => Promise<void> | void)[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'enrolment-'));
  server = await EnrolmentServer.start(await createTestAuthority());
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  await server.close();
  await rm(dataDir, { recursive: true });
});

const enrolHere = (token: string, more: { configServerUrl?: string; dataDir?: string } = {}) =>
  enroll({ token, configServerUrl: server.url, dataDir, name: 'web', dnsNames: ['web.example'], ...more });

describe('enrolling', () => {
  it('exchanges a token for an identity that is kept on disk', async () => {
    const identity = await enrolHere(server.issueToken({ role: 'process-server', tenantId: 'acme' }));
    expect(identity).toMatchObject({ componentId: 'web-1', role: 'process-server', tenantId: 'acme', natsUrls: ['tls://localhost:4222'] });
    expect(await readIdentity(dataDir)).toEqual(identity);
    expect(await readdir(join(dataDir, 'identity'))).toEqual(['ca.pem', 'cert.pem', 'component.json', 'key.pem']);
  });

  it.each(['token-unknown', 'token-used', 'token-expired'])('is refused with a %s', async (reason) => {
    const token = server.issueToken(reason === 'token-expired' ? { expiresAtMillis: Date.now() - 1 } : {});
    if (reason === 'token-used') await enrolHere(token, { dataDir: join(dataDir, 'other') });
    const shown = reason === 'token-unknown' ? token.replace(/^ss1\.../, 'ss1.AA') : token;
    await expect(enrolHere(shown)).rejects.toMatchObject({ code: `enrolment/${reason}`, retryable: false, hint: expect.stringContaining('token') });
    expect(await readIdentity(dataDir)).toBeUndefined();
  });

  it('never puts the token into an error', async () => {
    const token = server.issueToken({ expiresAtMillis: 1 });
    const error = await enrolHere(token).catch((caught: unknown) => caught);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(token.split('.')[1]);
  });

  it('shows the token to no server but the one it names', async () => {
    const impostor = await EnrolmentServer.start(await createTestAuthority());
    cleanUps.push(() => impostor.close());
    const seen: unknown[] = [];
    impostor.tokens.find = async (hash) => void seen.push(hash);
    await expect(enrolHere(server.issueToken(), { configServerUrl: impostor.url })).rejects.toMatchObject({ code: 'tls/foreign-certificate' });
    expect(seen).toEqual([]);
  });

  it('does not take another component of ours for the configuration server', async () => {
    const agent = createServer({ ...tlsOptions(await issueTestIdentity(server.authority)), rejectUnauthorized: false });
    const seen: unknown[] = [];
    agent.on('request', () => seen.push('request'));
    const url = await listen(agent);
    await expect(enrolHere(server.issueToken(), { configServerUrl: url })).rejects.toMatchObject({ code: 'tls/foreign-certificate' });
    expect(seen).toEqual([]);
  });

  it('goes on after a lost answer with the same token, key and component', async () => {
    const token = server.issueToken();
    server.answersToLose = 1;
    await expect(enrolHere(token)).rejects.toMatchObject({ code: 'config-server/unreachable', retryable: true });
    expect(await enrolHere(token)).toMatchObject({ componentId: 'web-1' });
    await expect(enrolHere(token, { dataDir: join(dataDir, 'thief') })).rejects.toMatchObject({ code: 'enrolment/token-used' });
  });

  it('gives a token to only one of two that come at once', async () => {
    const token = server.issueToken();
    const both = await Promise.allSettled(['a', 'b'].map((name) => enrolHere(token, { dataDir: join(dataDir, name) })));
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'enrolment/token-used' } });
  });

  it('is tried again while the server is away, and not done twice', async () => {
    server.answersToLose = 2;
    const failures: string[] = [];
    const enrolment = { token: server.issueToken(), configServerUrl: server.url, name: 'web', dnsNames: [] };
    const identity = await ensureIdentity({ dataDir, enrolment, onRetry: ({ code }) => failures.push(code) });
    expect(failures).toEqual(['config-server/unreachable', 'config-server/unreachable']);
    expect(await ensureIdentity({ dataDir, enrolment: undefined })).toEqual(identity);
    await expect(ensureIdentity({ dataDir: join(dataDir, 'x'), enrolment: undefined })).rejects.toMatchObject({ code: 'enrolment/missing' });
  });

  it('needs https unless the development switch is on', async () => {
    await expect(enrolHere(server.issueToken(), { configServerUrl: 'http://127.0.0.1:1' })).rejects.toMatchObject({ code: 'enrolment/plain-http' });
  });
});

describe('mutual TLS', () => {
  it('tells each side who the other is', async () => {
    const target = await issueTestIdentity(server.authority, { role: 'master-target' });
    const https = createServer(tlsOptions(target), (incoming, response) => response.end(JSON.stringify(verifiedPeer(incoming.socket))));
    const url = await listen(https);
    const sender = await issueTestIdentity(server.authority, { role: 'process-server', componentId: 'ps-7' });
    const answer = await get(url, clientTlsOptions(sender, { serverRoles: ['master-target'], tenantId: 'tenant-1' }));
    expect(JSON.parse(answer)).toEqual({ tenantId: 'tenant-1', role: 'process-server', componentId: 'ps-7' });
  });

  it('refuses a foreign, an expired and a missing client certificate', async () => {
    const refused: unknown[] = [];
    const https = createServer(tlsOptions(await issueTestIdentity(server.authority)), (_, response) => response.end('in'));
    https.on('tlsClientError', (error: Error & { code?: string }, socket: TLSSocket) => refused.push(socket.authorizationError ?? error.code));
    const url = await listen(https);
    const foreign = await issueTestIdentity(await createTestAuthority());
    const expired = await issueTestIdentity(server.authority, { lifetimeSeconds: -1 });
    const trusting = { ca: server.authority.certificatePem };
    for (const identity of [foreign, expired]) {
      await expect(get(url, { ...secureContextOptions(identity), ...trusting })).rejects.toThrow();
    }
    await expect(get(url, trusting)).rejects.toThrow();
    expect(refused).toEqual([expect.stringMatching(/SELF_SIGNED|UNABLE_TO/), 'CERT_HAS_EXPIRED', 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE']);
  });

  it('refuses a foreign, an expired and a wrong server', async () => {
    const client = await issueTestIdentity(server.authority);
    const wanted = clientTlsOptions(client, { serverRoles: ['process-server'], tenantId: 'tenant-1' });
    const cases: [ComponentIdentity, string][] = [
      [await issueTestIdentity(await createTestAuthority(), { role: 'process-server' }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN'],
      [await issueTestIdentity(server.authority, { role: 'process-server', lifetimeSeconds: -1 }), 'CERT_HAS_EXPIRED'],
      [await issueTestIdentity(server.authority, { role: 'agent' }), 'tls/foreign-certificate'],
      [await issueTestIdentity(server.authority, { role: 'process-server', tenantId: 'tenant-2' }), 'tls/foreign-certificate'],
    ];
    for (const [identity, code] of cases) {
      const https = createServer({ ...secureContextOptions(identity) }, (_, response) => response.end('in'));
      await expect(get(await listen(https), wanted)).rejects.toMatchObject({ code: expect.stringMatching(code) });
    }
  });

  it('speaks TLS 1.3 only, AES-128-GCM first', async () => {
    const identity = await issueTestIdentity(server.authority);
    const https = createServer(tlsOptions(identity));
    const port = Number(new URL(await listen(https)).port);
    const socket = connect({ ...tlsOptions(identity), port, host: '127.0.0.1' });
    cleanUps.push(() => void socket.destroy());
    await once(socket, 'secureConnect');
    expect(socket.getProtocol()).toBe('TLSv1.3');
    expect(socket.getCipher().standardName).toBe('TLS_AES_128_GCM_SHA256');
    const old = connect({ ...tlsOptions(identity), port, host: '127.0.0.1', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'DEFAULT' });
    await expect(once(old, 'secureConnect')).rejects.toThrow();
  });
});

describe('rotation', () => {
  it('renews before the end, with a new key, while a server and its kept connections run', async () => {
    const authority = await createTestAuthority({ lifetimeSeconds: 2 });
    const shortServer = await EnrolmentServer.start(authority);
    cleanUps.push(() => shortServer.close());
    const identity = await enroll({ token: shortServer.issueToken(), configServerUrl: shortServer.url, dataDir, name: 'web', dnsNames: [] });
    const https = createServer(tlsOptions(identity), (_, response) => response.end('in'));
    const url = await listen(https);
    const client = await issueTestIdentity(authority, { lifetimeSeconds: 60 });
    const trust = clientTlsOptions(client, { serverRoles: ['agent'] });
    const kept = new Agent({ ...trust, keepAlive: true, maxSockets: 1 });
    cleanUps.push(() => kept.destroy());
    const first = await getWith(kept, url);
    const rotator = new IdentityRotator({ dataDir, identity, dnsNames: [], onFailure: (error) => expect(error).toBeUndefined() });
    const rotations: ComponentIdentity[] = [];
    const twice = new Promise<void>((resolve) => {
      rotator.onRotated((renewed) => {
        https.setSecureContext(secureContextOptions(renewed));
        if (rotations.push(renewed) === 2) resolve();
      });
    });
    rotator.start();
    await twice;
    await rotator.stop();
    expect(new Set([identity, ...rotations].map(({ keyPem }) => keyPem)).size).toBe(3);
    expect(await readIdentity(dataDir)).toEqual(rotator.current);
    const still = await getWith(kept, url);
    expect(still.socket).toBe(first.socket);
    // By now the first certificate has expired or is about to; new connections get the newest one.
    const fresh = await getWith(new Agent(trust), url);
    expect(fresh.certificate).toContain(rotations[1]?.certificatePem.split('\n')[2]);
  }, 15_000);

  it('changes nothing when it fails, tries again, and then works', async () => {
    const identity = await enrolHere(server.issueToken());
    const failures: string[] = [];
    let nowMillis = Date.now();
    const renewed = Promise.withResolvers<void>();
    const rotator = new IdentityRotator({
      dataDir,
      identity,
      dnsNames: [],
      nowMillis: () => nowMillis,
      retryMillisMin: 5,
      onFailure: ({ code }) => failures.push(code),
    });
    server.answersToLose = 3;
    nowMillis += 21 * 86_400_000;
    rotator.onRotated(() => {
      nowMillis = Date.now();
      renewed.resolve();
    });
    rotator.start();
    await renewed.promise;
    await rotator.stop();
    expect(failures).toEqual(Array.from({ length: 3 }, () => 'config-server/unreachable'));
    expect(rotator.current.componentId).toBe(identity.componentId);
    expect(rotator.current.keyPem).not.toBe(identity.keyPem);
  });

  it('is refused to a foreign and to an expired certificate', async () => {
    const configServerUrl = server.url;
    const foreign = { ...(await issueTestIdentity(await createTestAuthority(), { configServerUrl })), caPem: server.authority.certificatePem };
    await expect(renewIdentity(foreign, [])).rejects.toMatchObject({ code: 'tls/foreign-certificate' });
    const expired = await issueTestIdentity(server.authority, { configServerUrl, lifetimeSeconds: -1 });
    await expect(renewIdentity(expired, [])).rejects.toMatchObject({ code: 'tls/foreign-certificate' });
  });
});

async function listen(https: Server): Promise<string> {
  https.listen(0, '127.0.0.1');
  await once(https, 'listening');
  cleanUps.push(async () => {
    https.close();
    https.closeAllConnections();
  });
  return `https://127.0.0.1:${(https.address() as AddressInfo).port}`;
}

async function get(url: string, tls: ConnectionOptions): Promise<string> {
  return (await getWith(new Agent(tls), url)).text;
}

async function getWith(agent: Agent, url: string): Promise<{ text: string; socket: Socket; certificate: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent, timeout: 5000 }, (response) => {
      const socket = response.socket as TLSSocket;
      const certificate = socket.getPeerX509Certificate()?.toString() ?? '';
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.once('end', () => resolve({ text, socket, certificate }));
    });
    outgoing.once('error', reject).end();
  });
}
