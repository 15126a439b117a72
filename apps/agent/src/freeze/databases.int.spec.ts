// SPDX-License-Identifier: Apache-2.0
// The hooks of databases against real ones. MySQL or MariaDB only where it is installed.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { FreezeHook } from '@secondsite/contracts';
import { temporaryDirectory } from '@secondsite/disk-files/testing';
import { startPostgres, stopPostgres } from '@secondsite/embedded-services';
import { temporaryFolder } from '@secondsite/embedded-services/testing';
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { waitFor } from '../testing/wait-for';
import { freezerOf } from './freezer-of';

const run = promisify(execFile);

function has(...programs: string[]): boolean {
  return programs.every((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0);
}

const withPsql = has('psql') ? describe : describe.skip;
withPsql(`the hook of PostgreSQL${has('psql') ? '' : ' (skipped: no psql)'}`, () => {
  const folder = temporaryFolder('freeze-postgres');
  let hook: FreezeHook & { kind: 'postgresql' };
  let url: URL;

  beforeAll(async () => {
    chmodSync(folder, 0o777);
    const service = await startPostgres({ dataDir: join(folder, 'postgres'), settings: { unix_socket_directories: folder, fsync: 'off' } });
    url = new URL(service.url);
    writeFileSync(await ask('show hba_file'), 'local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n');
    await ask('select pg_reload_conf()');
    hook = { kind: 'postgresql', socketFolder: folder, port: service.port, user: url.username, database: url.pathname.slice(1) };
  }, 60_000);
  afterAll(async () => {
    await stopPostgres(join(folder, 'postgres'));
    rmSync(folder, { recursive: true, force: true });
  }, 30_000);

  const ask = async (sql: string) => (await run('psql', ['-wXAtq', '-c', sql, url.href])).stdout.trim();

  it('makes a checkpoint, so that everything committed before is in the data files', async () => {
    await ask('create table t as select generate_series(1, 1000)');
    const committed = await ask('select pg_current_wal_insert_lsn()');
    expect(await ask(`select redo_lsn < '${committed}' from pg_control_checkpoint()`)).toBe('t');
    const freezer = freezerOf(hook, folder);
    await freezer.freeze();
    expect(await ask(`select redo_lsn >= '${committed}' from pg_control_checkpoint()`)).toBe('t');
    await freezer.thaw();
  });

  it('fails with what psql says, without a password in it', async () => {
    const failure = await freezerOf({ ...hook, database: 'nowhere' }, folder).freeze().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'hook/failed', hint: expect.stringMatching(/psql ended with code 2: .*"nowhere"/) });
    expect(JSON.stringify(failure)).not.toContain(url.password);
  });
});

const mysqlPrograms = ['mysql', 'mariadbd', 'mariadb-install-db'];
const withMysql = has(...mysqlPrograms) ? describe : describe.skip;
withMysql(`the hook of MySQL${has(...mysqlPrograms) ? '' : ` (skipped: no ${mysqlPrograms.join(' or no ')})`}`, () => {
  let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
  let server: ChildProcess;
  let hook: FreezeHook;

  const ask = async (sql: string, millisMax = 10_000) => (await run('mysql', [`--defaults-file=${join(folder.path, 'client.cnf')}`, '-BN', '-e', sql], { timeout: millisMax })).stdout.trim();

  beforeAll(async () => {
    folder = await temporaryDirectory();
    const [data, socket] = [join(folder.path, 'data'), join(folder.path, 'sock')];
    const user = process.getuid?.() === 0 ? ['--user=root'] : [];
    await run('mariadb-install-db', ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', ...user]);
    server = spawn('mariadbd', ['--no-defaults', `--datadir=${data}`, `--socket=${socket}`, '--skip-networking', `--pid-file=${join(folder.path, 'pid')}`, ...user], { stdio: 'ignore' });
    writeFileSync(join(folder.path, 'client.cnf'), `[client]\nsocket=${socket}\nuser=root\n`, { mode: 0o600 });
    hook = { kind: 'mysql', defaultsFile: join(folder.path, 'client.cnf') };
    await waitFor('the database', () => ask('select 1').then(() => true, () => false));
    await ask('create database d; create table d.t (n int)');
  }, 60_000);
  afterAll(async () => {
    server?.kill('SIGKILL');
    await folder?.dispose();
  });

  it('lets no write through until it is thawed', async () => {
    const freezer = freezerOf(hook, folder.path);
    await freezer.freeze();
    await expect(ask('insert into d.t values (1)', 500)).rejects.toMatchObject({ killed: true });
    await freezer.thaw();
    await ask('insert into d.t values (2)');
  });

  it('fails when the server does not answer', async () => {
    writeFileSync(join(folder.path, 'wrong.cnf'), '[client]\nsocket=/nowhere\n');
    await expect(freezerOf({ kind: 'mysql', defaultsFile: join(folder.path, 'wrong.cnf') }, folder.path).freeze()).rejects.toMatchObject({ code: 'hook/failed' });
  });
});
