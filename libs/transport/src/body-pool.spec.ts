// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { MIB } from '@secondsite/units';
import { BodyPool } from './body-pool';

describe('the memory of bodies', () => {
  it('is used again for a body of about the same size', () => {
    const pool = new BodyPool({ idleBytesMax: 4 * MIB });
    const memory = pool.take(1.5 * MIB);
    pool.giveBack(memory);
    expect(pool.take(1.9 * MIB)).toBe(memory);
    expect(pool.take(1.9 * MIB)).not.toBe(memory);
  });

  it('is not kept without end, and small bodies are left to the collector', () => {
    const pool = new BodyPool({ idleBytesMax: 2 * MIB });
    const [first, second] = [pool.take(1.9 * MIB), pool.take(1.9 * MIB)];
    pool.giveBack(first);
    pool.giveBack(second);
    expect(pool.take(1.9 * MIB)).toBe(first);
    expect(pool.take(1.9 * MIB)).not.toBe(second);
    expect(pool.take(1000).byteLength).toBe(1000);
  });

  it('does not grow with the number of sizes: idle memory makes room for a larger body', () => {
    const pool = new BodyPool({ idleBytesMax: 16 * MIB });
    const small = Array.from({ length: 4 }, () => pool.take(1.9 * MIB));
    for (const memory of small) pool.giveBack(memory);
    const large = pool.take(3.9 * MIB);
    expect(large.byteLength).toBe(4 * MIB - 4096);
    const rest = [pool.take(1.9 * MIB), pool.take(1.9 * MIB)];
    expect(rest.filter((memory) => small.includes(memory))).toHaveLength(1);
  });

  it('is in whole huge pages when the body fills them, and no larger than needed otherwise', () => {
    const pool = new BodyPool({ idleBytesMax: 0 });
    expect([0.5, 1.5, 4.2, 7.9].map((size) => pool.take(size * MIB).byteLength)).toEqual([MIB, 2 * MIB - 4096, 5 * MIB, 8 * MIB - 4096]);
  });
});
