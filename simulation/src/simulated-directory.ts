// SPDX-License-Identifier: Apache-2.0
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import type { ByteCount } from '@secondsite/units';
import type { Life } from './life';
import type { SimulatedDisk } from './simulated-disk';
import { SimulatedFile } from './simulated-file';

export interface OnDisk<Inner> {
  readonly inner: Inner;
  readonly disk: SimulatedDisk;
  readonly life: Life;
}

export class SimulatedDirectory implements StorageDirectory {
  readonly #on: OnDisk<StorageDirectory>;

  constructor(on: OnDisk<StorageDirectory>) {
    this.#on = on;
  }

  get path(): string {
    return this.#on.inner.path;
  }

  list(): Promise<string[]> {
    return this.#entry((inner) => inner.list());
  }

  async open(name: string, options?: { readonly create?: boolean }): Promise<StorageFile> {
    const inner = await this.#entry((directory) => directory.open(name, options));
    return new SimulatedFile({ ...this.#on, inner });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#entry((inner) => inner.rename(from, to));
  }

  remove(name: string): Promise<void> {
    return this.#entry((inner) => inner.remove(name));
  }

  async directory(name: string): Promise<StorageDirectory> {
    return new SimulatedDirectory({ ...this.#on, inner: await this.#on.inner.directory(name) });
  }

  async sync(): Promise<void> {
    const { inner, disk, life } = this.#on;
    await life.sleep(disk.latencyMicros('sync'));
    await inner.sync();
  }

  freeBytes(): Promise<ByteCount> {
    return this.#entry((inner) => inner.freeBytes());
  }

  async #entry<Result>(run: (inner: StorageDirectory) => Promise<Result>): Promise<Result> {
    const { inner, disk, life } = this.#on;
    await life.sleep(disk.latencyMicros('entry'));
    return run(inner);
  }
}
