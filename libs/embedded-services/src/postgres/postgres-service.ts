// SPDX-License-Identifier: Apache-2.0
/**
 * A PostgreSQL of our own, from the binaries of the npm package. It listens on the loopback address only, with a password that is kept beside
 * the data. Works for root (the server then runs as another user) and for everybody else.
 */
import { OperationError } from '@secondsite/units';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { freePort } from '../process/free-port';
import type { ProcessIdentity } from '../process/process-identity';
import { findService, serviceLogTail, startService, stopService, writeWhole } from '../process/supervised-process';
import { waitUntil } from '../process/wait-until';
import { findPostgresBinaries, makeSharedFolder, type PostgresBinaries, sharedFolder } from './postgres-binaries';
import { isReachableByOthers, postgresUser, type SystemUser } from './postgres-user';

const run = promisify(execFile);

export interface PostgresServiceOptions {
  /** Holds password, port, log and pid file, and the cluster in `cluster` unless the server's user cannot enter it. */
  readonly dataDir: string;
  /** Name of the database that is made; default `secondsite`. */
  readonly database?: string;
  /** Further server settings, e.g. `{ fsync: 'off' }` in tests. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface PostgresService {
  /** With user and password: `postgres://secondsite:…@127.0.0.1:<port>/<database>`. */
  readonly url: string;
  readonly port: number;
  readonly process: ProcessIdentity;
}

const userName = 'secondsite';
const files = (dataDir: string) => ({ name: 'postgres', runDir: dataDir });
const settingsDefault = {
  listen_addresses: '127.0.0.1', unix_socket_directories: '', shared_buffers: '64MB', max_connections: '100', log_min_messages: 'warning',
  logging_collector: 'off', timezone: 'UTC',
};

/** Starts the server of a folder, making it first when needed, or finds it running. Takes queries when it resolves. */
export async function startPostgres(options: PostgresServiceOptions): Promise<PostgresService> {
  mkdirSync(options.dataDir, { recursive: true });
  const portFile = join(options.dataDir, 'port');
  const remembered = existsSync(portFile) ? Number(readFileSync(portFile, 'utf8')) : 0;
  if (findService(files(options.dataDir))) return waitUntilReady(options, remembered);
  const clusterDir = clusterFolder(options.dataDir);
  const user = postgresUser(clusterDir);
  const binaries = await findPostgresBinaries(user);
  await ensureCluster({ clusterDir, dataDir: options.dataDir, user, binaries });
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort(attempt === 1 ? remembered : 0);
    writeWhole(portFile, String(port));
    try {
      await startService({ ...files(options.dataDir), command: binaries.postgres, args: serverArguments(clusterDir, port, options), cwd: clusterDir, user, env: locale });
      return await waitUntilReady(options, port);
    } catch (error) {
      if (attempt === 5 || !serviceLogTail(files(options.dataDir)).includes('Address already in use')) throw error;
    }
  }
}

const locale = { LC_ALL: 'C.UTF-8', LC_MESSAGES: 'C' };

function serverArguments(clusterDir: string, port: number, options: PostgresServiceOptions): string[] {
  const settings = { ...settingsDefault, ...options.settings };
  return ['-D', clusterDir, '-p', String(port), ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

/** The cluster's folder: in the data folder, or below /var/lib/secondsite when the server's user could not enter it there. */
function clusterFolder(dataDir: string): string {
  const inside = join(resolve(dataDir), 'cluster');
  if (process.getuid?.() !== 0 || isReachableByOthers(dataDir)) return inside;
  return join(sharedFolder(), `postgres-data-${createHash('sha256').update(inside).digest('hex').slice(0, 12)}`);
}

interface ClusterOptions {
  readonly clusterDir: string;
  readonly dataDir: string;
  readonly user: SystemUser | undefined;
  readonly binaries: PostgresBinaries;
}

/** A folder without PG_VERSION is what a broken-off initdb left behind. */
async function ensureCluster({ clusterDir, dataDir, user, binaries }: ClusterOptions): Promise<void> {
  if (existsSync(join(clusterDir, 'PG_VERSION')) && existsSync(passwordFile(dataDir))) return;
  rmSync(clusterDir, { recursive: true, force: true });
  if (clusterDir.startsWith(sharedFolder())) await makeSharedFolder();
  mkdirSync(clusterDir, { mode: 0o700 });
  const password = randomBytes(24).toString('base64url');
  const handOver = join(clusterDir, '..', `.password-${process.pid}-${randomBytes(4).toString('hex')}`);
  writeFileSync(handOver, `${password}\n`, { mode: 0o600 });
  if (user) for (const path of [clusterDir, handOver]) chownSync(path, user.uid, user.gid);
  try {
    const args = ['-D', clusterDir, '-U', userName, '--auth=scram-sha-256', `--pwfile=${handOver}`, '--encoding=UTF8', '--locale=C', '--no-instructions'];
    await run(binaries.initdb, args, { cwd: clusterDir, ...(user ?? {}), env: { ...process.env, ...locale } });
  } catch (cause) {
    throw new OperationError({
      code: 'postgres/init-failed', operation: 'make the database cluster', context: { clusterDir }, retryable: false, cause,
      hint: 'initdb refused; its reason is in the cause.',
    });
  } finally {
    rmSync(handOver, { force: true });
  }
  writeWhole(passwordFile(dataDir), password);
}

const passwordFile = (dataDir: string): string => join(dataDir, 'password');

function urlOf(options: PostgresServiceOptions, port: number, database: string): string {
  return `postgres://${userName}:${readFileSync(passwordFile(options.dataDir), 'utf8')}@127.0.0.1:${port}/${database}`;
}

async function waitUntilReady(options: PostgresServiceOptions, port: number): Promise<PostgresService> {
  const database = options.database ?? 'secondsite';
  const process = await waitUntil(async () => {
    const running = findService(files(options.dataDir));
    if (!running) throw ended(options.dataDir);
    return (await ensureDatabase(urlOf(options, port, 'postgres'), database)) ? running : undefined;
  }, { what: 'PostgreSQL to take queries', timeoutMillis: 60_000 });
  return { url: urlOf(options, port, database), port, process };
}

/** False while the server starts or recovers (57P03) or does not listen yet. */
async function ensureDatabase(url: string, database: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(database)}`);
    return true;
  } catch (error) {
    if (['ECONNREFUSED', 'ECONNRESET', '57P03', '42P04', '23505'].includes((error as { code?: string }).code ?? '')) return false;
    throw error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Ends the server of a folder: open transactions are rolled back, everything committed is kept. Idempotent. */
export async function stopPostgres(dataDir: string): Promise<'not-running' | 'stopped' | 'killed'> {
  return stopService(files(dataDir), { signal: 'SIGINT', timeoutMillis: 30_000 });
}

/** Also removes a cluster that lies outside its data folder. The server must be stopped. */
export function removePostgresData(dataDir: string): void {
  rmSync(clusterFolder(dataDir), { recursive: true, force: true });
  rmSync(dataDir, { recursive: true, force: true });
}

function ended(dataDir: string): OperationError {
  return new OperationError({
    code: 'service/ended', operation: 'start PostgreSQL', context: { dataDir }, retryable: false,
    hint: `It ended before it was ready. The end of its log:\n${serviceLogTail(files(dataDir))}`,
  });
}
