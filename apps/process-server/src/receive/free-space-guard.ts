// SPDX-License-Identifier: Apache-2.0
import type { StorageDirectory } from '@secondsite/durable-storage';
import type { ByteCount } from '@secondsite/units';

/** Stops accepting before the file system is full, and goes on by itself when there is room again. */
export class FreeSpaceGuard {
  #freeBytes: ByteCount = Number.MAX_SAFE_INTEGER;

  constructor(
    private readonly directory: StorageDirectory,
    readonly freeBytesMin: ByteCount,
  ) {}

  /** As of the last look, less what was accepted since. */
  get freeBytes(): ByteCount {
    return this.#freeBytes;
  }

  /** Looks at the file system; called every second. */
  async refresh(): Promise<void> {
    this.#freeBytes = await this.directory.freeBytes();
  }

  hasRoomFor(bytes: ByteCount): boolean {
    return this.#freeBytes - bytes >= this.freeBytesMin;
  }

  /** Bytes that go to the disk now. */
  count(bytes: ByteCount): void {
    this.#freeBytes -= bytes;
  }
}
