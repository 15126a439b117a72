// SPDX-License-Identifier: Apache-2.0
// Blocks of cold segments on their way to views: fetched by range, decompressed, checked, and kept for a while. Bounded: the memory of what is
// kept, how many are fetched at once, and how long a store that does not answer is asked again. Blocks that many wait for are fetched once.
import { checksum, type Decompress } from '@secondsite/change-set';
import { type ByteCount, isOperationError, type OperationError } from '@secondsite/units';
import type { ColdStore } from './cold-store';
import { damaged } from './journal-failures';

export interface ColdBlocksOptions {
  readonly store: ColdStore;
  readonly decompress: Decompress;
  /** Resolves after about so many milliseconds. */
  readonly delay: (millis: number) => Promise<void>;
  readonly cacheBytesMax: ByteCount;
  /** Called after each fetch: with the failure when it was given up. */
  readonly onFetched?: (failure: OperationError | undefined) => void;
}

/** Where a block is stored and what it is. */
export interface BlockPlace {
  readonly object: string;
  readonly offset: number;
  readonly storedBytes: ByteCount;
  /** Not compressed when as many as `storedBytes`. */
  readonly bytes: ByteCount;
  readonly checksum: Uint8Array;
}

const FETCHES_MAX = 8;
const FIRST_PAUSE_MILLIS = 500;
/** The last of the pauses between attempts, each twice the one before. */
const LAST_PAUSE_MILLIS = 4000;

export class ColdBlocks {
  readonly #options: ColdBlocksOptions;
  /** The least recently used first. */
  readonly #kept = new Map<string, Uint8Array>();
  #keptBytes = 0;
  readonly #fetches = new Map<string, Promise<Uint8Array>>();
  #fetching = 0;
  readonly #queue: (() => void)[] = [];

  constructor(options: ColdBlocksOptions) {
    this.#options = options;
  }

  /** Bytes of blocks in memory. */
  get keptBytes(): ByteCount {
    return this.#keptBytes;
  }

  /**
   * The block that is called `key`, not to be changed; `place` says where it is when it has to be fetched. Rejects with `cold-store/unreachable`
   * after some attempts, at once with other failures of the store, and with `journal/damaged` when the store gave other bytes than were stored.
   */
  async block(key: string, place: () => Promise<BlockPlace>): Promise<Uint8Array> {
    const kept = this.#kept.get(key);
    if (kept) {
      this.#kept.delete(key);
      this.#kept.set(key, kept);
      return kept;
    }
    let fetch = this.#fetches.get(key);
    if (!fetch) {
      fetch = this.#fetchInTurn(place).finally(() => this.#fetches.delete(key));
      this.#fetches.set(key, fetch);
      void fetch.then((block) => this.#keep(key, block), () => undefined);
    }
    return fetch;
  }

  #keep(key: string, block: Uint8Array): void {
    this.#kept.set(key, block);
    this.#keptBytes += block.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#keptBytes <= this.#options.cacheBytesMax) break;
      this.#kept.delete(oldest);
      this.#keptBytes -= length;
    }
  }

  async #fetchInTurn(place: () => Promise<BlockPlace>): Promise<Uint8Array> {
    if (this.#fetching >= FETCHES_MAX) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#fetching += 1;
    try {
      const block = await this.#fetch(await place());
      this.#options.onFetched?.(undefined);
      return block;
    } catch (error) {
      if (isOperationError(error)) this.#options.onFetched?.(error);
      throw error;
    } finally {
      const next = this.#queue.shift();
      if (next) next();
      else this.#fetching -= 1;
    }
  }

  async #fetch({ object, offset, storedBytes, bytes, checksum: expected }: BlockPlace): Promise<Uint8Array> {
    const stored = await this.#read(object, { offset, length: storedBytes });
    const whole = stored.length === storedBytes;
    // What does not decompress was damaged, as what decompresses to something else.
    const block = whole && storedBytes < bytes ? await this.#options.decompress(stored, { bytesMax: bytes }).catch(() => undefined) : stored;
    if (!whole || block?.length !== bytes || !Buffer.from(checksum([block])).equals(expected)) throw damaged(object);
    return block;
  }

  async #read(object: string, range: { readonly offset: number; readonly length: ByteCount }): Promise<Uint8Array> {
    for (let pause = FIRST_PAUSE_MILLIS; ; pause *= 2) {
      try {
        return await this.#options.store.read(object, range);
      } catch (error) {
        if (!isOperationError(error) || !error.retryable || pause > LAST_PAUSE_MILLIS) throw error;
      }
      await this.#options.delay(pause);
    }
  }
}
