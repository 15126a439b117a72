// SPDX-License-Identifier: Apache-2.0
// Makes change sets again that refer to blocks of the tenant's replicas (ADR 24), and remembers what is written to the pair's own. Invariants: one
// set at a time, so that its memory is bounded (I9); what cannot be resolved stores nothing.
import type { Decompress, VerifiedChangeSet } from '@secondsite/change-set';
import type { StorageFile } from '@secondsite/durable-storage';
import { BLOCKS_MISSING, type StoreOutcome } from '@secondsite/transport/protocol';
import { isOperationError } from '@secondsite/units';
import {
  BlockFingerprinter, type BlockPlace, blockBytesOf, type BlockTable, type DeduplicationScope, fullBlocksOf, type ReadBlocks, rebuildSet, type Sha256,
} from '@secondsite/wan-deduplication';
import type { ReadMemory } from '../pair/read-memory';
import { corrupt } from '../pair/store-answers';

/** What all pairs of a master target share. */
export interface SharedBlocks {
  readonly scope: DeduplicationScope;
  /** Where blocks of the replicas were seen, by the `volumeNumber` of their pair. */
  readonly table: BlockTable;
  readonly sha256: Sha256;
  /** Of the replicas of other pairs. */
  readonly readOther: ReadBlocks;
}

export interface SetRebuilderOptions extends SharedBlocks {
  readonly pairId: string;
  readonly replica: StorageFile;
  readonly decompress: Decompress;
  readonly memory: ReadMemory;
}

export type Rebuilding = { readonly kind: 'rebuilt'; readonly bytes: Uint8Array } | { readonly kind: 'answer'; readonly answer: StoreOutcome };

/** By which a table names a pair's replica. Two pairs could share one: then the block is looked for in the wrong place and not found. */
export function volumeNumber(pairId: string): number {
  return Number.parseInt(pairId.slice(0, 8), 16);
}

export class SetRebuilder {
  readonly #options: SetRebuilderOptions;
  readonly #fingerprinter: BlockFingerprinter;
  readonly #volume: number;
  #turn: Promise<unknown> = Promise.resolve();
  /** Whether the blocks that are written here may be referred to. */
  learns = false;
  rebuiltSets = 0;

  constructor(options: SetRebuilderOptions) {
    this.#options = options;
    this.#fingerprinter = new BlockFingerprinter(options.scope);
    this.#volume = volumeNumber(options.pairId);
  }

  /** `bytes`: a referring set, unchecked; not read any more when it resolves. The rebuilt set is unchecked as well. */
  rebuild(bytes: Uint8Array): Promise<Rebuilding> {
    const turn = this.#turn.then(() => this.#rebuild(bytes));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** The replica holds the set's blocks now. */
  learn(set: VerifiedChangeSet): void {
    if (!this.learns) return;
    const { table, scope } = this.#options;
    for (const { bytes, block } of fullBlocksOf(set, blockBytesOf(scope))) table.put(this.#fingerprinter.of(bytes), { volume: this.#volume, block });
  }

  async #rebuild(bytes: Uint8Array): Promise<Rebuilding> {
    const { memory, ...options } = this.#options;
    const set = await rebuildSet(bytes, {
      ...options,
      read: (place, into) => this.#read(place, into),
      take: (length) => memory.take(length),
      giveBack: (unused) => void memory.giveBack(unused),
    });
    if (set.kind === 'rebuilt') {
      this.rebuiltSets += 1;
      return set;
    }
    return { kind: 'answer', answer: set.kind === 'damaged' ? corrupt(set.code, set.detail) : blocksMissing(set.references) };
  }

  async #read(place: BlockPlace, into: Uint8Array): Promise<boolean> {
    const { replica, scope, readOther } = this.#options;
    if (place.volume !== this.#volume) return readOther(place, into);
    try {
      return (await replica.read(into, place.block * blockBytesOf(scope))) === into.length;
    } catch (error) {
      if (isOperationError(error)) return false;
      throw error;
    }
  }
}

function blocksMissing(references: readonly number[]): StoreOutcome {
  const detail = `${references.length} of the blocks that the set refers to are not here any more`;
  return { kind: 'refused', code: BLOCKS_MISSING, detail, hint: 'Send the set in full.', missingBlocks: references };
}
