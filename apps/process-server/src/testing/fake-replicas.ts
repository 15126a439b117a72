// SPDX-License-Identifier: Apache-2.0
import { decompressChangeSet, type VerifiedChangeSet, verifyStored } from '@secondsite/change-set';
import { applyToImage } from '@secondsite/change-set/testing';
import { BLOCKS_MISSING, type StoreOutcome } from '@secondsite/transport';
import { BlockFingerprinter, type BlockPlace, blockBytesOf, BlockTable, type DeduplicationScope, fullBlocksOf, isReferringSet, rebuildSet } from '@secondsite/wan-deduplication';
import { sha256Now } from '@secondsite/sha256';
import { zstdDecompressSync } from 'node:zlib';

const imageBytes = 32 * 1024 * 1024;
const decompress = async (bytes: Uint8Array): Promise<Uint8Array> => zstdDecompressSync(bytes);

/** Replicas in memory that a fake master target makes referring sets of its tenant whole from. */
export class FakeReplicas {
  readonly #scope: DeduplicationScope;
  readonly #table = BlockTable.ofBytes(1024 * 1024);
  readonly #images: Uint8Array[] = [];
  readonly #numbers = new Map<string, number>();

  constructor(scope: DeduplicationScope) {
    this.#scope = scope;
  }

  image(pairId: string): Uint8Array {
    return this.#images[this.#numberOf(pairId)] as Uint8Array;
  }

  /** The set itself, or made whole. */
  async resolve(body: Uint8Array): Promise<Uint8Array | Exclude<StoreOutcome, { readonly kind: 'stored' }>> {
    if (!isReferringSet(body)) return body;
    const set = await rebuildSet(body, {
      scope: this.#scope, table: this.#table, sha256: sha256Now, decompress,
      read: async (place, into) => this.#read(place, into), take: (bytes) => new ArrayBuffer(bytes), giveBack: () => undefined,
    });
    if (set.kind === 'rebuilt') return set.bytes;
    if (set.kind === 'damaged') return { kind: 'corrupt', code: set.code, detail: set.detail, hint: 'Send it again.' };
    return { kind: 'refused', code: BLOCKS_MISSING, detail: 'not here', hint: 'Send it in full.', missingBlocks: set.references };
  }

  /** In the order of the stream. */
  async apply(pairId: string, body: Uint8Array): Promise<void> {
    const stored = verifyStored(body);
    const set = stored.ok ? await decompressChangeSet(stored, decompress) : stored;
    if (!set.ok) return;
    applyToImage(this.image(pairId), set);
    this.#learn(pairId, set);
  }

  /** As after a restart: what was where is not remembered. */
  forgetPlaces(): void {
    new Uint8Array(this.#table.memory).fill(0);
  }

  #learn(pairId: string, set: VerifiedChangeSet): void {
    const fingerprinter = new BlockFingerprinter(this.#scope);
    const volume = this.#numberOf(pairId);
    for (const { bytes, block } of fullBlocksOf(set, blockBytesOf(this.#scope))) this.#table.put(fingerprinter.of(bytes), { volume, block });
  }

  #read({ volume, block }: BlockPlace, into: Uint8Array): boolean {
    const at = block * blockBytesOf(this.#scope);
    into.set(this.#images[volume]?.subarray(at, at + into.length) ?? new Uint8Array(0));
    return true;
  }

  #numberOf(pairId: string): number {
    const known = this.#numbers.get(pairId);
    if (known !== undefined) return known;
    this.#numbers.set(pairId, this.#images.length);
    return this.#images.push(new Uint8Array(imageBytes)) - 1;
  }
}
