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
  /** While and after its file is removed or given away; never rejects. */
  gone: Promise<void> | undefined;
  /** Offsets of the records somebody still needs. */
  readonly needed = new Set<ByteOffset>();
  readonly #directory: StorageDirectory;
  readonly #open: () => Promise<StorageFile>;
  #file: Promise<StorageFile> | undefined;
  #users = 0;
  #idle: (() => void) | undefined;

  /** `open`: makes the file of a new segment; default: opens the one that is there. */
  constructor(options: { readonly directory: StorageDirectory; readonly number: number; readonly end: ByteCount; readonly sealed: boolean; readonly open?: (name: string) => Promise<StorageFile> }) {
    const { open = (name: string) => options.directory.open(name) } = options;
    this.#directory = options.directory;
    this.#open = () => open(segmentName(options.number));
    this.number = options.number;
    this.end = options.end;
    this.sealed = options.sealed;
  }

  /** Runs with the open file, which stays open until that is done. */
  async use<T>(run: (file: StorageFile) => Promise<T>): Promise<T> {
    this.#users += 1;
    try {
      this.#file ??= this.#open();
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

  /** Takes the rest of a file off, durably, that was longer when it was taken for this segment. Only while records are needed. */
  async cutOff(): Promise<void> {
    await this.use(async (file) => {
      if (file.size() <= this.end) return;
      await file.truncate(this.end);
      await file.sync();
    });
  }

  /** Gives the file away under another name; nobody uses the segment from now on. */
  async leave(name: string): Promise<StorageFile> {
    await this.#unused();
    const file = await this.#opened((this.#file ??= this.#open()));
    this.#file = undefined;
    await this.#directory.rename(segmentName(this.number), name);
    return file;
  }

  async close(): Promise<void> {
    await this.#unused();
    const file = this.#file;
    this.#file = undefined;
    if (file) await (await file).close();
  }

  async #unused(): Promise<void> {
    if (this.#users > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }
}
