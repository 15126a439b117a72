// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { setTimeout as delay } from 'node:timers/promises';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { isDatabaseUnavailable } from './database-error';
import { CreateEvents1763766000000 } from './migrations/1763766000000-create-events';
import { silentLog, type StoreLog } from './store-log';

/** Migrations of the event store itself, oldest first. */
export const eventStoreMigrations = [CreateEvents1763766000000];

type Migrations = Extract<NonNullable<DataSourceOptions['migrations']>, readonly unknown[]>;

export interface EventDatabaseOptions {
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
  readonly poolSize?: number;
  /** Further migrations, run after those of the event store. */
  readonly migrations?: Migrations;
  /** Gives up when aborted; without one it waits for the database for ever. */
  readonly signal?: AbortSignal;
  readonly log?: StoreLog;
}

const retryMillisMax = 5_000;

/** Connects, waiting for a database that is not there yet, and brings its tables up to date; several processes may do so at once. */
export async function openEventDatabase(options: EventDatabaseOptions): Promise<DataSource> {
  const log = options.log ?? silentLog;
  for (let pauseMillis = 100; ; pauseMillis = Math.min(retryMillisMax, pauseMillis * 2)) {
    try {
      return await connectAndMigrate(options, log);
    } catch (error) {
      if (!isDatabaseUnavailable(error)) throw error;
      log.warn({ err: error }, 'PostgreSQL cannot be reached; trying again');
      await delay(pauseMillis, undefined, options.signal ? { signal: options.signal } : {}).catch(() => undefined);
      if (options.signal?.aborted) throw gaveUp(error);
    }
  }
}

async function connectAndMigrate(options: EventDatabaseOptions, log: StoreLog): Promise<DataSource> {
  const dataSource = new DataSource({
    type: 'postgres', url: options.url, applicationName: options.applicationName ?? 'secondsite', poolSize: options.poolSize ?? 10,
    connectTimeoutMS: 5_000, entities: [], migrations: [...eventStoreMigrations, ...(options.migrations ?? [])], migrationsTableName: 'migrations',
    migrationsTransactionMode: 'each', logging: false, poolErrorHandler: (error: unknown) => log.warn({ err: error }, 'a database connection was lost'),
  });
  try {
    await dataSource.initialize();
    await migrate(dataSource);
    return dataSource;
  } catch (error) {
    if (dataSource.isInitialized) await dataSource.destroy();
    throw error;
  }
}

/** The lock makes a second process wait until the first has finished. */
async function migrate(dataSource: DataSource): Promise<void> {
  const runner = dataSource.createQueryRunner();
  try {
    await runner.query("select pg_advisory_lock(hashtextextended('secondsite.migrations', 0))");
    await dataSource.runMigrations();
    await runner.query("select pg_advisory_unlock(hashtextextended('secondsite.migrations', 0))");
  } finally {
    await runner.release();
  }
}

function gaveUp(cause: unknown): OperationError {
  return new OperationError({ code: 'database/unavailable', operation: 'open the database', retryable: true, cause, hint: 'Start PostgreSQL, or correct DATABASE_URL.' });
}
