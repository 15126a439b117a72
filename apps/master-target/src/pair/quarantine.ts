// SPDX-License-Identifier: Apache-2.0
import type { StorageDirectory } from '@secondsite/durable-storage';
import { type ByteCount, MIB } from '@secondsite/units';
import type { StreamPlace } from './pair-types';

const BYTES_MAX = 64 * MIB;

/** Keeps sets of a fenced epoch aside (I6), never applied; bounded: when it is full, later ones are only reported. */
export class Quarantine {
  readonly #directory: StorageDirectory;
  #bytes: ByteCount;

  private constructor(directory: StorageDirectory, bytes: ByteCount) {
    this.#directory = directory;
    this.#bytes = bytes;
  }

  static async open(directory: StorageDirectory): Promise<Quarantine> {
    let bytes = 0;
    for (const name of await directory.list()) {
      const file = await directory.open(name);
      bytes += file.size();
      await file.close();
    }
    return new Quarantine(directory, bytes);
  }

  /** Durable on return, when it was kept. */
  async keep({ epoch, sequence }: StreamPlace, bytes: Uint8Array): Promise<boolean> {
    if (this.#bytes + bytes.length > BYTES_MAX) return false;
    this.#bytes += bytes.length;
    const file = await this.#directory.open(`${epoch}-${sequence}.change-set`, { create: true });
    await file.write([bytes], 0);
    await file.truncate(bytes.length);
    await file.sync();
    await file.close();
    await this.#directory.sync();
    return true;
  }
}
