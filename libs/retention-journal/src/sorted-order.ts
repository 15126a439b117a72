// SPDX-License-Identifier: Apache-2.0
const DIGIT_BITS = 11;
const DIGITS = 1 << DIGIT_BITS;
/** What moves each digit of a number below 2^53 to the bottom, least digit first. Powers of two: multiplying loses nothing. */
const scales = [0, 1, 2, 3, 4].map((digit) => 2 ** (-DIGIT_BITS * digit));

/** Indexes of `keys`, whole numbers from 0 to 2^53-1, in ascending order of key; equal keys keep their order. Radix sort: linear time. */
export function sortedOrder(keys: Float64Array): Uint32Array {
  const order = new Uint32Array(keys.length);
  for (let index = 0; index < order.length; index++) order[index] = index;
  if (isAscending(keys)) return order;
  let [sorted, spare] = [order, new Uint32Array(keys.length)];
  for (const scale of scales) if (sortByDigit({ keys, scale, sorted, into: spare })) [sorted, spare] = [spare, sorted];
  return sorted;
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

function isAscending(keys: Float64Array): boolean {
  for (let index = 1; index < keys.length; index++) if ((keys[index - 1] as number) > (keys[index] as number)) return false;
  return true;
}

/** False, with nothing done, when all keys have the same digit. */
function sortByDigit({ keys, scale, sorted, into }: { keys: Float64Array; scale: number; sorted: Uint32Array; into: Uint32Array }): boolean {
  const places = new Uint32Array(DIGITS);
  for (let index = 0; index < keys.length; index++) {
    const digit = ((keys[index] as number) * scale) & (DIGITS - 1);
    places[digit] = (places[digit] as number) + 1;
  }
  let total = 0;
  for (let digit = 0; digit < DIGITS; digit++) {
    const count = places[digit] as number;
    if (count === keys.length) return false;
    places[digit] = total;
    total += count;
  }
  for (let at = 0; at < sorted.length; at++) {
    const index = sorted[at] as number;
    const digit = ((keys[index] as number) * scale) & (DIGITS - 1);
    const place = places[digit] as number;
    into[place] = index;
    places[digit] = place + 1;
  }
  return true;
}
