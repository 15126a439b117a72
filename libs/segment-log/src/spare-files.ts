// SPDX-License-Identifier: Apache-2.0
// Files of segments that nobody needs any more, kept for the next segments: their blocks are allocated and their pages are in memory, so that
// appending to them changes no metadata and waits for nobody else's in a sync. Invariant: such a file is only overwritten when its new name is
// durable. Until then a crash finds the old segment as it was, or a spare, which is removed at open.
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import { type ByteCount, isOperationError } from '@secondsite/units';
import type { Segment } from './segment';

/** So many commits after the last was taken all are removed: little is written. */
const IDLE_COMMITS = 100;
const NAME = /^spare-\d{12}\.log$/;

interface Spare {
  readonly name: string;
  readonly file: StorageFile;
}

export class SpareFiles {
  readonly #directory: StorageDirectory;
  readonly #most: number;
  #spares: Spare[] = [];
  /** Being made; they count. */
  #coming = 0;
  #idleCommits = 0;
  #spaceIsShort = false;

  constructor(directory: StorageDirectory, most: number) {
    this.#directory = directory;
    this.#most = most;
  }

  /** Removes what an earlier process left. */
  static async removeLeft(directory: StorageDirectory): Promise<void> {
    for (const name of (await directory.list()).filter((entry) => NAME.test(entry))) await directory.remove(name);
  }

  /** False: there are enough, or space is short. */
  get mayKeep(): boolean {
    return !this.#spaceIsShort && this.#spares.length + this.#coming < this.#most;
  }

  get bytes(): ByteCount {
    return this.#spares.reduce((sum, { file }) => sum + file.size(), 0);
  }

  /** Takes the file of a segment over that nobody uses from now on. */
  async keep(segment: Segment): Promise<void> {
    this.#coming += 1;
    try {
      const name = `spare-${String(segment.number).padStart(12, '0')}.log`;
      this.#spares.push({ name, file: await segment.leave(name) });
    } finally {
      this.#coming -= 1;
    }
  }

  /** The file of a new segment: a spare, else a new one. What it holds is of no meaning; the folder has to be synced before it is written. */
  async take(name: string): Promise<StorageFile> {
    const spare = this.#spares.shift();
    if (!spare) return this.#directory.open(name, { create: true });
    this.#idleCommits = 0;
    await this.#directory.rename(spare.name, name);
    return spare.file;
  }

  /** The disk is full; none is kept before something is committed again. */
  async giveUp(): Promise<void> {
    this.#spaceIsShort = true;
    await this.remove();
  }

  /** A group was committed. True when the spares should go. */
  committed(): boolean {
    this.#spaceIsShort = false;
    this.#idleCommits += 1;
    return this.#idleCommits > IDLE_COMMITS && this.#spares.length > 0;
  }

  async remove(): Promise<void> {
    for (const { name, file } of this.#spares.splice(0)) {
      await file.close();
      await this.#directory.remove(name).catch(unlessGone);
    }
  }
}

function unlessGone(error: unknown): void {
  if (!isOperationError(error, 'storage/not-found')) throw error;
}
