// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { sha256 } from './sha256';

describe('sha256', () => {
  it('is that of the parts in one piece, and lets others have their turn', async () => {
    const parts = Array.from({ length: 20 }, (_, index) => randomBytes(100_000 * index));
    let turns = 0;
    const other = setInterval(() => (turns += 1), 0);
    const digest = await sha256(parts);
    clearInterval(other);
    expect(Buffer.from(digest)).toEqual(createHash('sha256').update(Buffer.concat(parts)).digest());
    expect(turns).toBeGreaterThan(0);
  });
});
