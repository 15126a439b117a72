// SPDX-License-Identifier: Apache-2.0
import { bytesOf, type VerifiedChangeSet } from '@secondsite/change-set';
import type { StorageFile } from '@secondsite/durable-storage';
import type { ByteCount } from '@secondsite/units';

/**
 * Writes a set's entries to the replica in order; zeros and trims become holes. Blocks the thread; durable only after `replica.sync`.
 * Repeating it with the sets that follow gives the same replica. Entries must lie inside the volume (see `faultOfRange`).
 */
export function writeReplica(replica: StorageFile, set: VerifiedChangeSet): void {
  for (const entry of set.entries()) {
    if (entry.length === 0) continue;
    if (entry.dataLength > 0) replica.writeNow(bytesOf(entry, set.data), entry.offset);
    else replica.punchHole(entry.offset, entry.length);
  }
}

/** In words what is wrong when an entry lies outside the volume. */
export function faultOfRange(set: VerifiedChangeSet, volumeBytes: ByteCount): string | undefined {
  const outside = set.entries().find((entry) => entry.offset + entry.length > volumeBytes);
  return outside && `an entry ends at ${outside.offset + outside.length}, the volume has ${volumeBytes} bytes`;
}
