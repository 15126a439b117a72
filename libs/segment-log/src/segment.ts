// SPDX-License-Identifier: Apache-2.0
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import type { ByteCount, ByteOffset } from '@secondsite/units';
import { segmentName } from './record-format';

/** One file of the log and what is known about it in memory. The file is opened at its first use and closed when it is removed. */
export class Segment {
  readonly number: number;
  /** Bytes of the file that belong to records or its header; all durable except while a group is being written. */
  end: ByteCount;
  /** No more records are written to it. */
  sealed: boolean;
  /** Offsets of the records somebody still needs. */
  readonly needed = new Set<ByteOffset>();
  readonly #directory: StorageDirectory;
  #file: Promise<StorageFile> | undefined;
  #users = 0;
  #idle: (() => void) | undefined;

  constructor(options: { readonly directory: StorageDirectory; readonly number: number; readonly end: ByteCount; readonly sealed: boolean }) {
    this.#directory = options.directory;
    this.number = options.number;
    this.end = options.end;
    this.sealed = options.sealed;
  }

  /** Runs with the open file, which stays open until that is done. */
  async use<T>(run: (file: StorageFile) => Promise<T>, options: { readonly create?: boolean } = {}): Promise<T> {
    this.#users += 1;
    try {
      this.#file ??= this.#directory.open(segmentName(this.number), options);
      return await run(await this.#opened(this.#file));
    } finally {
      this.#users -= 1;
      if (this.#users === 0) this.#idle?.();
    }
  }

  async #opened(file: Promise<StorageFile>): Promise<StorageFile> {
    try {
      return await file;
    } catch (error) {
      this.#file = undefined;
      throw error;
    }
  }

  async remove(): Promise<void> {
    await this.close();
    await this.#directory.remove(segmentName(this.number));
  }

  async close(): Promise<void> {
    if (this.#users > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    const file = this.#file;
    this.#file = undefined;
    if (file) await (await file).close();
  }
}
