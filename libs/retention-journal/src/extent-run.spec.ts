// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { UNCOVERED, ZEROS } from './extent-map';
import { ExtentRun } from './extent-run';
import { KeySorter } from './sorted-order';
import { UndoEntries } from './undo-entries';

const SPACE = 2000;

interface Piece {
  readonly offset: number;
  readonly length: number;
  readonly zero: boolean;
}

const pieces = fc.array(
  fc.record({
    offset: fc.integer({ min: 0, max: SPACE - 1 }),
    length: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 6 }) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: SPACE }) }),
    zero: fc.boolean(),
  }),
  { maxLength: 300, size: 'max' },
);

/** `first`: number of the first entry, so that every byte of every list has a place of its own. */
function entriesOf(list: readonly Piece[], first = 0): UndoEntries {
  const entries = new UndoEntries();
  list.forEach(({ offset, length, zero }, index) => {
    entries.push({ time: first + index, offset, length: Math.min(length, SPACE - offset), position: zero ? ZEROS : (first + index) * 10_000 });
  });
  return entries;
}

/** One value per byte: the oldest entry wins. */
function naive(...lists: readonly UndoEntries[]): Float64Array {
  const bytes = new Float64Array(SPACE).fill(UNCOVERED);
  for (const entries of lists) {
    for (let index = 0; index < entries.count; index++) {
      const { offset, length, position } = entries.at(index);
      for (let at = offset; at < offset + length; at++) if (bytes[at] === UNCOVERED) bytes[at] = position === ZEROS ? ZEROS : position + at - offset;
    }
  }
  return bytes;
}

function contentOf(run: ExtentRun): Float64Array {
  const bytes = new Float64Array(SPACE).fill(UNCOVERED);
  let last = -1;
  for (let index = 0; index < run.count; index++) {
    const [start, end, value] = [run.starts[index] as number, run.ends[index] as number, run.values[index] as number];
    if (start < last || end <= start) throw new Error(`extent ${index} is out of order`);
    for (let at = start; at < end; at++) bytes[at] = value === ZEROS ? ZEROS : value + at - start;
    last = end;
  }
  return bytes;
}

function expectSame(seen: Float64Array, expected: Float64Array): void {
  const different = seen.findIndex((value, at) => value !== expected[at]);
  if (different >= 0) throw new Error(`byte ${different} is ${seen[different]}, not ${expected[different]}`);
}

describe('a run of extents', () => {
  it('holds per byte the oldest of many overlapping entries', () => {
    fc.assert(fc.property(pieces, (list) => expectSame(contentOf(ExtentRun.ofEntries(entriesOf(list))), naive(entriesOf(list)))), { numRuns: 60 });
  });

  it('merged with a newer one keeps all of the older and what only the newer covers', () => {
    fc.assert(
      fc.property(pieces, pieces, (old, young) => {
        const [older, newer] = [entriesOf(old), entriesOf(young, old.length)];
        const merged = ExtentRun.merge(ExtentRun.ofEntries(older), ExtentRun.ofEntries(newer));
        expectSame(contentOf(merged), naive(older, newer));
      }),
      { numRuns: 60 },
    );
  });

  it('visits every byte of a range once, covered or not', () => {
    fc.assert(
      fc.property(pieces, fc.integer({ min: 0, max: SPACE - 1 }), fc.integer({ min: 1, max: SPACE }), (list, start, length) => {
        const end = Math.min(SPACE, start + length);
        const seen = new Float64Array(SPACE).fill(NaN);
        let last = start;
        ExtentRun.ofEntries(entriesOf(list)).visit(start, end, (from, to, value) => {
          if (from !== last || to > end) throw new Error(`piece ${from} to ${to} after ${last}`);
          for (let at = from; at < to; at++) seen[at] = value < 0 ? value : value + at - from;
          last = to;
        });
        expect(last).toBe(end);
        expectSame(seen.slice(start, end), naive(entriesOf(list)).slice(start, end));
      }),
      { numRuns: 60 },
    );
  });

  it('is sorted by whole numbers of any size, equal ones in their order', () => {
    const key = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 2 ** 31 - 3, max: 2 ** 31 + 3 }), fc.integer({ min: 2 ** 32 - 3, max: 2 ** 32 + 3 }), fc.maxSafeInteger().filter((value) => value >= 0));
    const sorter = new KeySorter();
    fc.assert(
      fc.property(fc.array(key, { maxLength: 200 }), fc.integer({ min: 0, max: 40 }), (numbers, zeroBits) => {
        const keys = numbers.map((value) => (value % 2 ** (53 - zeroBits)) * 2 ** zeroBits);
        const expected = keys.map((value, index) => ({ value, index })).sort((left, right) => left.value - right.value || left.index - right.index);
        expect([...sorter.sort(Float64Array.from(keys))]).toEqual(expected.map(({ index }) => index));
      }),
      { numRuns: 500 },
    );
  });
});
