// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ExtentMap, UNCOVERED, ZEROS } from './extent-map';
import { ExtentRun } from './extent-run';
import { sortedOrder } from './sorted-order';
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

describe('a run of extents', () => {
  it('holds per byte the oldest of many overlapping entries', () => {
    fc.assert(fc.property(pieces, (list) => expect(contentOf(ExtentRun.ofEntries(entriesOf(list)))).toEqual(naive(entriesOf(list)))), { numRuns: 60 });
  });

  it('merged with a newer one keeps all of the older and what only the newer covers', () => {
    fc.assert(
      fc.property(pieces, pieces, (old, young) => {
        const [older, newer] = [entriesOf(old), entriesOf(young, old.length)];
        const merged = ExtentRun.merge(ExtentRun.ofEntries(older), ExtentRun.ofEntries(newer));
        expect(contentOf(merged)).toEqual(naive(older, newer));
      }),
      { numRuns: 60 },
    );
  });

  it('becomes a map that goes on like one that was built by inserting', () => {
    fc.assert(
      fc.property(pieces, pieces, (old, young) => {
        const map = ExtentMap.ofRun(ExtentRun.ofEntries(entriesOf(old)));
        const newer = entriesOf(young, old.length);
        for (let index = 0; index < newer.count; index++) {
          const { offset, length, position } = newer.at(index);
          map.insertUncovered(offset, offset + length, position);
        }
        const seen = new Float64Array(SPACE).fill(NaN);
        map.visit(0, SPACE, (start, end, value) => {
          for (let at = start; at < end; at++) seen[at] = value < 0 ? value : value + at - start;
        });
        expect(seen).toEqual(naive(entriesOf(old), newer));
      }),
      { numRuns: 40 },
    );
  });

  it('is sorted by whole numbers of any size, equal ones in their order', () => {
    const key = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.maxSafeInteger().filter((value) => value >= 0));
    fc.assert(
      fc.property(fc.array(key, { maxLength: 200 }), (keys) => {
        const expected = keys.map((value, index) => ({ value, index })).sort((left, right) => left.value - right.value || left.index - right.index);
        expect([...sortedOrder(Float64Array.from(keys))]).toEqual(expected.map(({ index }) => index));
      }),
    );
  });
});
