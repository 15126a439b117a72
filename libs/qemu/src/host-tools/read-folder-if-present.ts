// SPDX-License-Identifier: Apache-2.0
import { readdir } from 'node:fs/promises';
import { errorCode } from './error-code';

/** Names in a folder, with sub-folders' on demand; none when the folder does not exist. */
export async function readFolderIfPresent(folder: string, options: { recursive?: boolean } = {}): Promise<string[]> {
  try {
    return await readdir(folder, { recursive: options.recursive ?? false });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
