// SPDX-License-Identifier: Apache-2.0
/** A whole local cluster of real processes in its own folder, driven as users drive it: by the command line. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type PairStatus, type PlanStatus, restRoutes } from '@secondsite/contracts';
import { ApiClient } from '../api-client';
import { findEndpoint } from '../cluster-file';
import { readConfig } from '../config';

const cliFile = join(__dirname, '..', '..', 'dist', 'main.js');

interface ClusterProcess {
  readonly name: string;
  readonly pid: number;
  readonly url?: string;
  readonly metricsUrl?: string;
}

export class TestCluster {
  private constructor(readonly folder: string, private readonly environment: NodeJS.ProcessEnv) {}

  get #home(): string {
    return join(this.folder, 'cluster');
  }

  static async start(environment: NodeJS.ProcessEnv = {}): Promise<TestCluster> {
    const cluster = new TestCluster(await mkdtemp(join(tmpdir(), 'secondsite-system-')), environment);
    await cluster.cli('up');
    return cluster;
  }

  /** Runs a command with `--json` and returns what it printed; rejects with its error output when it ends with a code other than 0. */
  cli<Answer>(...args: string[]): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options = { env: { ...process.env, ...this.environment, SECONDSITE_HOME: this.#home }, maxBuffer: 64 << 20 };
      execFile(process.execPath, [cliFile, ...args, '--json'], options, (error, stdout, stderr) => {
        if (error) reject(new Error(`secondsite ${args.join(' ')}: ${stderr || stdout || error.message}`));
        else resolve((stdout.trim() === '' ? undefined : JSON.parse(stdout)) as Answer);
      });
    });
  }

  async processes(): Promise<ClusterProcess[]> {
    return (JSON.parse(await readFile(join(this.#home, 'cluster.json'), 'utf8')) as { processes: ClusterProcess[] }).processes;
  }

  /** kill -9; resolves when the cluster has started it again under another pid. */
  async killAndAwaitRestart(name: string): Promise<void> {
    const before = await this.#find(name);
    process.kill(before.pid, 'SIGKILL');
    await waitFor(`${name} to be started again`, 60, async () => (await this.#find(name)).pid !== before.pid);
  }

  /** For what is asked many times; acts go through the command line. */
  async planStatus(plan: string): Promise<PlanStatus> {
    const client = new ApiClient(await findEndpoint(readConfig({ SECONDSITE_HOME: this.#home })));
    return client.call(restRoutes.getPlanStatus, { path: { plan } });
  }

  /** Waits until every pair of the plan is in differential sync and green, and what `until` asks of each holds. */
  async whenInSync(plan: string, { secondsMax = 120, until = () => true }: { secondsMax?: number; until?: (pair: PairStatus) => boolean } = {}): Promise<void> {
    await waitFor(`plan ${plan} to be in sync`, secondsMax, async () => {
      const { pairs } = await this.planStatus(plan);
      return pairs.length > 0 && pairs.every((pair) => pair.stage === 'differential-sync' && pair.green && until(pair));
    });
  }

  async stop(): Promise<void> {
    await this.cli('down');
    await rm(this.folder, { recursive: true, force: true });
  }

  async #find(name: string): Promise<ClusterProcess> {
    const found = (await this.processes()).find((candidate) => candidate.name === name);
    if (!found) throw new Error(`the cluster has no process ${name}`);
    return found;
  }
}

/** Polls a condition with a time limit; a condition that throws counts as not yet, and its last error is shown when time is up. */
export async function waitFor(what: string, secondsMax: number, condition: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + secondsMax * 1000;
  let lastError = 'it was never true';
  while (Date.now() < until) {
    try {
      if (await condition()) return;
    } catch (error) {
      lastError = String(error);
    }
    await delay(100);
  }
  throw new Error(`waited ${secondsMax} s for ${what}: ${lastError}`);
}
