// SPDX-License-Identifier: Apache-2.0
import type { AgentDesiredState } from '@secondsite/contracts';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from './wait-for';

/** The compiled agent as a process of its own, without a control plane: its desired state is put where an earlier run would have left it. */
export class AgentProcess {
  readonly dataDir: string;
  #child: ChildProcess | undefined;
  #output = '';

  constructor(options: { readonly dataDir: string; readonly desired: AgentDesiredState }) {
    this.dataDir = options.dataDir;
    mkdirSync(options.dataDir, { recursive: true });
    writeFileSync(join(options.dataDir, 'desired-state.json'), JSON.stringify(options.desired));
  }

  get unixSockets(): string {
    return join(this.dataDir, 'nbd');
  }

  async start(): Promise<void> {
    const ready = join(this.dataDir, 'ready.json');
    rmSync(ready, { force: true });
    const main = join(__dirname, '..', '..', 'dist', 'main.js');
    const env = { ...process.env, SECONDSITE_DATA_DIR: this.dataDir, SECONDSITE_INSECURE: '1', NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'error' };
    const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    child.stdout.on('data', (chunk) => (this.#output += String(chunk)));
    child.stderr.on('data', (chunk) => (this.#output += String(chunk)));
    await waitFor('the agent is ready', () => {
      if (child.exitCode !== null) throw new Error(`the agent ended: ${this.#output}`);
      return existsSync(ready);
    });
  }

  get metricsUrl(): string {
    return (JSON.parse(readFileSync(join(this.dataDir, 'ready.json'), 'utf8')) as { metricsUrl: string }).metricsUrl;
  }

  /** Ends it and waits for that. Returns its exit code, null after SIGKILL. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    child.kill(signal);
    await once(child, 'exit');
    return child.exitCode;
  }
}
