// SPDX-License-Identifier: Apache-2.0
const DIGIT_BITS = 11;
const DIGITS = 1 << DIGIT_BITS;
/** What moves a digit of a key's low or high word to the bottom, least digit first. */
const digits = [{ word: 'low', shift: 0 }, { word: 'low', shift: DIGIT_BITS }, { word: 'low', shift: 2 * DIGIT_BITS }, { word: 'high', shift: 0 }, { word: 'high', shift: DIGIT_BITS }] as const;

/** Indexes of `keys`, whole numbers from 0 to 2^53-1, in ascending order of key; equal keys keep their order. Radix sort: linear time. */
export function sortedOrder(keys: Float64Array): Uint32Array {
  const order = new Uint32Array(keys.length);
  for (let index = 0; index < order.length; index++) order[index] = index;
  if (isAscending(keys)) return order;
  const words = { low: new Uint32Array(keys.length), high: new Uint32Array(keys.length) };
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] as number;
    words.low[index] = key % 0x1_0000_0000;
    words.high[index] = key / 0x1_0000_0000;
  }
  let [sorted, spare] = [order, new Uint32Array(keys.length)];
  for (const { word, shift } of digits) {
    if (sortByDigit({ words: words[word], shift, sorted, into: spare })) [sorted, spare] = [spare, sorted];
  }
  return sorted;
}

function isAscending(keys: Float64Array): boolean {
  for (let index = 1; index < keys.length; index++) if ((keys[index - 1] as number) > (keys[index] as number)) return false;
  return true;
}

/** False, with nothing done, when all words have the same digit. */
function sortByDigit({ words, shift, sorted, into }: { words: Uint32Array; shift: number; sorted: Uint32Array; into: Uint32Array }): boolean {
  const places = new Uint32Array(DIGITS);
  for (let index = 0; index < words.length; index++) {
    const digit = ((words[index] as number) >>> shift) & (DIGITS - 1);
    places[digit] = (places[digit] as number) + 1;
  }
  let total = 0;
  for (let digit = 0; digit < DIGITS; digit++) {
    const count = places[digit] as number;
    if (count === words.length) return false;
    places[digit] = total;
    total += count;
  }
  for (let at = 0; at < sorted.length; at++) {
    const index = sorted[at] as number;
    const digit = ((words[index] as number) >>> shift) & (DIGITS - 1);
    const place = places[digit] as number;
    into[place] = index;
    places[digit] = place + 1;
  }
  return true;
}
