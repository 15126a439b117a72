// SPDX-License-Identifier: Apache-2.0
import { checksum } from '@secondsite/change-set';
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import { isOperationError } from '@secondsite/units';
import type { CopiedFile, CopiedFolder } from './copy-protocol';

const HEAD_BYTES = 128;

export function folderOf(pair: StorageDirectory, folder: CopiedFolder): Promise<StorageDirectory> {
  return folder === '' ? Promise.resolve(pair) : pair.directory(folder);
}

/**
 * Describes those of the files that are there. Size and head tell contents of one name apart: the head of an index and of a merged segment has
 * checksums of all of it, that of a segment the place of the stream where it begins, and a segment only ever grows.
 */
export async function describeFiles(pair: StorageDirectory, { folder, names, isFinal = false }: { readonly folder: CopiedFolder; readonly names: readonly string[]; readonly isFinal?: boolean }): Promise<CopiedFile[]> {
  const directory = await folderOf(pair, folder);
  const described: CopiedFile[] = [];
  for (const name of names) {
    const file = await openIfThere(directory, name);
    if (!file) continue;
    const head = new Uint8Array(HEAD_BYTES);
    const length = await file.read(head, 0);
    described.push({ folder, name, isFinal, bytes: file.size(), head: Buffer.from(checksum([head.subarray(0, length)])).toString('hex') });
    await file.close();
  }
  return described;
}

/** Undefined when there is no such file. */
export async function openIfThere(directory: StorageDirectory, name: string): Promise<StorageFile | undefined> {
  try {
    return await directory.open(name);
  } catch (error) {
    if (isOperationError(error, 'storage/not-found')) return undefined;
    throw error;
  }
}
