// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';

/** Memory of the maps of views, some 24 MB for a million extents, which have it until they are closed, and of what opening them takes. */
export interface MapMemory {
  /** At least so many bytes; what it holds is not defined. */
  take(sizeBytes: ByteCount): ArrayBufferLike;
  /** Nothing reads or writes it any more. */
  giveBack(memory: ArrayBufferLike): void;
}

/** Whatever the collector frees some time. */
export const collectedMemory: MapMemory = { take: (sizeBytes) => new ArrayBuffer(sizeBytes), giveBack: () => undefined };
