// SPDX-License-Identifier: Apache-2.0
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { type PostgresService, removePostgresData, startPostgres, stopPostgres } from '../postgres/postgres-service';
import { isRunning, signalProcess } from '../process/process-identity';
import { waitUntil } from '../process/wait-until';
import { stopAtExit } from './stop-at-exit';
import { temporaryFolder } from './temporary-folder';

export interface TestPostgres {
  readonly url: string;
  /** A new empty database on the same server. */
  createDatabase(): Promise<string>;
  /** As a crash: SIGKILL of the server; its children end by themselves. */
  kill(): Promise<void>;
  /** Back on the same port, with what it had committed. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

const settings = { fsync: 'off', full_page_writes: 'off', shared_buffers: '16MB', max_connections: '50' };

/** A real PostgreSQL for one spec. */
export async function startTestPostgres(): Promise<TestPostgres> {
  const dataDir = join(temporaryFolder('postgres'), 'postgres');
  let service = await startPostgres({ dataDir, settings });
  stopAtExit(service.process);
  return {
    url: service.url,
    createDatabase: () => createDatabase(service.url),
    kill: async () => {
      signalProcess(service.process, 'SIGKILL');
      await waitUntil(() => !isRunning(service.process), { what: 'PostgreSQL to die', timeoutMillis: 10_000 });
    },
    start: async () => {
      service = await restart(dataDir);
      stopAtExit(service.process);
    },
    stop: async () => {
      await stopPostgres(dataDir);
      removePostgresData(dataDir);
      rmSync(join(dataDir, '..'), { recursive: true, force: true });
    },
  };
}

/** Children of a killed server may hold its shared memory for a moment. */
function restart(dataDir: string): Promise<PostgresService> {
  return waitUntil(() => startPostgres({ dataDir, settings }).catch(() => undefined), { what: 'PostgreSQL to start again', timeoutMillis: 20_000, intervalMillis: 200 });
}

let counter = 0;

async function createDatabase(url: string): Promise<string> {
  counter += 1;
  const name = `test_${process.pid}_${counter}`;
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  return url.replace(/\/[^/]*$/, `/${name}`);
}
