// SPDX-License-Identifier: Apache-2.0
import { execFile, spawn, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, it } from '@jest/globals';
import { isListening } from './listening-socket';
import { waitUntil } from './wait-until';

const run = promisify(execFile);

/** Standard output of a program; throws with its standard error when it fails or takes longer than a minute. */
export async function output(program: string, parameters: readonly string[]): Promise<string> {
  return (await run(program, parameters, { timeout: 60_000, maxBuffer: 64 * 1024 * 1024 })).stdout;
}

/** A server that runs until `stop`; resolves when it accepts connections. */
export async function started(program: string, parameters: readonly string[], socket: string): Promise<{ stop(): Promise<void> }> {
  const child = spawn(program, parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said += text.toString()));
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  await waitUntil(`${program} listens: ${said}`, () => isListening(socket));
  return {
    stop: async () => {
      child.kill();
      await ended;
    },
  };
}

/** describe, when the programs are there. For root a missing one is a failure, because the set-up installs them; else a visible skip. */
export function describeWithTools(title: string, tools: readonly string[], body: () => void): void {
  const missing = tools.filter((tool) => spawnSync(tool, ['--version']).error !== undefined);
  if (missing.length === 0) return describe(title, body);
  if (process.getuid?.() !== 0) return describe.skip(`${title} (skipped: ${missing.join(', ')} not installed)`, body);
  return describe(title, () => {
    it('has its tools', () => {
      throw new Error(`not installed: ${missing.join(', ')}. Run the test set-up again.`);
    });
  });
}
