// SPDX-License-Identifier: Apache-2.0
import { expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { identifyProcess, isRunning, type ProcessIdentity } from './process-identity';
import { waitUntil } from './wait-until';

/** exit(2), not exit_group(2): ends the thread that calls it, and no other. */
const endFirstThread = `require('koffi').load('libc.so.6').func('long syscall(long number, long status)')(process.arch === 'x64' ? 60 : 93, 0)`;

it('a killed process runs until the last of its threads is gone: so long its ports are taken', async () => {
  const child = spawn(process.execPath, ['-e', endFirstThread], { cwd: __dirname, stdio: 'ignore' });
  const ended = once(child, 'exit');
  const stateOfFirstThread = (): string => readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.[0] as string;
  const identity = identifyProcess(child.pid as number) as ProcessIdentity;
  await waitUntil(() => stateOfFirstThread() === 'Z', { what: 'the first thread to end', timeoutMillis: 20_000 });
  expect(isRunning(identity)).toBe(true);
  child.kill('SIGKILL');
  await ended;
  expect([isRunning(identity), identifyProcess(child.pid as number)]).toEqual([false, undefined]);
});
