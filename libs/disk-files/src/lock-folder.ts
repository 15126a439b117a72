// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { OperationError } from '@secondsite/units';
import { storageFailure } from './storage-failure';
import { tryLock } from './system-calls';

export interface FolderLock {
  readonly path: string;
  /** Idempotent. The kernel also frees the lock when the process ends in any way. */
  release(): void;
}

/**
 * Makes this process the only user of a data folder, by flock on `<folder>/lock`, which names the holder's pid.
 * Throws OperationError `storage/locked` when somebody holds it, also this same process.
 */
export function lockFolder(folder: string): FolderLock {
  const path = join(folder, 'lock');
  const operation = 'lock data folder';
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  } catch (error) {
    throw storageFailure(error, { operation, path });
  }
  if (!tryLock(fd)) {
    closeSync(fd);
    throw lockedError(folder, readFileSync(path, 'utf8').trim());
  }
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`, 0);
  let held = true;
  return {
    path,
    release: () => {
      if (held) closeSync(fd);
      held = false;
    },
  };
}

function lockedError(folder: string, holder: string): OperationError {
  return new OperationError({
    code: 'storage/locked',
    operation: 'lock data folder',
    context: { folder, holderPid: holder },
    retryable: true,
    hint: `The data folder ${folder} is in use by process ${holder === '' ? '(starting)' : holder}. Stop it first, or use another folder.`,
  });
}
