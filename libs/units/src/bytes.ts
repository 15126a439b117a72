// SPDX-License-Identifier: Apache-2.0
declare const brand: unique symbol;

/** Position in a volume or file, in bytes. A double holds it exactly up to 8 PiB. */
export type ByteOffset = number & { readonly [brand]?: 'ByteOffset' };

/** A length in bytes. */
export type ByteCount = number & { readonly [brand]?: 'ByteCount' };

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

/** Checks that a number can be a byte offset. Throws RangeError otherwise. */
export function byteOffset(value: number): ByteOffset {
  return wholeNumber(value, 'byte offset');
}

/** Checks that a number can be a length in bytes. Throws RangeError otherwise. */
export function byteCount(value: number): ByteCount {
  return wholeNumber(value, 'byte count');
}

function wholeNumber(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a ${what}`);
  return value;
}
