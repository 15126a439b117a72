// SPDX-License-Identifier: Apache-2.0
import type { Command } from 'commander';
import { type CliContext, effectiveConfig, show } from '../cli-context';
import type { ClusterFile } from '../cluster-file';
import { guestCacheFolder } from '../config';
import { runDemo } from '../demo/demo';
import { prepareAuthority } from '../local-cluster/prepare-authority';
import { isClusterRunning, startCluster } from '../local-cluster/start-cluster';
import { stopCluster } from '../local-cluster/stop-cluster';
import { table } from '../output';

function describe(cluster: ClusterFile, wasRunning: boolean): string {
  const rows = cluster.processes.map((process) => [process.name, process.pid, process.url, process.metricsUrl, process.logFile]);
  return `${wasRunning ? 'the cluster is running already' : 'the cluster is running'}\nREST ${cluster.url}\n${table(['PROCESS', 'PID', 'URL', 'METRICS', 'LOG'], rows)}`;
}

export function addClusterCommands(program: Command, context: CliContext): void {
  program
    .command('up')
    .description('start a cluster on this machine, detached; its processes are restarted when they end')
    .addHelpText('after', '\nSECONDSITE_NATS_URL and SECONDSITE_DATABASE_URL name existing services to use instead of private ones.')
    .action(async (_options: object, command: Command) => {
      const config = effectiveConfig(context, command);
      const wasRunning = isClusterRunning(config);
      const cluster = await startCluster(config);
      show(context, command, { value: { ...cluster, wasRunning }, human: () => describe(cluster, wasRunning) });
    });
  program
    .command('down')
    .description('stop the cluster of this machine; its data stays')
    .action(async (_options: object, command: Command) => {
      const value = await stopCluster(effectiveConfig(context, command));
      show(context, command, { value, human: (outcomes) => table(['PROCESS', 'WAS'], Object.entries(outcomes)) });
    });
  program
    .command('authority')
    .description('make the certificate authority of the cluster and what a NATS server of your own needs of it, and say where the files are')
    .action(async (_options: object, command: Command) => {
      const value = await prepareAuthority(effectiveConfig(context, command).home);
      show(context, command, { value, human: (files) => table(['FILE', 'PATH'], Object.entries(files)) });
    });
  program
    .command('demo')
    .description('protect the disk of a virtual machine, destroy it, and bring it back from the second before')
    .action(async (_options: object, command: Command) => {
      const right = await runDemo({ config: effectiveConfig(context, command), cacheFolder: guestCacheFolder(), print: context.print });
      if (!right) process.exitCode = 1;
    });
}
