// SPDX-License-Identifier: Apache-2.0
import { open, readFile, rename } from 'node:fs/promises';
import { dirname, join, basename } from 'node:path';
import { OperationError } from '@secondsite/units';
import { failedWith, storageFailure } from './storage-failure';
import { DiskDirectory } from './disk-directory';

/**
 * Replaces a JSON file so that any crash leaves the old or the new text, whole; durable when this resolves.
 * Calls for one path must not overlap. `mode` defaults to 0600.
 */
export async function writeJsonAtomically(path: string, value: unknown, options: { readonly mode?: number } = {}): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.new`);
  try {
    const file = await open(temporary, 'w', options.mode ?? 0o600);
    try {
      await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    throw storageFailure(error, { operation: 'write JSON file', path });
  }
  await new DiskDirectory(dirname(path)).sync();
}

/** The value of a JSON file (the caller checks its shape), undefined when there is none. Throws `storage/bad-json` when it is no JSON. */
export async function readJsonFile(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (failedWith(error, 'ENOENT')) return undefined;
    throw storageFailure(error, { operation: 'read JSON file', path });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new OperationError({
      code: 'storage/bad-json',
      operation: 'read JSON file',
      context: { path },
      retryable: false,
      hint: `The file ${path} is damaged; restore it or remove it.`,
      cause: error,
    });
  }
}
