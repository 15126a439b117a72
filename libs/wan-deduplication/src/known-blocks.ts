// SPDX-License-Identifier: Apache-2.0
import { type Fingerprint, markOf, mixed } from './block-fingerprinter';
import type { BlockTable } from './block-table';

/** Blocks that one target is known to have, in a table that all targets share. */
export class KnownBlocks {
  readonly #table: BlockTable;
  readonly #target: Fingerprint;

  constructor(table: BlockTable, { target }: { readonly target: string }) {
    this.#table = table;
    this.#target = markOf(target);
  }

  has(fingerprint: Fingerprint): boolean {
    return this.#table.has(mixed(fingerprint, this.#target));
  }

  learn(fingerprints: FingerprintList): void {
    for (const fingerprint of fingerprints) this.#table.put(mixed(fingerprint, this.#target), { volume: 0, block: 0 });
  }

  forget(fingerprint: Fingerprint): void {
    this.#table.forget(mixed(fingerprint, this.#target));
  }
}

/** Many fingerprints in one piece of memory, which can move to another thread. */
export class FingerprintList implements Iterable<Fingerprint> {
  /** Low and high words in turn; those behind `length` fingerprints are not used yet. */
  readonly words: Uint32Array;
  #length: number;

  constructor(words: Uint32Array, length = words.length / 2) {
    this.words = words;
    this.#length = length;
  }

  static ofRoom(fingerprintsMax: number): FingerprintList {
    return new FingerprintList(new Uint32Array(2 * fingerprintsMax), 0);
  }

  get length(): number {
    return this.#length;
  }

  push({ low, high }: Fingerprint): void {
    this.words[2 * this.#length] = low;
    this.words[2 * this.#length + 1] = high;
    this.#length += 1;
  }

  *[Symbol.iterator](): Iterator<Fingerprint> {
    for (let at = 0; at < 2 * this.#length; at += 2) yield { low: this.words[at] as number, high: this.words[at + 1] as number };
  }
}
