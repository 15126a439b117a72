// SPDX-License-Identifier: Apache-2.0
import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'nats';
import { Client } from 'pg';
import {
  findNats, findService, identifyProcess, isRunning, natsConfig, natsPidFile, natsUsersText, startNats, startPostgres, startService, stopNats, stopPostgres,
  stopService, waitForReadyFile, waitUntil,
} from './index';
import { startTestPostgres, temporaryFolder } from './testing';

const folder = temporaryFolder('services');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as unknown[];
  } finally {
    await client.end();
  }
}

describe('embedded nats-server', () => {
  it('starts with JetStream, is found by a second start, and comes back on the same port with its data', async () => {
    const dataDir = join(folder, 'nats');
    const first = await startNats({ dataDir });
    expect((await startNats({ dataDir })).process).toEqual(first.process);
    const connection = await connect({ servers: first.url });
    await (await connection.jetstreamManager()).streams.add({ name: 'KEPT', subjects: ['kept'] });
    await connection.jetstream().publish('kept', 'one');
    await connection.close();
    expect(await stopNats(dataDir)).toBe('stopped');
    expect(isRunning(first.process)).toBe(false);

    const second = await startNats({ dataDir });
    expect(second.url).toBe(first.url);
    const again = await connect({ servers: second.url });
    expect((await (await again.jetstreamManager()).streams.info('KEPT')).state.messages).toBe(1);
    await again.close();
    expect(await stopNats(dataDir)).toBe('stopped');
    expect(await stopNats(dataDir)).toBe('not-running');
  });

  it('asks for certificates when it is given some, and maps them to users when there are users', () => {
    const tls = { caFile: '/x/ca.pem', certFile: '/x/cert.pem', keyFile: '/x/key.pem' };
    const shared = { configFile: '/c/nats/nats.conf', host: '127.0.0.1', port: 4222, serverName: 'a', storeDir: '/s', portsDir: '/p', pidFile: '/p/pid', tls };
    expect(natsConfig(shared)).toContain(' verify: true');
    const mapped = natsConfig({ ...shared, usersFile: '/c/server/users.conf' });
    expect(mapped).toContain('verify_and_map: true');
    expect(mapped).toContain('include "../server/users.conf"');
  });

  it('writes the same text for the same users, and never an empty list, by which nats-server would allow everything', () => {
    const agent = { user: 'CN=a,OU=agent,O=t1', publish: ['ss.t1.>'], subscribe: ['_INBOX.>'] };
    const person = { user: 'CN=o,OU=operator,O=t1', publish: [], subscribe: [] };
    expect(natsUsersText([person, agent])).toBe(natsUsersText([agent, person]));
    expect(natsUsersText([agent])).toContain('publish: ["ss.t1.>"]');
    expect(natsUsersText([person])).toContain('publish: { deny: ">" }, subscribe: { deny: ">" }');
    expect(() => natsUsersText([])).toThrow('empty list');
  });

  it('gives a running server the list that it was started without', async () => {
    const dataDir = join(folder, 'nats-users');
    const usersFile = join(folder, 'users.conf');
    const { url, process } = await startNats({ dataDir });
    writeFileSync(usersFile, natsUsersText([{ user: 'CN=a', publish: ['a'], subscribe: ['a'] }]));
    expect((await startNats({ dataDir, usersFile })).process).toEqual(process);
    expect(findNats(natsPidFile(dataDir))).toEqual(process);
    const isRefused = (): Promise<boolean> => connect({ servers: url, reconnect: false }).then((connection) => connection.close().then(() => false), () => true);
    await waitUntil(isRefused, { what: 'somebody who is in no list to be refused', timeoutMillis: 5_000 });
    await stopNats(dataDir);
    expect(findNats(natsPidFile(dataDir))).toBeUndefined();
  });

  it('takes no other process for the server that wrote a pid file', () => {
    const pidFile = join(folder, 'stale.pid');
    writeFileSync(pidFile, String(process.pid));
    expect(findNats(pidFile)).toBeUndefined();
  });
});

describe('embedded PostgreSQL', () => {
  it('starts, keeps what was committed over a stop and a start, and never runs as root', async () => {
    const dataDir = join(folder, 'postgres');
    const first = await startPostgres({ dataDir });
    await query(first.url, 'CREATE TABLE kept (a int)');
    await query(first.url, 'INSERT INTO kept VALUES (1)');
    expect(readFileSync(`/proc/${first.process.pid}/status`, 'utf8')).not.toMatch(/^Uid:\t0/m);
    expect(await stopPostgres(dataDir)).toBe('stopped');

    const second = await startPostgres({ dataDir });
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'SELECT a FROM kept')).toEqual([{ a: 1 }]);
    expect(await stopPostgres(dataDir)).toBe('stopped');
  });

  it('lets nobody in without the password', async () => {
    const dataDir = join(folder, 'postgres');
    const { url } = await startPostgres({ dataDir });
    await expect(query(url.replace(/:[^:@]+@/, ':wrong@'), 'SELECT 1')).rejects.toThrow(/password/);
    await stopPostgres(dataDir);
  });

  it('comes back after a crash', async () => {
    const postgres = await startTestPostgres();
    await query(postgres.url, 'CREATE TABLE kept (a int)');
    await postgres.kill();
    await postgres.start();
    expect(await query(postgres.url, 'SELECT count(*)::int AS n FROM kept')).toEqual([{ n: 0 }]);
    await postgres.stop();
  });
});

describe('supervised process', () => {
  const files = { name: 'sleeper', runDir: join(folder, 'run') };
  const readyFile = join(folder, 'run', 'ready.json');
  const script = (body: string): string[] => ['-e', `require('fs').writeFileSync(${JSON.stringify(readyFile)}, JSON.stringify({ pid: process.pid })); ${body}`];

  it('is started once, found again, and asked to end', async () => {
    const started = await startService({ ...files, command: process.execPath, args: script('setInterval(() => {}, 1000)') });
    expect(await waitForReadyFile({ ...files, readyFile })).toEqual({ pid: started.pid });
    expect(await startService({ ...files, command: process.execPath })).toEqual(started);
    expect(await stopService(files)).toBe('stopped');
    expect(findService(files)).toBeUndefined();
  });

  it('is killed when it does not end in time', async () => {
    await startService({ ...files, command: process.execPath, args: script("process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)") });
    await waitForReadyFile({ ...files, readyFile });
    expect(await stopService(files, { timeoutMillis: 200 })).toBe('killed');
  });

  it('never takes a stranger with the same number for its own', async () => {
    const own = identifyProcess(process.pid);
    writeFileSync(join(files.runDir, 'sleeper.pid.json'), JSON.stringify({ pid: own?.pid, startedAt: 'another time' }));
    expect(findService(files)).toBeUndefined();
    expect(await stopService(files)).toBe('not-running');
    expect(existsSync(join(files.runDir, 'sleeper.pid.json'))).toBe(false);
  });

  it('says why it ended before it was ready', async () => {
    rmSync(readyFile, { force: true });
    await startService({ ...files, command: process.execPath, args: ['-e', "console.error('no such disk'); process.exit(3)"] });
    await expect(waitForReadyFile({ ...files, readyFile })).rejects.toMatchObject({ code: 'service/ended', hint: expect.stringContaining('no such disk') });
  });
});
