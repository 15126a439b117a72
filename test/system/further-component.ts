// SPDX-License-Identifier: Apache-2.0
/** A further process server or master target of a cluster: a process of its own, which nobody starts again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestCluster, waitFor } from '@secondsite/cli/testing';
import type { ClusterStatus } from '@secondsite/contracts';
import { repositoryFolder } from '@secondsite/embedded-services';

type Role = 'process-server' | 'master-target';

export class FurtherComponent {
  #process: ChildProcess | undefined;

  private constructor(readonly role: Role, readonly name: string, private readonly cluster: TestCluster, private readonly environment: NodeJS.ProcessEnv) {}

  /** Enrols it and waits until the cluster sees it. */
  static async add(cluster: TestCluster, role: Role, name: string): Promise<FurtherComponent> {
    const { token } = await cluster.cli<{ token: string }>('enroll', 'token', '--role', role);
    const configServerUrl = (await cluster.processes()).find((one) => one.name === 'config-server')?.url;
    const dataDir = join(cluster.folder, name);
    await mkdir(dataDir);
    const component = new FurtherComponent(role, name, cluster, {
      ...process.env, SECONDSITE_DATA_DIR: dataDir, SECONDSITE_COMPONENT_ID: name, SECONDSITE_ENROLL_TOKEN: token, SECONDSITE_CONFIG_SERVER_URL: configServerUrl, LOG_LEVEL: 'error',
    });
    await component.start();
    return component;
  }

  get dataDir(): string {
    return this.environment['SECONDSITE_DATA_DIR'] as string;
  }

  /** On what its folder holds, at whatever address. */
  async start(): Promise<void> {
    const ready = join(this.dataDir, 'ready.json');
    await rm(ready, { force: true });
    const main = join(repositoryFolder(), 'apps', this.role, 'dist', 'main.js');
    this.#process = spawn(process.execPath, [main], { env: this.environment, stdio: 'ignore' });
    await waitFor(`${this.role} ${this.name}`, 60, async () => (await stat(ready)).isFile() && (await this.seen())?.state === 'online');
  }

  /** Idempotent. */
  async end(signal: 'SIGKILL' | 'SIGTERM' = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  /** As the configuration server sees it. */
  async seen(): Promise<ClusterStatus['components'][number] | undefined> {
    return (await this.cluster.status()).components.find(({ name }) => name === this.name);
  }
}
