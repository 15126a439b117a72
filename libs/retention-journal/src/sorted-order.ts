// SPDX-License-Identifier: Apache-2.0
/** Bits sorted by at once, at most: so many counters stay in the nearest cache. */
const DIGIT_BITS_MAX = 11;
const WORD = 2 ** 32;

/** Indexes of `keys`, whole numbers from 0 to 2^53-1, in ascending order of key; equal keys keep their order. Radix sort: linear time. */
export function sortedOrder(keys: Float64Array): Uint32Array {
  return new KeySorter().sort(keys);
}

/** The same again and again in the memory of the first times: what it returns holds until it is asked next. */
export class KeySorter {
  readonly #places = new Uint32Array(2 ** DIGIT_BITS_MAX);
  #words = new Uint32Array(0);
  #order = new Uint32Array(0);
  #spare = new Uint32Array(0);

  sort(keys: Float64Array): Uint32Array {
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
  #wordsOf(keys: Float64Array, { least, factor }: { readonly least: number; readonly factor: number }): Uint32Array {
    const words = this.#words;
    for (let index = 0; index < keys.length; index++) words[index] = ((keys[index] as number) - least) * factor;
    return words.subarray(0, keys.length);
  }

  #sortByDigit(words: Uint32Array, { shift, mask }: { readonly shift: number; readonly mask: number }): void {
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
    [this.#words, this.#order, this.#spare] = [new Uint32Array(count), new Uint32Array(count), new Uint32Array(count)];
  }
}

/** Index of the first of `count` ascending values that is above `limit`; `count` if none is. */
export function firstAbove(values: Float64Array, { count, limit }: { readonly count: number; readonly limit: number }): number {
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
function spanOf(keys: Float64Array): { readonly least: number; readonly unit: number; readonly range: number } {
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
