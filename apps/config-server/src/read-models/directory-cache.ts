// SPDX-License-Identifier: Apache-2.0
import { type Directory, loadDirectory } from './directory';
import type { DataSource } from 'typeorm';

/** The newest directory; loaded again after each change. Concurrent callers share one load. */
export class DirectoryCache {
  #current: Directory | undefined;
  #loading: Promise<Directory> | undefined;
  #generation = 0;

  constructor(private readonly dataSource: DataSource) {}

  /** Something was appended: what is loaded now is old. */
  invalidate(): void {
    this.#generation += 1;
    this.#current = undefined;
    this.#loading = undefined;
  }

  /** Throws the database's error when it must be loaded and cannot. */
  async load(): Promise<Directory> {
    if (this.#current) return this.#current;
    const generation = this.#generation;
    this.#loading ??= loadDirectory(this.dataSource.manager).finally(() => {
      if (generation === this.#generation) this.#loading = undefined;
    });
    const loaded = await this.#loading;
    if (generation === this.#generation) this.#current = loaded;
    return loaded;
  }
}
