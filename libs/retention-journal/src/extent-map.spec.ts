// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ExtentMap, UNCOVERED, ZEROS } from './extent-map';

const SPACE = 3000;
const command = fc.record({
  kind: fc.constantFrom('insert', 'overwrite', 'remove'),
  start: fc.integer({ min: 0, max: SPACE - 1 }),
  length: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 4 }) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 600 }) }),
  zero: fc.boolean(),
});

/** One value per byte: what the map must say. */
class NaiveMap {
  readonly bytes = new Float64Array(SPACE).fill(UNCOVERED);

  apply(kind: string, range: { start: number; end: number; value: number }): void {
    for (let at = range.start; at < range.end; at++) {
      if (kind === 'insert' && this.bytes[at] !== UNCOVERED) continue;
      this.bytes[at] = kind === 'remove' ? UNCOVERED : range.value === ZEROS ? ZEROS : range.value + at - range.start;
    }
  }
}

function contentOf(map: ExtentMap, start: number, end: number): Float64Array {
  const seen = new Float64Array(end - start).fill(NaN);
  let at = start;
  map.visit(start, end, (from, to, value) => {
    expect(from).toBe(at);
    for (let byte = from; byte < to; byte++) seen[byte - start] = value < 0 ? value : value + byte - from;
    at = to;
  });
  expect(at).toBe(end);
  return seen;
}

describe('an extent map', () => {
  it('says for every byte what a map of single bytes says', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 900, size: 'max' }), fc.integer({ min: 0, max: SPACE - 1 }), (commands, cut) => {
        const map = new ExtentMap();
        const naive = new NaiveMap();
        commands.forEach(({ kind, start, length, zero }, index) => {
          const end = Math.min(SPACE, start + length);
          const value = zero ? ZEROS : index * 100_000;
          if (kind === 'insert') map.insertUncovered(start, end, value);
          else if (kind === 'overwrite') map.overwrite(start, end, value);
          else map.remove(start, end);
          naive.apply(kind, { start, end, value });
        });
        expect(contentOf(map, 0, SPACE)).toEqual(naive.bytes);
        expect(contentOf(map, cut, SPACE)).toEqual(naive.bytes.slice(cut));
      }),
      { numRuns: 150 },
    );
  });

  it('joins extents that continue each other', () => {
    const map = new ExtentMap();
    for (let block = 0; block < 1000; block++) map.insertUncovered(block * 4096, (block + 1) * 4096, 10 + block * 4096);
    expect(map.extentCount).toBe(1);
  });
});
