// SPDX-License-Identifier: Apache-2.0
import { natsPidFile } from '@secondsite/embedded-services';
import { startTestNats, startTestPostgres, temporaryFolder, type TestNats, type TestPostgres } from '@secondsite/embedded-services/testing';
import pino from 'pino';
import { prepareNats } from '../bus-access/nats-files';
import { readConfig, readInitConfig } from '../config';
import { type ConfigServer, startConfigServer } from '../config-server';
import { type PreparedAuthority, prepareAuthority } from '../security/prepare-authority';
import { RestClient } from './rest-client';

/** PostgreSQL, NATS with mutual TLS and rights for each component, and a configuration server, all real. */
export interface TestCluster {
  readonly postgres: TestPostgres;
  readonly nats: TestNats;
  readonly dataDir: string;
  readonly authority: PreparedAuthority;
  readonly server: ConfigServer;
  readonly rest: RestClient;
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export async function startTestCluster(settings: Readonly<Record<string, string>> = {}): Promise<TestCluster> {
  const dataDir = temporaryFolder('config-server');
  const initEnvironment = { SECONDSITE_DATA_DIR: dataDir, ...settings };
  const config = readInitConfig(initEnvironment);
  const authority = await prepareAuthority(config);
  const { usersFile, ...tls } = await prepareNats(config, authority.authority);
  const [postgres, nats] = await Promise.all([startTestPostgres(), startTestNats({ tls, usersFile })]);
  const environment = { ...initEnvironment, DATABASE_URL: postgres.url, NATS_URL: nats.url, SECONDSITE_NATS_PID_FILE: natsPidFile(nats.dataDir) };
  const server = await startConfigServer({ config: readConfig(environment), logger: pino({ level: process.env.LOG_LEVEL ?? 'silent' }) });
  const rest = new RestClient({ url: server.url, caPem: authority.identity.caPem, adminToken: authority.adminToken });
  const stop = async (): Promise<void> => {
    await server.close();
    await Promise.all([postgres.stop(), nats.stop()]);
  };
  return { postgres, nats, dataDir, authority, server, rest, environment, stop };
}
