// SPDX-License-Identifier: Apache-2.0
// Cached sets that are no longer in memory, read back from the cache's segments.
import { type Decompress, decompressChangeSet, type VerifiedChangeSet, verifyStored } from '@secondsite/change-set';
import { OperationError } from '@secondsite/units';
import type { StreamPlace } from './pair-types';
import type { ReadMemory } from './read-memory';
import type { CachedSet, SetCache } from './set-cache';

export class CachedSetReader {
  readonly #options: { readonly cache: SetCache; readonly readMemory: ReadMemory; readonly decompress: Decompress };

  constructor(options: { readonly cache: SetCache; readonly readMemory: ReadMemory; readonly decompress: Decompress }) {
    this.#options = options;
  }

  /** The set's content, which the cache keeps until the set is applied. Throws OperationError `cache/damaged-set`. */
  async load(set: CachedSet): Promise<VerifiedChangeSet> {
    if (set.decoded) return set.decoded;
    const { cache, readMemory } = this.#options;
    const bytes = await cache.read(set, (length) => readMemory.take(length));
    const decoded = await this.#decode(bytes, set);
    cache.keepRead(set, { bytes, decoded });
    return decoded;
  }

  async #decode(bytes: Uint8Array, { epoch, sequence }: StreamPlace): Promise<VerifiedChangeSet> {
    const verified = verifyStored(bytes);
    const decoded = verified.ok ? await decompressChangeSet(verified, this.#options.decompress) : verified;
    if (decoded.ok) return decoded;
    throw new OperationError({
      code: 'cache/damaged-set', operation: 'read set from cache', context: { epoch, sequence, fault: decoded.code }, retryable: false,
      hint: 'The cache returned other bytes than were written. Check the disk; the pair must be resynchronised.',
    });
  }
}
