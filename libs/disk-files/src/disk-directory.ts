// SPDX-License-Identifier: Apache-2.0
import { constants, openSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, statfs } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { StorageDirectory } from '@secondsite/durable-storage';
import type { ByteCount } from '@secondsite/units';
import { DiskFile } from './disk-file';
import { storageFailure } from './storage-failure';

const ownerOnly = 0o600;

/** A real folder behind the storage port. `list` names its files, not its sub-folders. */
export class DiskDirectory implements StorageDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  async list(): Promise<string[]> {
    const entries = await this.#try('list folder', readdir(this.path, { withFileTypes: true }));
    return entries.filter((entry) => entry.isFile()).map((entry) => entry.name).sort();
  }

  async open(name: string, options: { readonly create?: boolean } = {}): Promise<DiskFile> {
    const path = join(this.path, name);
    const flags = constants.O_RDWR | (options.create === true ? constants.O_CREAT : 0);
    try {
      return new DiskFile({ fd: openSync(path, flags, ownerOnly), path });
    } catch (error) {
      throw storageFailure(error, { operation: 'open file', path });
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#try('rename file', rename(join(this.path, from), join(this.path, to)));
  }

  async remove(name: string): Promise<void> {
    await this.#try('remove file', rm(join(this.path, name)));
  }

  /** The new sub-folder is durable when this resolves. */
  async directory(name: string): Promise<DiskDirectory> {
    const created = await this.#try('make folder', mkdir(join(this.path, name), { recursive: true }));
    if (created !== undefined) await this.sync();
    return new DiskDirectory(join(this.path, name));
  }

  async sync(): Promise<void> {
    const folder = await this.#try('open folder', open(this.path, 'r'));
    try {
      await this.#try('make folder durable', folder.sync());
    } finally {
      await folder.close();
    }
  }

  async freeBytes(): Promise<ByteCount> {
    const stats = await this.#try('read free space', statfs(this.path));
    return stats.bavail * stats.bsize;
  }

  async #try<T>(operation: string, running: Promise<T>): Promise<T> {
    try {
      return await running;
    } catch (error) {
      throw storageFailure(error, { operation, path: this.path });
    }
  }
}

/** Opens a folder, made with its parents if missing (mode 0700 for new ones). */
export async function openDirectory(path: string): Promise<DiskDirectory> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw storageFailure(error, { operation: 'make folder', path });
  }
  return new DiskDirectory(path);
}
