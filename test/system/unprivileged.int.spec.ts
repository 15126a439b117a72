// SPDX-License-Identifier: Apache-2.0
// Nothing of a cluster needs root. Whoever runs the tests as root sees it here, by a user who may do nothing; everybody else sees it everywhere.
import { execFile, spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ClusterStatus } from '@secondsite/contracts';
import { findNatsServer } from '@secondsite/embedded-services';
import { temporaryFolder } from '@secondsite/embedded-services/testing';

const run = promisify(execFile);
const cli = join(__dirname, '..', '..', 'apps', 'cli', 'dist', 'main.js');
const nobody = { uid: 65_534, gid: 65_534 };

/** Why it cannot be tried here, if so. */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can become another user';
  return spawnSync(process.execPath, [cli, '--help'], nobody).status === 0 ? undefined : 'the repository is where other users may not go';
}

const reason = obstacle();

(reason === undefined ? describe : describe.skip)(`a cluster of a user who is not root${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  const folder = temporaryFolder('unprivileged');
  const home = join(folder, 'home');

  async function asNobody<Answer>(...args: string[]): Promise<Answer> {
    const env = { PATH: process.env.PATH, HOME: folder, SECONDSITE_HOME: join(home, 'cluster') };
    const { stdout } = await run(process.execPath, [cli, ...args, '--json'], { ...nobody, env, cwd: home });
    return JSON.parse(stdout) as Answer;
  }

  beforeAll(async () => {
    // What is fetched once for all goes into the repository, which is root's here.
    await findNatsServer();
    mkdirSync(home);
    for (const path of [folder, home]) chownSync(path, nobody.uid, nobody.gid);
  }, 180_000);
  afterAll(async () => {
    if (reason === undefined) await asNobody('down');
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it('comes up with every component online, every process its own, and goes down', async () => {
    const { processes } = await asNobody<{ processes: { name: string; pid: number }[] }>('up');
    expect(processes.map(({ name }) => name).sort()).toEqual(['agent', 'config-server', 'master-target', 'nats', 'postgres', 'process-server']);
    expect(processes.filter(({ pid }) => statSync(`/proc/${pid}`).uid !== nobody.uid)).toEqual([]);
    const { components } = await asNobody<ClusterStatus>('status');
    expect(components.map(({ role, state }) => `${role} ${state}`).sort()).toEqual(['agent online', 'master-target online', 'process-server online']);
    const stopped = Object.values(await asNobody<Record<string, string>>('down'));
    expect(new Set(stopped)).toEqual(new Set(['stopped']));
  }, 120_000);
});
