// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { identityFiles } from '@secondsite/certificates';
import { restRoutes } from '@secondsite/contracts';
import { natsPidFile, waitUntil } from '@secondsite/embedded-services';
import { startTestNats, startTestPostgres, temporaryFolder, type TestNats, type TestPostgres } from '@secondsite/embedded-services/testing';
import { MessageBus } from '@secondsite/messaging';
import { type ChildProcess, spawn } from 'node:child_process';
import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectPlain } from 'node:net';
import { connect } from 'node:tls';
import { natsFiles } from './bus-access/nats-files';
import { RestClient } from './testing';

const main = join(__dirname.replace('/src', '/dist'), 'main.js');

interface Ready {
  readonly pid: number;
  readonly url: string;
  readonly metricsUrl: string;
}

/** What nats-server presents to a new client. It greets in plain text, then both change to TLS. */
async function natsCertificate(natsUrl: string): Promise<X509Certificate> {
  const plain = connectPlain({ host: '127.0.0.1', port: Number(new URL(natsUrl).port) });
  await once(plain, 'data');
  const socket = connect({ socket: plain, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const certificate = socket.getPeerX509Certificate() as X509Certificate;
  socket.on('error', () => undefined).destroy();
  return certificate;
}

/** The compiled process itself; `nx build config-server` comes first. */
describe('the process of the configuration server', () => {
  const dataDir = temporaryFolder('config-server-process');
  const { usersFile, ...files } = natsFiles(dataDir);
  let postgres: TestPostgres;
  let nats: TestNats;
  let child: ChildProcess | undefined;

  const environment = (): NodeJS.ProcessEnv => ({
    PATH: process.env.PATH, SECONDSITE_DATA_DIR: dataDir, DATABASE_URL: postgres?.url, NATS_URL: nats?.url, LOG_LEVEL: 'fatal',
    SECONDSITE_NATS_PID_FILE: nats && natsPidFile(nats.dataDir),
  });
  const start = async (more: NodeJS.ProcessEnv = {}): Promise<Ready> => {
    rmSync(join(dataDir, 'ready.json'), { force: true });
    child = spawn(process.execPath, [main], { env: { ...environment(), ...more }, stdio: ['ignore', 'inherit', 'inherit'] });
    await waitUntil(() => existsSync(join(dataDir, 'ready.json')), { what: 'ready.json', timeoutMillis: 20_000 });
    return JSON.parse(readFileSync(join(dataDir, 'ready.json'), 'utf8')) as Ready;
  };
  const init = async (more: NodeJS.ProcessEnv = {}): Promise<void> => {
    const env = { PATH: process.env.PATH, SECONDSITE_DATA_DIR: dataDir, ...more };
    const [code] = (await once(spawn(process.execPath, [main, 'init'], { env, stdio: 'ignore' }), 'exit')) as [number];
    expect(code).toBe(0);
  };
  const stop = async (signal: NodeJS.Signals): Promise<unknown[]> => {
    const ended = once(child as ChildProcess, 'exit');
    child?.kill(signal);
    return ended;
  };
  const client = (url: string): RestClient =>
    new RestClient({ url, caPem: readFileSync(files.caFile, 'utf8'), adminToken: readFileSync(join(dataDir, 'admin-token'), 'utf8').trim() });
  const readyz = async (ready: Ready): Promise<{ status: number; text: string }> => {
    const response = await fetch(`${ready.metricsUrl}/readyz`);
    return { status: response.status, text: await response.text() };
  };

  beforeAll(async () => {
    await init();
    [postgres, nats] = await Promise.all([startTestPostgres(), startTestNats({ tls: files, usersFile })]);
  }, 60_000);
  afterAll(async () => {
    child?.kill('SIGKILL');
    await Promise.all([postgres?.stop(), nats?.stop()]);
  });

  it('has made secrets that only their owner reads', () => {
    expect([join(dataDir, 'admin-token'), join(dataDir, 'authority', 'authority.pem'), files.keyFile].map((file) => statSync(file).mode & 0o777)).toEqual([0o600, 0o600, 0o600]);
  });

  it('keeps its state over kill -9 and a graceful end', async () => {
    const first = await start();
    await client(first.url).ok(restRoutes.addHost, { body: { name: 'before-the-crash' } });
    await stop('SIGKILL');
    const second = await start();
    const { hosts } = await client(second.url).ok<{ hosts: { name: string }[] }>(restRoutes.listHosts);
    expect(hosts.map((host) => host.name)).toEqual(['before-the-crash']);
    expect(await stop('SIGTERM')).toEqual([0, null]);
  });

  it('shows health, readiness with reasons, and metrics', async () => {
    const ready = await start();
    expect((await fetch(`${ready.metricsUrl}/healthz`)).status).toBe(200);
    await waitUntil(async () => (await readyz(ready)).status === 200, { what: 'readiness', timeoutMillis: 10_000 });
    const metrics = async (): Promise<string> => (await fetch(`${ready.metricsUrl}/metrics`)).text();
    await waitUntil(async () => (await metrics()).includes('secondsite_event_relay_lag_events 0'), { what: 'everything to be published', timeoutMillis: 15_000 });
    await nats.kill();
    await waitUntil(async () => (await readyz(ready)).text.includes('NATS cannot be reached'), { what: 'unreadiness', timeoutMillis: 10_000 });
    await nats.start();
    await waitUntil(async () => (await readyz(ready)).status === 200, { what: 'readiness again', timeoutMillis: 10_000 });
    await stop('SIGTERM');
  });

  it('renews its own certificate while it serves', async () => {
    const ready = await start({ SECONDSITE_CERTIFICATE_SECONDS: '6' });
    const serial = (): Promise<string> => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const socket = connect({ host: '127.0.0.1', port: Number(new URL(ready.url).port), ca: readFileSync(files.caFile) }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      }).on('error', reject);
      return promise;
    };
    const first = await serial();
    await waitUntil(async () => (await serial()) !== first, { what: 'another certificate', timeoutMillis: 15_000, intervalMillis: 200 });
    await stop('SIGTERM');
  });

  it('renews the certificate of nats-server before it ends; who is connected stays, and who connects later trusts the new one', async () => {
    const short = { SECONDSITE_CERTIFICATE_SECONDS: '12' };
    await init(short);
    const ready = await start(short);
    const observer = await MessageBus.start({
      servers: [nats.url], identity: { tenantId: 'default', role: 'config-server', componentId: 'config-server' }, tls: identityFiles(dataDir),
    });
    await observer.whenConnected(10_000);
    const first = await waitUntil(async () => {
      const { serialNumber, validTo } = await natsCertificate(nats.url);
      return Date.parse(validTo) - Date.now() < 12_000 && { serialNumber, validTo };
    }, { what: 'the short certificate in use', timeoutMillis: 10_000 });
    let interruptions = 0;
    observer.link.onDisconnected(() => (interruptions += 1));
    await waitUntil(async () => (await natsCertificate(nats.url)).serialNumber !== first.serialNumber, { what: 'another certificate', timeoutMillis: 15_000 });
    expect(Date.now()).toBeLessThan(Date.parse(first.validTo));
    await waitUntil(() => Date.now() > Date.parse(first.validTo), { what: 'the end of the first certificate', timeoutMillis: 10_000 });
    expect([observer.isConnected, interruptions]).toEqual([true, 0]);
    await nats.kill();
    await nats.start();
    await observer.whenConnected(10_000);
    await waitUntil(async () => (await readyz(ready)).status === 200, { what: 'readiness again', timeoutMillis: 10_000 });
    await observer.close();
    await stop('SIGTERM');
  });

  it('names every missing variable and ends with 1', async () => {
    const bare = spawn(process.execPath, [main], { env: { PATH: process.env.PATH }, stdio: ['ignore', 'ignore', 'pipe'] });
    const text: Buffer[] = [];
    bare.stderr.on('data', (chunk: Buffer) => text.push(chunk));
    const [code] = (await once(bare, 'close')) as [number];
    expect([code, Buffer.concat(text).toString()]).toEqual([1, expect.stringMatching(/SECONDSITE_DATA_DIR.*DATABASE_URL.*NATS_URL/)]);
  });
});
