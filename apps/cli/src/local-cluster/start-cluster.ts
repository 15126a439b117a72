// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { findService, startService, waitForReadyFile } from '@secondsite/embedded-services';
import { OperationError } from '@secondsite/units';
import { type ClusterFile, readClusterFile } from '../cluster-file';
import type { CliConfig } from '../config';
import { serviceFolder, supervisorName } from './cluster-layout';

const startSecondsMax = 120;

/** Whether the supervisor of this home runs; it keeps all other parts running. */
export function isClusterRunning({ home }: CliConfig): boolean {
  return findService({ name: supervisorName, runDir: serviceFolder(home, supervisorName) }) !== undefined;
}

/** Starts the cluster of this home, detached, or finds it running; resolves when every part is ready. */
export async function startCluster(config: CliConfig): Promise<ClusterFile> {
  const files = { name: supervisorName, runDir: serviceFolder(config.home, supervisorName) };
  await startService({
    ...files, command: process.execPath, args: ['--enable-source-maps', join(__dirname, 'supervisor-main.js')],
    env: { SECONDSITE_HOME: config.home, SECONDSITE_NATS_URL: config.natsUrl, SECONDSITE_DATABASE_URL: config.databaseUrl },
  });
  await waitForReadyFile({ ...files, readyFile: join(files.runDir, 'ready.json'), timeoutMillis: startSecondsMax * 1000 });
  const cluster = await readClusterFile(config.home);
  if (cluster) return cluster;
  throw new OperationError({ code: 'cluster/no-file', operation: 'start the cluster', retryable: true, hint: 'The supervisor is ready but left no cluster.json; look at its log.' });
}
