// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { compressZstd, decompressZstd } from './zstd';

describe('zstd', () => {
  it('gives back what went in, from any number of parts', async () => {
    const parts = [Buffer.alloc(3_000_000, 'change set '), Buffer.from('end')];
    const stored = await compressZstd(parts);
    expect(stored?.byteLength).toBeLessThan(10_000);
    const content = Buffer.concat(parts);
    expect(Buffer.from(await decompressZstd(stored as Uint8Array, { bytesMax: content.length })).equals(content)).toBe(true);
  });

  it('leaves content alone that would not shrink', async () => {
    expect(await compressZstd([randomBytes(1_000_000)])).toBeUndefined();
  });

  it('is not misled by an entry table in front of data that would not shrink', async () => {
    expect(await compressZstd([Buffer.alloc(64 * 1024), randomBytes(4_000_000)])).toBeUndefined();
  });

  it('compresses content of which only a part shrinks', async () => {
    expect((await compressZstd([Buffer.concat([randomBytes(500_000), Buffer.alloc(1_000_000)])]))?.byteLength).toBeLessThan(600_000);
  });

  it('refuses to produce more than it may', async () => {
    const bomb = (await compressZstd([Buffer.alloc(10_000_000)])) as Uint8Array;
    await expect(decompressZstd(bomb, { bytesMax: 1_000_000 })).rejects.toThrow();
  });
});
