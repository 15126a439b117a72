// SPDX-License-Identifier: Apache-2.0
import type { ChangeEntry } from '../change-set';
import { bytesOf, type VerifiedChangeSet } from '../verify-change-set';

/** The obvious reference: what a volume holds after a change set (up to and including time `until`, when given). Changes `image`. */
export function applyToImage(image: Uint8Array, set: VerifiedChangeSet, until = Number.POSITIVE_INFINITY): void {
  for (const entry of set.entries()) if (entry.time <= until) applyEntry(image, entry, bytesOf(entry, set.data));
}

function applyEntry(image: Uint8Array, entry: ChangeEntry, bytes: Uint8Array): void {
  if (entry.kind === 'marker') return;
  if (entry.kind === 'write' || entry.kind === 'resync-write') image.set(bytes, entry.offset);
  else image.fill(0, entry.offset, entry.offset + entry.length);
}
