// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '@secondsite/cli/testing';
import { inspectableEnvironment, inspectorUrlOf } from './inspector-url';
import { ProfiledProcess } from './profiled-process';
import { Profiles } from './profiles';

/**
 * Spins in the main thread and in a worker; a line on standard input starts a second worker that spins and one that ends at once. V8 inlines no
 * generators, so that each keeps its name.
 */
const program = `
const { writeSync } = require('node:fs');
const { isMainThread, Worker, workerData } = require('node:worker_threads');
const busy = () => { const until = Date.now() + 5; while (Date.now() < until); };
const spins = { *spinMain() { busy(); }, *spinEarly() { busy(); }, *spinLate() { busy(); }, *end() { process.exit(); } };
const start = (spin, name) => new Worker(__filename, { workerData: spin, name });
const name = isMainThread ? 'spinMain' : workerData;
setInterval(() => { [...spins[name]()]; writeSync(2, name + '\\n'); }, 10);
if (isMainThread) {
  start('spinEarly', 'volume 6f1c0a52-0000-4000-8000-000000000001');
  process.stdin.on('data', () => { start('spinLate', 'pair 6f1c0a52-0000-4000-8000-000000000002'); start('end', 'short'); });
  console.error('ready');
}
`;

describe('profiles of a running process', () => {
  let folder: string;
  let child: ChildProcess;
  let logFile: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'profiles-'));
    logFile = join(folder, 'log');
    await writeFile(join(folder, 'spin.cjs'), program);
    child = spawn(process.execPath, [join(folder, 'spin.cjs')], { stdio: ['pipe', 'ignore', openSync(logFile, 'w')], env: { ...process.env, ...inspectableEnvironment } });
    await waitFor('the program to spin', 10, async () => (await readFile(logFile, 'utf8')).includes('ready'));
  });

  afterEach(async () => {
    child.kill('SIGKILL');
    await once(child, 'close');
    await rm(folder, { recursive: true });
  });

  it('have every thread, also one that starts meanwhile, and survive one that ends', async () => {
    const spinning = await ProfiledProcess.open({ name: 'spinner', url: await inspectorUrlOf({ pid: child.pid as number, logFile }) });
    const profiles = new Profiles(join(folder, 'out'));
    const during = (act: () => Promise<unknown>): Promise<unknown> => profiles.during('spin', [spinning], act);
    const turnsOf = async (name: string): Promise<number> => (await readFile(logFile, 'utf8')).split(`${name}\n`).length;
    const spun = async (...names: string[]): Promise<void> => {
      const before = await Promise.all(names.map(turnsOf));
      await waitFor(`${names.join(', ')} to spin`, 10, async () => (await Promise.all(names.map(turnsOf))).every((turns, index) => turns >= (before[index] as number) + 20));
    };
    await during(() => spun('spinMain', 'spinEarly'));
    await during(async () => {
      child.stdin?.write('go\n');
      await spun('spinMain', 'spinEarly', 'spinLate');
    });
    const folded = await readFile(join(folder, 'out', 'spin.folded'), 'utf8');
    for (const line of [/^spinner main;.*spin:spinMain.* \d+$/m, /^spinner volume;.*spin:spinEarly.* \d+$/m, /^spinner pair;.*spin:spinLate.* \d+$/m]) expect(folded).toMatch(line);
    expect(await readFile(join(folder, 'out', 'spin.txt'), 'utf8')).toMatch(/mean of 1\n[^]*spinner volume: busy \d+ %\n[^]*spinEarly/);
  });
});
