// SPDX-License-Identifier: Apache-2.0
// What an agent keeps on disk for a protected volume: `<volume folder>/<pair id>.bitmap` and `.json`, and checksums of blocks in `.checksums`
// and `.stale`. Files of other pairs are stale: the volume changed without being watched, so a later protection starts with everything
// marked. For the same reason checksums without a bitmap mean nothing.
import { KeptChecksums } from '@secondsite/block-checksums';
import { openDirectory, readJsonFile, writeJsonAtomically } from '@secondsite/disk-files';
import type { StorageDirectory } from '@secondsite/durable-storage';
import type { ByteCount } from '@secondsite/units';
import { WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import { join } from 'node:path';
import { z } from 'zod';

const stateSchema = z.object({
  /** The newest resync request that was obeyed; absent for a pair that is new. */
  resyncRequest: z.int().nonnegative().optional(),
  /** Everything has to be read, and was not yet. */
  wholeResync: z.enum(['baseline', 'replica-lost', 'bitmap-lost', 'requested']).optional(),
  /** How big the volume is; it never shrinks. */
  volumeBytes: z.int().nonnegative().optional(),
});
export type PairState = z.infer<typeof stateSchema>;

/** Regions of 1 MiB that are marked with one for which a write waits, while many writes wait for marks. */
const AROUND_MAX = 64;

interface PairVolume {
  readonly pairId: string;
  readonly volumeId: string;
  readonly volumeBytes: ByteCount;
}

export class PairFiles {
  readonly #directory: StorageDirectory;
  #changing: Promise<void> = Promise.resolve();

  private constructor(directory: StorageDirectory) {
    this.#directory = directory;
  }

  /** `folder` is made when missing. */
  static async open(folder: string): Promise<PairFiles> {
    return new PairFiles(await openDirectory(folder));
  }

  async openBitmap({ pairId, volumeId, volumeBytes }: PairVolume): Promise<WriteIntentBitmap> {
    const name = `${pairId}.bitmap`;
    if (!(await this.#directory.list()).includes(name)) await this.#forgetChecksums(pairId);
    const bitmap = await WriteIntentBitmap.open({ directory: this.#directory, name, volumeId, volumeBytes, aroundMax: AROUND_MAX });
    if (bitmap.recovery.origin !== 'recovered') await this.#forgetChecksums(pairId);
    return bitmap;
  }

  /** After `openBitmap`. */
  openChecksums({ pairId, volumeBytes }: Omit<PairVolume, 'volumeId'>): Promise<KeptChecksums> {
    return KeptChecksums.open({ directory: this.#directory, name: pairId, pairId, volumeBytes });
  }

  /** Undefined for a pair that is new, or whose file was lost. */
  async state(pairId: string): Promise<PairState | undefined> {
    const state = stateSchema.safeParse(await readJsonFile(this.#stateFile(pairId)));
    return state.success ? state.data : undefined;
  }

  /** Durable when it resolves; one change after the other. */
  change(pairId: string, change: { readonly [Name in keyof PairState]: PairState[Name] | undefined }): Promise<void> {
    const done = this.#changing.then(async () => writeJsonAtomically(this.#stateFile(pairId), { ...(await this.state(pairId)), ...change }));
    this.#changing = done.catch(() => undefined); // The caller sees the failure.
    return done;
  }

  /** Resolves once the disk has taken something. Throws OperationError `storage/…` when it does not. */
  async probe(): Promise<void> {
    const name = 'probe.json';
    await writeJsonAtomically(join(this.#directory.path, name), {});
    await this.#directory.remove(name);
  }

  /** Removes the files of all pairs but one; durable on return. */
  async keepOnly(pairId: string | undefined): Promise<void> {
    for (const name of await this.#directory.list()) {
      if (pairId === undefined || !name.startsWith(`${pairId}.`)) await this.#directory.remove(name);
    }
    await this.#directory.sync();
  }

  async #forgetChecksums(pairId: string): Promise<void> {
    const names = await this.#directory.list();
    for (const name of [`${pairId}.stale`, `${pairId}.checksums`]) if (names.includes(name)) await this.#directory.remove(name);
    await this.#directory.sync();
  }

  #stateFile(pairId: string): string {
    return join(this.#directory.path, `${pairId}.json`);
  }
}
