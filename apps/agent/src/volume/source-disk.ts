// SPDX-License-Identifier: Apache-2.0
import type { StorageFile } from '@secondsite/durable-storage';
import type { ByteCount, ByteOffset } from '@secondsite/units';
import type { Extent } from '@secondsite/nbd';

const READ_NOW_BYTES_MAX = 32 * 1024;
const SLOW_READ_MILLIS = 1;
const READS_AFTER_SLOW = 256;
const EXTENTS_MAX = 512;

/** The protected disk: the StorageFile and what every export of it needs. The thread that owns it may block for page-cache writes. */
export class SourceDisk {
  readonly file: StorageFile;
  readonly sizeBytes: ByteCount;
  readonly #millis: () => number;
  #nextSync: Promise<void> | undefined;
  #syncing: Promise<void> = Promise.resolve();
  #readsInPool = 0;

  constructor(file: StorageFile, options: { readonly sizeBytes?: ByteCount; readonly millis?: () => number } = {}) {
    this.file = file;
    this.sizeBytes = options.sizeBytes ?? file.size();
    this.#millis = options.millis ?? (() => 0);
  }

  /** Short reads are done at once as long as they come from memory; after a slow one the thread pool reads for a while. */
  read(into: Uint8Array, offset: ByteOffset): undefined | Promise<void> {
    if (into.byteLength > READ_NOW_BYTES_MAX || this.#readsInPool > 0) {
      this.#readsInPool = Math.max(0, this.#readsInPool - 1);
      return this.file.read(into, offset).then((count) => void into.fill(0, count));
    }
    const start = this.#millis();
    into.fill(0, this.file.readNow(into, offset));
    if (this.#millis() - start > SLOW_READ_MILLIS) this.#readsInPool = READS_AFTER_SLOW;
    return undefined;
  }

  /** Everything written before the call is durable when it resolves; callers that wait at the same time share one sync. */
  sync(): Promise<void> {
    this.#nextSync ??= this.#scheduleSync();
    return this.#nextSync;
  }

  /** Allocated data and holes from `offset` on, at most EXTENTS_MAX of them. */
  extents(offset: ByteOffset, length: ByteCount): Extent[] {
    const end = offset + length;
    const extents: Extent[] = [];
    let position = offset;
    while (position < end && extents.length < EXTENTS_MAX) {
      const data = this.file.nextData(position);
      const dataStart = Math.min(data?.offset ?? end, end);
      if (dataStart > position) extents.push({ length: dataStart - position, hole: true, zero: true });
      const dataEnd = Math.min(data ? data.offset + data.length : end, end);
      if (dataEnd > dataStart) extents.push({ length: dataEnd - dataStart, hole: false, zero: false });
      position = dataEnd;
    }
    return extents;
  }

  #scheduleSync(): Promise<void> {
    const sync = this.#syncing.then(() => {
      this.#nextSync = undefined;
      return this.file.sync();
    });
    this.#syncing = sync.catch(() => undefined); // The failure reaches those who asked; the next sync is tried anew.
    return sync;
  }
}
