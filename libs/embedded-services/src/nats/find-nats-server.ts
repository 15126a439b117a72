// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../repository-folder';

const run = promisify(execFile);

/** The program in use: on PATH, else cached, else fetched from the distribution's archive into the cache (no root needed). Throws OperationError `nats/not-found`. */
export async function findNatsServer(): Promise<string> {
  const cached = join(cacheFolder(), 'nats-server', 'nats-server');
  return onPath('nats-server') ?? (existsSync(cached) ? cached : await downloadNatsServer(cached));
}

export function onPath(program: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'].filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Debian and Ubuntu carry the package `nats-server`; it is unpacked, not installed. Safe when several processes do it at once. */
async function downloadNatsServer(target: string): Promise<string> {
  if (!onPath('apt-get') || !onPath('dpkg')) throw notFound('this system has no apt-get');
  await mkdir(cacheFolder(), { recursive: true });
  const work = await mkdtemp(join(cacheFolder(), 'nats-server-download-'));
  try {
    await fetchPackage(work);
    const archive = (await readdir(work)).find((name) => name.endsWith('.deb'));
    if (archive === undefined) throw notFound('apt-get downloaded nothing');
    await run('dpkg', ['-x', join(work, archive), join(work, 'unpacked')]);
    const program = ['usr/sbin', 'usr/bin'].map((folder) => join(work, 'unpacked', folder, 'nats-server')).find(isExecutable);
    if (program === undefined) throw notFound('the package has no nats-server in it');
    await mkdir(join(target, '..'), { recursive: true });
    await chmod(program, 0o755);
    await rename(program, target);
    return target;
  } catch (error) {
    throw error instanceof OperationError ? error : notFound('apt-get download nats-server failed', error);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function fetchPackage(folder: string): Promise<void> {
  const download = (): Promise<unknown> => run('apt-get', ['download', 'nats-server'], { cwd: folder, timeout: 120_000 });
  try {
    await download();
  } catch (error) {
    if (process.getuid?.() !== 0) throw error;
    await run('apt-get', ['update'], { timeout: 180_000 });
    await download();
  }
}

function notFound(reason: string, cause?: unknown): OperationError {
  return new OperationError({
    code: 'nats/not-found', operation: 'find nats-server', context: { reason }, retryable: false, cause,
    hint: 'Install nats-server (2.9 or newer) so that it is on PATH, or set NATS_URL to a running server with JetStream.',
  });
}
