// SPDX-License-Identifier: Apache-2.0
import { isOperationError } from '@secondsite/units';
import type { StorageDirectory, StorageFile } from './storage-port';

/**
 * Replaces a small file so that any crash leaves the old or the new content, whole; durable when this resolves.
 * Calls for one name must not overlap. After a failure the old content is still there; `.<name>.new` may be left and is reused.
 */
export async function replaceFile(directory: StorageDirectory, name: string, content: Uint8Array): Promise<void> {
  const temporary = `.${name}.new`;
  await using(await directory.open(temporary, { create: true }), async (file) => {
    await file.truncate(0);
    await file.write([content], 0);
    await file.sync();
  });
  await directory.rename(temporary, name);
  await directory.sync();
}

/** The content of a file, undefined when there is none. */
export async function readWholeFile(directory: StorageDirectory, name: string): Promise<Uint8Array | undefined> {
  try {
    return await using(await directory.open(name), async (file) => {
      const content = new Uint8Array(file.size());
      return content.subarray(0, await file.read(content, 0));
    });
  } catch (error) {
    if (isOperationError(error, 'storage/not-found')) return undefined;
    throw error;
  }
}

async function using<T>(file: StorageFile, run: (file: StorageFile) => Promise<T>): Promise<T> {
  try {
    return await run(file);
  } finally {
    await file.close();
  }
}
