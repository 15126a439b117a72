// SPDX-License-Identifier: Apache-2.0
/** Programs of the host that act as an application or an administrator would: NBD clients, file systems, loop devices. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, it } from '@jest/globals';
import { waitFor } from '@secondsite/cli/testing';

const run = promisify(execFile);

/** Standard output of a program; rejects with its standard error when it fails or takes longer than a minute. */
export async function runTool(program: string, ...args: string[]): Promise<string> {
  return (await run(program, args, { timeout: 60_000, maxBuffer: 64 << 20 })).stdout.trim();
}

/** A test that needs programs, or a visible skip that names the missing ones. */
export function itWithTools(title: string, { tools, asRoot = false }: { tools: readonly string[]; asRoot?: boolean }, body: () => Promise<void>, millisMax: number): void {
  const missing = missingTools(tools, { asRoot });
  if (missing.length === 0) it(title, body, millisMax);
  else it.skip(`${title} (skipped: no ${missing.join(', ')})`, body);
}

/** Tests that all need programs, or a visible skip that names the missing ones. */
export function describeWithTools(title: string, tools: readonly string[], body: () => void, { asRoot = false } = {}): void {
  const missing = missingTools(tools, { asRoot });
  if (missing.length === 0) describe(title, body);
  else describe.skip(`${title} (skipped: no ${missing.join(', ')})`, body);
}

function missingTools(tools: readonly string[], { asRoot }: { asRoot: boolean }): string[] {
  const missing = tools.filter((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0);
  return asRoot && process.getuid?.() !== 0 ? [...missing, 'root'] : missing;
}

/** A block device of this machine, until `detach`. */
export interface BlockDevice {
  readonly device: string;
  detach(): Promise<void>;
}

/** An NBD export as a block device. Needs root, nbdfuse and losetup. `name`: of the file in `folder` by which it is served. */
export async function attachBlockDevice({ uri, folder, name }: { uri: string; folder: string; name: string }): Promise<BlockDevice> {
  const file = join(folder, name);
  await writeFile(file, '');
  const fuse = spawn('nbdfuse', [file, uri], { stdio: 'ignore' });
  try {
    await waitFor(`nbdfuse to serve ${uri}`, 20, async () => (await stat(file)).size > 0);
    const device = await runTool('losetup', '--find', '--show', file);
    return { device, detach: () => runTool('losetup', '--detach', device).finally(() => unmountFuse(fuse, file)).then(() => undefined) };
  } catch (error) {
    await unmountFuse(fuse, file);
    throw error;
  }
}

/** The same for as long as `act` runs. */
export async function withBlockDevice<Result>(where: { uri: string; folder: string; name: string }, act: (device: string) => Promise<Result>): Promise<Result> {
  const { device, detach } = await attachBlockDevice(where);
  try {
    return await act(device);
  } finally {
    await detach();
  }
}

/** A detached loop device closes its file a moment later, so unmounting may have to be tried again. */
async function unmountFuse(fuse: ChildProcess, file: string): Promise<void> {
  const ended = fuse.exitCode === null ? once(fuse, 'exit') : undefined;
  await waitFor(`${file} to be unmounted`, 20, async () => {
    if (fuse.exitCode === null) await runTool('umount', file);
    return true;
  });
  await ended;
}

/** Mounts a device for as long as `act` runs. */
export async function withMounted<Result>({ device, at }: { device: string; at: string }, act: () => Promise<Result>): Promise<Result> {
  await mkdir(at, { recursive: true });
  await runTool('mount', device, at);
  try {
    return await act();
  } finally {
    await runTool('umount', at);
  }
}
