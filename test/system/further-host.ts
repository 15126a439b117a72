// SPDX-License-Identifier: Apache-2.0
/** A further protected host of a cluster: an agent of its own, with a clock of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestCluster, waitFor } from '@secondsite/cli/testing';
import { repositoryFolder } from '@secondsite/embedded-services';

const agentMain = join(repositoryFolder(), 'apps', 'agent', 'dist', 'main.js');

export class FurtherHost {
  private constructor(readonly name: string, readonly dataDir: string, private readonly agent: ChildProcess) {}

  /** Adds the host, enrols its agent and waits until it works. Its clock is `clockAheadSeconds` before that of this machine. */
  static async add(cluster: TestCluster, name: string, { clockAheadSeconds = 0 } = {}): Promise<FurtherHost> {
    await cluster.cli('host', 'add', name);
    const { token } = await cluster.cli<{ token: string }>('enroll', 'token', '--role', 'agent', '--host', name);
    const configServerUrl = (await cluster.processes()).find((one) => one.name === 'config-server')?.url;
    const dataDir = join(cluster.folder, `host-${name}`);
    await mkdir(dataDir);
    const clock = join(dataDir, 'clock.cjs');
    writeFileSync(clock, clockScript(clockAheadSeconds));
    const env = { ...process.env, SECONDSITE_DATA_DIR: dataDir, SECONDSITE_ENROLL_TOKEN: token, SECONDSITE_CONFIG_SERVER_URL: configServerUrl, LOG_LEVEL: 'error' };
    const agent = spawn(process.execPath, ['--require', clock, agentMain], { env, stdio: 'ignore' });
    await waitFor(`the agent of host ${name}`, 60, async () => (await stat(join(dataDir, 'ready.json'))).isFile());
    return new FurtherHost(name, dataDir, agent);
  }

  /** It hears and says nothing, as if the network were away, until `resume`. */
  suspend(): void {
    this.agent.kill('SIGSTOP');
  }

  resume(): void {
    this.agent.kill('SIGCONT');
  }

  /** Idempotent. */
  async end(signal: 'SIGKILL' | 'SIGTERM' = 'SIGTERM'): Promise<void> {
    if (this.agent.exitCode !== null || this.agent.signalCode !== null) return;
    const ended = once(this.agent, 'exit');
    this.resume();
    this.agent.kill(signal);
    await ended;
  }
}

/** Loaded first in every thread of the agent; all of its times come from this call. */
function clockScript(aheadSeconds: number): string {
  const systemCalls = JSON.stringify(join(repositoryFolder(), 'libs', 'disk-files', 'dist', 'system-calls.js'));
  return `const calls = require(${systemCalls}); const { realTimeMicros } = calls;
    require.cache[${systemCalls}].exports = { ...calls, realTimeMicros: () => realTimeMicros() + ${aheadSeconds * 1e6} };\n`;
}
