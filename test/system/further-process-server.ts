// SPDX-License-Identifier: Apache-2.0
/** A further process server of a cluster: a process of its own, which nobody starts again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestCluster, waitFor } from '@secondsite/cli/testing';
import type { ClusterStatus } from '@secondsite/contracts';
import { repositoryFolder } from '@secondsite/embedded-services';

const main = join(repositoryFolder(), 'apps', 'process-server', 'dist', 'main.js');

export class FurtherProcessServer {
  #process: ChildProcess | undefined;

  private constructor(readonly name: string, private readonly cluster: TestCluster, private readonly environment: NodeJS.ProcessEnv) {}

  /** Enrols it and waits until the cluster sees it. */
  static async add(cluster: TestCluster, name: string): Promise<FurtherProcessServer> {
    const { token } = await cluster.cli<{ token: string }>('enroll', 'token', '--role', 'process-server');
    const configServerUrl = (await cluster.processes()).find((one) => one.name === 'config-server')?.url;
    const dataDir = join(cluster.folder, `process-server-${name}`);
    await mkdir(dataDir);
    const server = new FurtherProcessServer(name, cluster, {
      ...process.env, SECONDSITE_DATA_DIR: dataDir, SECONDSITE_COMPONENT_ID: name, SECONDSITE_ENROLL_TOKEN: token, SECONDSITE_CONFIG_SERVER_URL: configServerUrl, LOG_LEVEL: 'error',
    });
    await server.start();
    return server;
  }

  /** On what its folder holds, at whatever address. */
  async start(): Promise<void> {
    const ready = join(this.environment['SECONDSITE_DATA_DIR'] as string, 'ready.json');
    await rm(ready, { force: true });
    this.#process = spawn(process.execPath, [main], { env: this.environment, stdio: 'ignore' });
    await waitFor(`process server ${this.name}`, 60, async () => (await stat(ready)).isFile() && (await this.#component())?.state === 'online');
  }

  /** Idempotent. */
  async end(signal: 'SIGKILL' | 'SIGTERM' = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  async #component(): Promise<ClusterStatus['components'][number] | undefined> {
    return (await this.cluster.status()).components.find(({ name }) => name === this.name);
  }
}
