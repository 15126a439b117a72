// SPDX-License-Identifier: Apache-2.0
import type { MasterTargetPair } from '@secondsite/contracts';
import type { ByteCount } from '@secondsite/units';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { OverAllocation } from '../control/control-plane';

/** Space that a pair may need: its replica in full, and its retention space when that has a limit. */
export function promisedBytes({ sizeBytes, retention }: MasterTargetPair): ByteCount {
  return sizeBytes + (retention.spaceBytes ?? 0);
}

/** Undefined when all pairs together fit into what is free plus what they use already. */
export function overAllocation(pairs: readonly MasterTargetPair[], { freeBytes, usedBytes }: { freeBytes: ByteCount; usedBytes: ByteCount }): OverAllocation | undefined {
  const neededBytes = pairs.reduce((sum, pair) => sum + promisedBytes(pair), 0);
  const availableBytes = freeBytes + usedBytes;
  return neededBytes > availableBytes ? { neededBytes, availableBytes } : undefined;
}

/** Bytes allocated on disk (holes do not count) of replicas and journals under `folder`. */
export async function allocatedBytes(folder: string): Promise<ByteCount> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const found = await stat(join(entry.parentPath, entry.name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return undefined;
    });
    bytes += (found?.blocks ?? 0) * 512;
  }
  return bytes;
}
