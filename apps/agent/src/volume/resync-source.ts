// SPDX-License-Identifier: Apache-2.0
import type { ByteCount, ByteOffset } from '@secondsite/units';

export interface DataRange {
  readonly offset: ByteOffset;
  readonly length: ByteCount;
}

/** Where a resync reads the protected disk; a StorageFile is one. Whatever reached the tap before a call is seen by it. */
export interface ResyncSource {
  /** Reads up to `into.length` bytes; returns how many there were before the end. Holes read as zeros. */
  read(into: Uint8Array, offset: ByteOffset): Promise<ByteCount>;
  /**
   * First data at or after `offset`, undefined when only a hole follows; may report holes as data, never data as a hole. A promise when it
   * has to be looked up: changes between the call and its answer may be missing in it.
   */
  nextData(offset: ByteOffset): DataRange | undefined | Promise<DataRange | undefined>;
  /** Everything that reached the disk before the call survives a power cut when this resolves. */
  sync(): Promise<void>;
}
