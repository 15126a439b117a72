// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { BlockTable } from './block-table';
import { FingerprintList, KnownBlocks } from './known-blocks';

const fingerprint = (index: number) => ({ low: Math.imul(index + 1, 0x9e3779b1) >>> 0, high: Math.imul(index + 1, 0x85ebca6b) >>> 0 });

describe('a table of blocks', () => {
  it('tells the newest place of a block until it is to forget it', () => {
    const table = BlockTable.ofBytes(4096);
    table.put(fingerprint(1), { volume: 7, block: 9 });
    table.put(fingerprint(1), { volume: 8, block: 0xffffffff });
    expect(table.placeOf(fingerprint(1))).toEqual({ volume: 8, block: 0xffffffff });
    table.forget(fingerprint(1));
    expect([table.has(fingerprint(1)), table.has(fingerprint(2))]).toEqual([false, false]);
  });

  it('never takes more memory than it may, and then forgets the oldest', () => {
    const bytesMax = 100_000;
    const table = BlockTable.ofBytes(bytesMax);
    expect(table.memory.byteLength).toBeLessThanOrEqual(bytesMax);
    const room = bytesMax / 16;
    for (let index = 0; index < 10 * room; index++) table.put(fingerprint(index), { volume: 0, block: index });
    const remembered = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => table.has(fingerprint(from + index))).filter(Boolean).length / (to - from);
    expect(remembered(9.5 * room, 10 * room)).toBeGreaterThan(0.9);
    expect(remembered(0, 5 * room)).toBe(0);
  });

  it('keeps what is seen again', () => {
    const table = BlockTable.ofBytes(8 * 16);
    for (let index = 0; index < 100; index++) {
      table.put(fingerprint(index), { volume: 0, block: index });
      table.put(fingerprint(0), { volume: 0, block: 0 });
    }
    expect([0, 93, 94, 99].map((index) => table.has(fingerprint(index)))).toEqual([true, true, true, true]);
    expect(table.has(fingerprint(92))).toBe(false);
  });

  it('is the same in another thread that has its memory', () => {
    const table = BlockTable.ofBytes(4096);
    new BlockTable(table.memory).put(fingerprint(3), { volume: 1, block: 2 });
    expect(table.placeOf(fingerprint(3))).toEqual({ volume: 1, block: 2 });
  });

  it('keeps apart what different targets have', () => {
    const table = BlockTable.ofBytes(4096);
    const [one, other] = ['https://one', 'https://other'].map((target) => new KnownBlocks(table, { target })) as [KnownBlocks, KnownBlocks];
    const list = FingerprintList.ofRoom(4);
    list.push(fingerprint(1));
    list.push(fingerprint(2));
    one.learn(list);
    one.forget(fingerprint(2));
    expect([one.has(fingerprint(1)), one.has(fingerprint(2)), other.has(fingerprint(1))]).toEqual([true, false, false]);
  });
});
