// SPDX-License-Identifier: Apache-2.0
import { collectedMemory, type JournalMemory } from './journal-memory';

/** Bits sorted by at once, at most: so many counters stay in the nearest cache. */
const DIGIT_BITS_MAX = 11;
const WORD = 2 ** 32;

/** Indexes of `keys`, whole numbers from 0 to 2^53-1, in ascending order of key; equal keys keep their order. Radix sort: linear time. */
export function sortedOrder(keys: Float64Array<ArrayBufferLike>): Uint32Array<ArrayBufferLike> {
  return new KeySorter().sort(keys);
}

/** The same again and again in the memory of the first times: what it returns holds until it is asked next. */
export class KeySorter {
  readonly #source: JournalMemory;
  readonly #places = new Uint32Array(2 ** DIGIT_BITS_MAX);
  #memory: ArrayBufferLike | undefined;
  #words: Uint32Array<ArrayBufferLike> = new Uint32Array(0);
  #order: Uint32Array<ArrayBufferLike> = new Uint32Array(0);
  #spare: Uint32Array<ArrayBufferLike> = new Uint32Array(0);

  constructor(source: JournalMemory = collectedMemory) {
    this.#source = source;
  }

  sort(keys: Float64Array<ArrayBufferLike>): Uint32Array<ArrayBufferLike> {
    this.#reserve(keys.length);
    for (let index = 0; index < keys.length; index++) this.#order[index] = index;
    const { least, unit, range } = spanOf(keys);
    for (let scale = 1; scale <= range; scale *= WORD) {
      const words = this.#wordsOf(keys, { least, factor: 1 / unit / scale });
      const bits = 32 - Math.clz32(Math.min(range / scale, WORD - 1));
      const digitBits = Math.ceil(bits / Math.ceil(bits / DIGIT_BITS_MAX));
      for (let shift = 0; shift < bits; shift += digitBits) this.#sortByDigit(words, { shift, mask: 2 ** digitBits - 1 });
    }
    return this.#order.subarray(0, keys.length);
  }

  /** The lowest 32 bits of what is left of each key. Factors are powers of two: multiplying loses nothing. */
  #wordsOf(keys: Float64Array<ArrayBufferLike>, { least, factor }: { readonly least: number; readonly factor: number }): Uint32Array<ArrayBufferLike> {
    const words = this.#words;
    for (let index = 0; index < keys.length; index++) words[index] = ((keys[index] as number) - least) * factor;
    return words.subarray(0, keys.length);
  }

  #sortByDigit(words: Uint32Array<ArrayBufferLike>, { shift, mask }: { readonly shift: number; readonly mask: number }): void {
    const [places, order, into] = [this.#places.fill(0), this.#order, this.#spare];
    for (let index = 0; index < words.length; index++) {
      const digit = ((words[index] as number) >>> shift) & mask;
      places[digit] = (places[digit] as number) + 1;
    }
    for (let digit = 0, total = 0; digit <= mask; digit++) {
      const count = places[digit] as number;
      places[digit] = total;
      total += count;
    }
    for (let at = 0; at < words.length; at++) {
      const index = order[at] as number;
      const digit = ((words[index] as number) >>> shift) & mask;
      const place = places[digit] as number;
      into[place] = index;
      places[digit] = place + 1;
    }
    [this.#order, this.#spare] = [into, order];
  }

  #reserve(count: number): void {
    if (this.#order.length >= count) return;
    this.close();
    this.#memory = this.#source.take(3 * count * Uint32Array.BYTES_PER_ELEMENT);
    const columns = new Uint32Array(this.#memory, 0, 3 * count);
    [this.#words, this.#order, this.#spare] = [columns.subarray(0, count), columns.subarray(count, 2 * count), columns.subarray(2 * count, 3 * count)];
  }

  /** What it returned does not hold any more; it may be asked again. */
  close(): void {
    if (this.#memory) this.#source.giveBack(this.#memory);
    this.#memory = undefined;
    this.#words = this.#order = this.#spare = new Uint32Array(0);
  }
}

/** Index of the first of `count` ascending values that is above `limit`; `count` if none is. */
export function firstAbove(values: Float64Array<ArrayBufferLike>, { count, limit }: { readonly count: number; readonly limit: number }): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] as number) > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The least key, the power of two (at most 2^32) of which all are multiples, and how many of these lie between least and greatest: 0 when they ascend already. */
function spanOf(keys: Float64Array<ArrayBufferLike>): { readonly least: number; readonly unit: number; readonly range: number } {
  let [least, greatest, previous] = [Infinity, 0, 0];
  let lowBits = 0;
  let isAscending = true;
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] as number;
    if (key < previous) isAscending = false;
    if (key < least) least = key;
    if (key > greatest) greatest = key;
    lowBits |= key;
    previous = key;
  }
  const unit = lowBits === 0 ? WORD : (lowBits & -lowBits) >>> 0;
  return { least, unit, range: isAscending ? 0 : (greatest - least) / unit };
}
