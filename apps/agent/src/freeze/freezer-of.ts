// SPDX-License-Identifier: Apache-2.0
import { type FreezeHook, hookSecondsMaxDefault } from '@secondsite/contracts';
import { stat } from 'node:fs/promises';
import type { Freezer } from './freezer';
import { GuestAgentFreezer } from './guest-agent-freezer';
import { hookFailed } from './hook-error';
import { MysqlFreezer } from './mysql-freezer';
import { ProgramFreezer } from './program-freezer';

/** `ownFolder`: where the agent writes; its file system is never frozen. */
export function freezerOf(hook: FreezeHook, ownFolder: string): Freezer {
  const { secondsMax = hookSecondsMaxDefault } = hook;
  switch (hook.kind) {
    case 'fsfreeze':
      return new FileSystemFreezer({ mountPoint: hook.mountPoint, ownFolder, secondsMax });
    case 'postgresql':
      return new ProgramFreezer({ freeze: checkpoint(hook), thaw: undefined, secondsMax, mayTellErrors: true, thawsAfterFailure: false });
    case 'mysql':
      return new MysqlFreezer({ defaultsFile: hook.defaultsFile, secondsMax });
    case 'guest-agent':
      return new GuestAgentFreezer({ socketPath: hook.socket, secondsMax });
    case 'script':
      return new ProgramFreezer({ freeze: [hook.file, 'freeze'], thaw: [hook.file, 'thaw'], secondsMax, mayTellErrors: false, thawsAfterFailure: true });
  }
}

/**
 * PostgreSQL recovers from any cut through all its files at one instant, as from a power cut; a checkpoint right before it makes that recovery
 * short. Backup mode (`pg_backup_start`) is for files that are copied one after the other.
 */
function checkpoint({ socketFolder, port, user, database, osUser }: FreezeHook & { readonly kind: 'postgresql' }): string[] {
  const psql = ['psql', '--no-psqlrc', '--no-password', '--quiet', '--host', socketFolder, '--port', String(port), '--username', user, '--dbname', database, '--command', 'CHECKPOINT'];
  return osUser === undefined ? psql : ['runuser', '-u', osUser, '--', ...psql];
}

class FileSystemFreezer extends ProgramFreezer {
  readonly #mountPoint: string;
  readonly #ownFolder: string;

  constructor({ mountPoint, ownFolder, secondsMax }: { readonly mountPoint: string; readonly ownFolder: string; readonly secondsMax: number }) {
    super({ freeze: ['fsfreeze', '-f', mountPoint], thaw: ['fsfreeze', '-u', mountPoint], secondsMax, mayTellErrors: true, thawsAfterFailure: false });
    this.#mountPoint = mountPoint;
    this.#ownFolder = ownFolder;
  }

  /** A program that fails has frozen nothing: the file system is as somebody else left it, and stays so. */
  override async freeze(): Promise<void> {
    const [mounted, own] = await Promise.all([stat(this.#mountPoint).catch(() => undefined), stat(this.#ownFolder)]);
    if (!mounted) throw hookFailed('fsfreeze', `${this.#mountPoint} is not there`);
    if (mounted.dev === own.dev) throw hookFailed('fsfreeze', `the agent's own data folder is on the file system of ${this.#mountPoint}; it would stop itself`);
    await super.freeze();
  }
}
