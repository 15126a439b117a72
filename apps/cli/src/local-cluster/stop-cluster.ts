// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { removePostgresData, stopNats, stopPostgres, stopService } from '@secondsite/embedded-services';
import type { CliConfig } from '../config';
import { serviceFolder, type ServiceName, serviceNames, supervisorName } from './cluster-layout';

export type StopOutcome = 'not-running' | 'stopped' | 'killed';

/** Stops the supervisor, then every part, the last started first. Data stays. Idempotent. */
export async function stopCluster({ home }: CliConfig): Promise<Record<string, StopOutcome>> {
  const outcomes: Record<string, StopOutcome> = {};
  if (!existsSync(home)) return outcomes;
  outcomes[supervisorName] = await stopService({ name: supervisorName, runDir: serviceFolder(home, supervisorName) });
  for (const name of [...serviceNames].reverse()) outcomes[name] = await stopPart(home, name);
  await rm(join(home, 'held'), { recursive: true, force: true });
  return outcomes;
}

/** Removes everything of a stopped cluster, also what of its database lies outside of its folder. */
export async function removeCluster({ home }: Pick<CliConfig, 'home'>): Promise<void> {
  removePostgresData(serviceFolder(home, 'postgres'));
  await rm(home, { recursive: true, force: true });
}

function stopPart(home: string, name: ServiceName): Promise<StopOutcome> {
  const runDir = serviceFolder(home, name);
  if (name === 'postgres') return stopPostgres(runDir);
  if (name === 'nats') return stopNats(runDir);
  return stopService({ name, runDir }, { timeoutMillis: 30_000 });
}
