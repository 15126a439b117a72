// SPDX-License-Identifier: Apache-2.0
// The cold store as one journal uses it: where its objects are called, when segments go there, and the blocks that come back.
import type { Compress, Decompress } from '@secondsite/change-set';
import type { ByteCount, OperationError, TimeMicros } from '@secondsite/units';
import { ColdBlocks } from './cold-blocks';
import { coldNameOf, uploadName } from './cold-format';
import type { ColdStore } from './cold-store';

/** When a segment goes to the cold store: whichever is first. */
export interface ColdPolicy {
  /** Its newest undo is older than this, and merging has no use for it any more. */
  readonly afterMicros: TimeMicros;
  /** The local files take more than this part of the space that they may; then also what merging would have made smaller. */
  readonly aboveShare: number;
}

export interface ColdTierOptions {
  readonly store: ColdStore;
  /** Begins the names of the journal's objects; nobody else's may begin so, for what no segment needs is removed there. */
  readonly folder: string;
  readonly policy: ColdPolicy;
  readonly compress: Compress;
  readonly decompress: Decompress;
  /** Resolves after about so many milliseconds. */
  readonly delay: (millis: number) => Promise<void>;
  /** Never the same twice, of a-z, 0-9 and `-`. */
  readonly newToken: () => string;
  /** Memory for blocks that views have read. */
  readonly cacheBytesMax: ByteCount;
  /** Called after each fetch for a view: with the failure when it was given up. */
  readonly onFetched?: (failure: OperationError | undefined) => void;
}

export class ColdTier {
  readonly store: ColdStore;
  readonly policy: ColdPolicy;
  readonly compress: Compress;
  readonly newToken: () => string;
  readonly blocks: ColdBlocks;
  readonly #folder: string;

  constructor(options: ColdTierOptions) {
    this.store = options.store;
    this.policy = options.policy;
    this.compress = options.compress;
    this.newToken = options.newToken;
    this.blocks = new ColdBlocks(options);
    this.#folder = options.folder;
  }

  /** What the names of an upload's objects begin with. */
  objectsOf(upload: string): string {
    return `${this.#folder}/${upload}`;
  }

  /**
   * Removes the objects that no file of `names` (the journal's folder) belongs to: of pruned segments and of uploads that were not finished. No upload
   * may be under way, and what is not in `names` any more must be durably gone.
   */
  async sweep(names: readonly string[]): Promise<void> {
    const needed = new Set(names.map((name) => coldNameOf(name.replace(/\.damaged$/, ''))).filter((name) => name !== undefined).map((name) => this.objectsOf(uploadName(name))));
    for await (const page of this.store.list(`${this.#folder}/`)) {
      const orphans = page.filter(({ name }) => !needed.has(name.slice(0, name.lastIndexOf('/'))));
      if (orphans.length > 0) await this.store.remove(orphans.map(({ name }) => name));
    }
  }
}
