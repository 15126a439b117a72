// SPDX-License-Identifier: Apache-2.0
declare const brand: unique symbol;

/** Number of a change set inside its epoch: 1, 2, 3 … without gaps. */
export type SequenceNumber = number & { readonly [brand]?: 'SequenceNumber' };

/** Grows at every resynchronisation, failover and failback of a pair; data of an older epoch is refused (I6). */
export type Epoch = number & { readonly [brand]?: 'Epoch' };

/** Throws RangeError unless the value is a whole number of at least 0 (0 means "none yet"). */
export function sequenceNumber(value: number): SequenceNumber {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a sequence number`);
  return value;
}

export function nextSequence(value: SequenceNumber): SequenceNumber {
  return value + 1;
}

/** Throws RangeError unless the value is a whole number of 0 … 2^32-1 (0 means "none yet"). */
export function epoch(value: number): Epoch {
  if (!Number.isSafeInteger(value) || value < 0 || value > 0xffffffff) throw new RangeError(`${value} is not an epoch`);
  return value;
}

export function nextEpoch(value: Epoch): Epoch {
  return value + 1;
}
