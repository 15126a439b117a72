// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { restRoutes } from '@secondsite/contracts';
import { natsPidFile, waitUntil } from '@secondsite/embedded-services';
import { startTestNats, startTestPostgres, temporaryFolder, type TestNats, type TestPostgres } from '@secondsite/embedded-services/testing';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { natsFiles } from './bus-access/nats-files';
import { RestClient } from './testing';

const main = join(__dirname.replace('/src', '/dist'), 'main.js');

interface Ready {
  readonly pid: number;
  readonly url: string;
  readonly metricsUrl: string;
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
    const [code] = (await once(spawn(process.execPath, [main, 'init'], { env: { PATH: process.env.PATH, SECONDSITE_DATA_DIR: dataDir }, stdio: 'ignore' }), 'exit')) as [number];
    expect(code).toBe(0);
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

  it('names every missing variable and ends with 1', async () => {
    const bare = spawn(process.execPath, [main], { env: { PATH: process.env.PATH }, stdio: ['ignore', 'ignore', 'pipe'] });
    const text: Buffer[] = [];
    bare.stderr.on('data', (chunk: Buffer) => text.push(chunk));
    const [code] = (await once(bare, 'close')) as [number];
    expect([code, Buffer.concat(text).toString()]).toEqual([1, expect.stringMatching(/SECONDSITE_DATA_DIR.*DATABASE_URL.*NATS_URL/)]);
  });
});
