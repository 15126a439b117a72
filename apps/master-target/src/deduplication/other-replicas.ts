// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';
import type { ReadBlocks } from '@secondsite/wan-deduplication';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { REPLICA } from '../pair/replica-files';
import { volumeNumber } from './set-rebuilder';

/**
 * Reads replicas of the pairs in a folder, beside the threads that write them. A file is open only while it is read, so that a removed replica keeps
 * no space.
 */
export function otherReplicas({ pairsFolder, blockBytes }: { readonly pairsFolder: string; readonly blockBytes: ByteCount }): ReadBlocks {
  const names = new Map<number, string>();
  const nameOf = async (volume: number): Promise<string | undefined> => {
    if (!names.has(volume)) for (const name of await readdir(pairsFolder)) names.set(volumeNumber(name), name);
    return names.get(volume);
  };
  return async ({ volume, block }, into) => {
    const name = await nameOf(volume);
    const file = name === undefined ? undefined : await open(join(pairsFolder, name, REPLICA), 'r').catch(() => undefined);
    if (!file) return false;
    try {
      return await fill(file, { into, position: block * blockBytes });
    } finally {
      await file.close();
    }
  };
}

/** False: the file ends before, or cannot be read there. */
async function fill(file: FileHandle, { into, position }: { readonly into: Uint8Array; readonly position: number }): Promise<boolean> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done).catch(() => ({ bytesRead: 0 }));
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}
