// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { randomBytes } from 'node:crypto';
import { link, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The text of a file, or undefined when there is none. Throws `storage/read` for any other failure. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (isNodeError(cause, 'ENOENT')) return undefined;
    throw fileFailure('read', file, cause);
  }
}

/** Writes a new file, durable on return. It must not exist (or is left over from a crash inside a folder that is not yet in use). */
export async function writeDurable({ file, text, mode }: { file: string; text: string; mode: number }): Promise<void> {
  try {
    const handle = await open(file, 'w', mode);
    try {
      await handle.writeFile(text);
      await handle.chmod(mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw fileFailure('write', file, cause);
  }
}

/** Creates a file with mode 0600, whole and durable, unless it exists: then that one stays. */
export async function createSecretFile(file: string, text: string): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  await writeDurable({ file: temporary, text, mode: 0o600 });
  try {
    await link(temporary, file);
  } catch (cause) {
    if (!isNodeError(cause, 'EEXIST')) throw fileFailure('write', file, cause);
  } finally {
    await rm(temporary, { force: true });
  }
  await syncFolder(dirname(file));
}

/** Makes creations and renames inside a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function isNodeError(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}

function fileFailure(what: 'read' | 'write', file: string, cause: unknown): OperationError {
  const hint = 'Check that the folder exists, belongs to the user of this component, and has free space.';
  return new OperationError({ code: `storage/${what}`, operation: `${what} ${file}`, context: { file }, retryable: false, hint, cause });
}
