// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { compressZstd, decompressZstd, recycleCompressed } from './zstd';

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

  it('gives back large content in memory that it is given, which may be larger and is used again', async () => {
    const memory = new SharedArrayBuffer(4 << 20);
    for (const seed of [3, 4]) {
      const content = Buffer.alloc(3_000_001, `content ${seed}`);
      const stored = (await compressZstd([content.subarray(0, 1000), content.subarray(1000)])) as Uint8Array;
      const back = await decompressZstd(stored, { bytesMax: content.length, memory: () => memory });
      expect(back.buffer === memory && Buffer.from(back).equals(content)).toBe(true);
    }
  });

  it('joins more parts than a few, and leaves them as they are', async () => {
    const parts = Array.from({ length: 300 }, (_, index) => Buffer.alloc(10_000, index));
    const stored = (await compressZstd(parts)) as Uint8Array;
    expect(Buffer.from(await decompressZstd(stored, { bytesMax: 3_000_000 })).equals(Buffer.concat(parts))).toBe(true);
    expect(parts[299]?.every((byte) => byte === 299 % 256)).toBe(true);
  });

  it('refuses to produce more than it may', async () => {
    const bomb = (await compressZstd([Buffer.alloc(10_000_000)])) as Uint8Array;
    await expect(decompressZstd(bomb, { bytesMax: 1_000_000 })).rejects.toThrow('zstd: Destination buffer is too small');
    await expect(decompressZstd(bomb, { bytesMax: 1_000_000, memory: () => new ArrayBuffer(16_000_000) })).rejects.toThrow('zstd: Destination buffer is too small');
  });

  it('is what any zstd reads and writes', async () => {
    const content = Buffer.alloc(1_000_000, 'any zstd ');
    expect(zstdDecompressSync((await compressZstd([content.subarray(0, 7), content.subarray(7)])) as Uint8Array).equals(content)).toBe(true);
    expect(Buffer.from(await decompressZstd(zstdCompressSync(content), { bytesMax: content.length })).equals(content)).toBe(true);
  });

  it('takes no content and no parts', async () => {
    for (const parts of [[], [new Uint8Array(0)]]) {
      const stored = (await compressZstd(parts)) as Uint8Array;
      expect(await decompressZstd(stored, { bytesMax: 0 })).toHaveLength(0);
    }
  });

  it('makes large results in memory that was given back, once', async () => {
    const content = Buffer.alloc(1_000_000, 'again ');
    const stored = (await compressZstd([content])) as Uint8Array;
    expect([recycleCompressed(stored), recycleCompressed(stored), recycleCompressed(Buffer.alloc(1_000_000))]).toEqual([true, false, false]);
    const again = (await compressZstd([content])) as Uint8Array;
    const other = (await compressZstd([content])) as Uint8Array;
    expect([again.buffer === stored.buffer, other.buffer === stored.buffer]).toEqual([true, false]);
  });

  it('rejects what is damaged or cut off, and goes on', async () => {
    const content = Buffer.alloc(1_000_000, 'damaged ');
    const stored = Buffer.from((await compressZstd([content])) as Uint8Array);
    await expect(decompressZstd(stored.subarray(0, stored.length - 3), { bytesMax: content.length })).rejects.toThrow('zstd: ');
    await expect(decompressZstd(Buffer.alloc(100, 1), { bytesMax: content.length })).rejects.toThrow('zstd: Unknown frame descriptor');
    expect(Buffer.from(await decompressZstd(stored, { bytesMax: content.length })).equals(content)).toBe(true);
  });

  it('reads and writes memory that nobody else holds any more', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const made = Array.from({ length: 8 }, (_, seed) => compressZstd([Buffer.alloc(4_000_000, `${seed} held `)]));
    const pressure = setInterval(collect, 1);
    const back = await Promise.all(made.map(async (stored) => decompressZstd((await stored) as Uint8Array, { bytesMax: 4_000_000 })));
    clearInterval(pressure);
    back.forEach((content, seed) => expect(Buffer.from(content).equals(Buffer.alloc(4_000_000, `${seed} held `))).toBe(true));
  });
});
