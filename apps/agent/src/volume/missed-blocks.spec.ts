// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { GIB, KIB, MIB } from '@secondsite/units';
import fc from 'fast-check';
import { MissedBlocks } from './missed-blocks';

const volumeBytes = 300 * KIB + 100;

describe('blocks that were missed', () => {
  it.each([[128 * GIB, 4 * KIB], [128 * GIB + 1, 8 * KIB], [1024 * GIB, 32 * KIB]])('of a volume of %d bytes have %d bytes', (bytes, blockBytes) => {
    expect(new MissedBlocks({ volumeBytes: bytes, regionBytes: MIB }).blockBytes).toBe(blockBytes);
  });

  it('cover what was added and not deleted since, in whole blocks, and nothing else', () => {
    const range = fc.tuple(fc.nat(volumeBytes - 1), fc.integer({ min: 1, max: 20 * KIB })).map(([offset, length]) => ({ offset, length: Math.min(length, volumeBytes - offset) }));
    const step = fc.record({ kind: fc.constantFrom('add', 'add', 'delete' as const), range });
    fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const missed = new MissedBlocks({ volumeBytes, regionBytes: MIB });
      const model = new Set<number>();
      for (const { kind, range: { offset, length } } of steps) {
        missed[kind]({ offset, length });
        for (let block = Math.floor(offset / 4096); block * 4096 < offset + length; block++) model[kind](block);
      }
      const found = new Set<number>();
      let end = -1;
      for (const part of missed.partsOf({ offset: 0, length: volumeBytes })) {
        expect(part.offset).toBeGreaterThan(end);
        end = part.offset + part.length;
        for (let block = part.offset / 4096; block * 4096 < end; block++) found.add(block);
      }
      expect(end).toBeLessThanOrEqual(volumeBytes);
      expect(found).toEqual(model);
      expect(missed.bytes).toBe(model.size * 4096);
    }));
  });

  it('are no larger than a region', () => {
    expect(new MissedBlocks({ volumeBytes, regionBytes: 2048 }).blockBytes).toBe(2048);
  });

  it('are told of one part of the volume', () => {
    const missed = new MissedBlocks({ volumeBytes: 3 * MIB, regionBytes: MIB });
    missed.add({ offset: MIB - 10, length: 20 });
    expect(missed.partsOf({ offset: 0, length: MIB })).toEqual([{ offset: MIB - 4096, length: 4096 }]);
    expect(missed.partsOf({ offset: MIB, length: MIB })).toEqual([{ offset: MIB, length: 4096 }]);
    expect(missed.partsOf({ offset: 2 * MIB, length: MIB })).toEqual([]);
  });
});
