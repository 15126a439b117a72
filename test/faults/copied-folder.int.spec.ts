// SPDX-License-Identifier: Apache-2.0
// Two masters for one pair: a data folder of each part is copied while the part runs, as a cloned machine or a started backup would, and the copy is
// started as a real process. It ends by itself and says why; the part that was there first goes on, and nothing of the replica is spoiled.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestCluster, type TestDisk, waitFor } from '@secondsite/cli/testing';
import type { HistoryEntry } from '@secondsite/contracts';
import { repositoryFolder } from '@secondsite/embedded-services';
import { MIB } from '@secondsite/units';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { blockBytes } from '../system/acknowledgement-log';
import { violationsAtRandomInstants } from '../system/check-view';
import { runTool } from '../system/host-tools';
import { Random } from '../system/random';
import { StampedLoad } from '../system/stamped-load';

const diskBytes = 32 * MIB;
const parts = ['agent', 'process-server', 'master-target'] as const;
type Part = (typeof parts)[number];

class CopiedPart {
  #output = '';

  private constructor(readonly folder: string, private readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
  }

  static async start(cluster: TestCluster, part: Part): Promise<CopiedPart> {
    const folder = join(cluster.folder, `copy-of-${part}`);
    await runTool('cp', '-a', cluster.folderOf(part), folder);
    const main = join(repositoryFolder(), 'apps', part, 'dist', 'main.js');
    return new CopiedPart(folder, spawn(process.execPath, [main], { env: { ...process.env, SECONDSITE_DATA_DIR: folder, LOG_LEVEL: 'error' }, stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  async isReady(): Promise<boolean> {
    return (JSON.parse(await readFile(join(this.folder, 'ready.json'), 'utf8')) as { pid: number }).pid === this.child.pid;
  }

  /** How it ended by itself, and what it said. */
  async end(): Promise<{ code: number | null; output: string }> {
    await waitFor(`the copy ${this.folder} to end`, 30, async () => this.child.exitCode !== null || this.child.signalCode !== null);
    return { code: this.child.exitCode, output: this.#output };
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}

describe('a copied data folder', () => {
  const random = Random.announced('copied folder');
  const copies: CopiedPart[] = [];
  let cluster: TestCluster;
  let disk: TestDisk;
  let load: StampedLoad;

  beforeAll(async () => {
    cluster = await TestCluster.start();
    disk = await cluster.addDisk('disk', diskBytes);
    load = new StampedLoad({ uri: disk.uri, blocks: diskBytes / blockBytes, random, pauseMillis: 2 });
    load.start();
    await cluster.createPlan('plan', 'disk');
    await cluster.whenInSync('plan');
  }, 180_000);

  afterAll(async () => {
    await load?.stop();
    await Promise.all(copies.map((copy) => copy.kill()));
    await cluster?.stop();
  }, 60_000);

  async function startCopy(part: Part): Promise<CopiedPart> {
    const copy = await CopiedPart.start(cluster, part);
    copies.push(copy);
    return copy;
  }

  const pidOf = async (part: Part): Promise<number | undefined> => (await cluster.processes()).find(({ name }) => name === part)?.pid;

  /** What was written until now is at the target, in the epoch that there was from the start. */
  async function goesOn(): Promise<void> {
    const written = load.log.newestAcknowledgement;
    await cluster.whenInSync('plan', { coveredAfter: written });
    expect((await cluster.planStatus('plan')).pairs.map(({ epoch, flags }) => ({ epoch, flags }))).toEqual([{ epoch: 1, flags: [] }]);
  }

  it.each(parts)('of %s is refused while the original runs, which is told to everybody with what to do', async (part) => {
    const before = await pidOf(part);
    const { code, output } = await (await startCopy(part)).end();
    expect(code).toBe(1);
    for (const words of ['component/copied', 'is a copy', `process ${before}`, 'an enrolment token of its own']) expect(output).toContain(words);
    await waitFor('the refusal in the audit log', 20, async () => (await refusals()).some(({ data }) => String(data.reason).includes(`copy-of-${part}`)));
    expect(await pidOf(part)).toBe(before);
    await goesOn();
  }, 120_000);

  it('that was started while the bus was away is refused when that is back, and the original goes on', async () => {
    const before = await pidOf('master-target');
    await runTool('rm', '-rf', join(cluster.folder, 'copy-of-master-target'));
    const copy = await cluster.withoutPart('nats', async () => {
      const started = await startCopy('master-target');
      await waitFor('the copy to run', 30, () => started.isReady());
      return started;
    });
    expect((await copy.end()).output).toContain('component/copied');
    expect(await pidOf('master-target')).toBe(before);
    await goesOn();
  }, 120_000);

  it('has spoiled nothing: random instants are what the acknowledgement log says', async () => {
    await load.stop();
    const last = load.log.newestAcknowledgement;
    await cluster.whenInSync('plan', { pointAfter: last });
    expect(load.interruptions).toBe(0);
    expect(await violationsAtRandomInstants({ cluster, disk, log: load.log }, random)).toEqual([]);
  }, 120_000);

  async function refusals(): Promise<{ readonly data: { readonly reason?: unknown } }[]> {
    const { entries } = await cluster.cli<{ entries: HistoryEntry[] }>('events', '--limit', '200');
    return entries.filter(({ type }) => type === 'secondsite.security.peer-refused.v1') as { data: { reason?: unknown } }[];
  }
});
