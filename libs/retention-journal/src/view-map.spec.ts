// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { randomBelow, seededRandom } from '@secondsite/durable-storage/testing';
import { KIB } from '@secondsite/units';
import { UNCOVERED } from './extent-map';
import { SpoilingMemory } from './testing/spoiling-memory';
import { UndoEntries } from './undo-entries';
import { ViewMap } from './view-map';

const BLOCKS = 50_000;

describe('the map of a view', () => {
  it('with many large segments says for every block what the oldest undo after the instant says, and what comes later', () => {
    const seed = Date.now() % 2 ** 31;
    const random = seededRandom(seed);
    const pointTime = 1000;
    const memory = new SpoilingMemory();
    const map = new ViewMap(pointTime, memory);
    const oldest = new Float64Array(BLOCKS).fill(UNCOVERED);
    let [time, position] = [0, 0];
    const segment = (count: number): UndoEntries => {
      const entries = new UndoEntries();
      for (let made = 0; made < count; made++) {
        const block = randomBelow(random, BLOCKS);
        entries.push({ time: ++time, offset: block * 4 * KIB, length: 4 * KIB, position });
        if (time > pointTime && oldest[block] === UNCOVERED) oldest[block] = position;
        position += 10_000;
      }
      return entries;
    };
    const live: UndoEntries[] = [];
    for (let made = 0; made < 24; made++) map.addSegment(segment(made % 2 === 0 ? 66_000 : 100));
    live.push(segment(500));
    for (const entries of live) map.addLive(entries);
    map.finishLoading();
    map.addLive(segment(500));
    const seen = new Float64Array(BLOCKS);
    map.visit(0, BLOCKS * 4 * KIB, (start, end, value) => {
      for (let at = start; at < end; at += 4 * KIB) seen[at / (4 * KIB)] = value < 0 ? value : value + at - start;
    });
    expect({ seed, same: Buffer.from(seen.buffer).equals(Buffer.from(oldest.buffer)) }).toEqual({ seed, same: true });
    expect(map.memoryBytes).toBeLessThan(17 * BLOCKS * 24 + 100_000);
    expect(memory.piecesInUse).toBeLessThanOrEqual(16);
    map.close();
    map.close();
    expect(memory.piecesInUse).toBe(0);
    expect(() => map.visit(0, 1, () => undefined)).toThrow(/closed/);
  });
});
