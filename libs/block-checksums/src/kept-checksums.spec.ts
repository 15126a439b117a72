// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import type { StorageFile } from '@secondsite/durable-storage';
import { crashHistories, CrashableStorage, randomBelow, type Random, seededRandom } from '@secondsite/durable-storage/testing';
import { MIB } from '@secondsite/units';
import { BlockHasher } from './block-hasher';
import { BLOCK_BYTES, BlockLayout, CHECKSUM_BYTES } from './block-layout';
import { ChecksummedContent } from './checksummed-content';
import { KeptChecksums } from './kept-checksums';

const pairId = '0b8f2f0e-5a3c-4a57-9f6e-0123456789ab';
const volumeBytes = 2 * MIB + 3 * BLOCK_BYTES + 700;
const blocks = BlockLayout.standard.blockCountOf(volumeBytes);
const hasher = new BlockHasher(pairId);

/** A disk whose changes are announced, and its kept checksums. */
class Volume {
  readBlocks = 0;
  private constructor(readonly disk: StorageFile, readonly kept: KeptChecksums, readonly content: ChecksummedContent) {}

  static async open(storage: CrashableStorage, sizeBytes = volumeBytes): Promise<Volume> {
    const disk = await storage.root.open('disk', { create: true });
    await disk.truncate(sizeBytes);
    const kept = await KeptChecksums.open({ directory: storage.root, name: 'pair', pairId, volumeBytes: sizeBytes });
    const content = new ChecksummedContent({ hasher, kept, read: (into, offset) => disk.read(into, offset) });
    return new Volume(disk, kept, content);
  }

  /** As the target does it. */
  async grow(sizeBytes: number): Promise<void> {
    const last = { offset: this.disk.size() - 1, length: 1 };
    for (let wait = this.kept.changing(last); wait; wait = this.kept.changing(last)) await wait;
    await this.disk.truncate(sizeBytes);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const range = { offset, length: bytes.length };
    for (let wait = this.kept.changing(range); wait; wait = this.kept.changing(range)) await wait;
    this.disk.writeNow(bytes, offset);
  }

  /** Everything as a resync asks for it; returns how many blocks had to be read. */
  async compare(): Promise<number> {
    let readBlocks = 0;
    for await (const chunk of this.content.chunksOf({ offset: 0, length: this.disk.size() })) readBlocks += chunk.readBlocks;
    return readBlocks;
  }

  flush(): Promise<void> {
    return this.kept.flush(() => this.disk.sync());
  }

  close(): Promise<void> {
    return this.kept.close(() => this.disk.sync());
  }

  /** Throws when something is known that is not so. Returns how many blocks are known. */
  async check(): Promise<number> {
    const image = Buffer.alloc(this.disk.size());
    this.disk.readNow(image, 0);
    const known = await this.kept.lookUp({ offset: 0, length: image.length });
    const actual = hasher.checksumsOf(image);
    known.forEach((checksum, block) => {
      if (checksum && !checksum.equals(actual.subarray(block * CHECKSUM_BYTES, (block + 1) * CHECKSUM_BYTES))) throw new Error(`block ${block} is known to be what it is not`);
    });
    return known.filter((checksum) => checksum !== undefined).length;
  }
}

const filled = (random: Random, length: number): Buffer => Buffer.alloc(length, 1 + randomBelow(random, 255));

/** Writes, comparisons and flushes, some of them at the same time. */
async function use(volume: Volume, random: Random): Promise<void> {
  let under: Promise<unknown>[] = [];
  const ended = async (): Promise<void> => {
    const failed = (await Promise.allSettled(under)).find((result) => result.status === 'rejected');
    under = [];
    if (failed) throw failed.reason;
  };
  for (let step = 0; step < 12; step++) {
    const roll = random();
    if (roll < 0.45) under.push(volume.write(randomBelow(random, volumeBytes - 3000), filled(random, 1 + randomBelow(random, 3000))));
    else if (roll < 0.7) under.push(volume.compare());
    else if (roll < 0.9) under.push(volume.flush());
    else await Promise.allSettled(under).then(() => volume.check());
    if (random() < 0.5) await ended();
  }
  await ended();
  await volume.check();
}

describe('kept checksums', () => {
  it('spare reading what was not written since, block by block, and over a clean stop region by region', async () => {
    const storage = new CrashableStorage();
    const volume = await Volume.open(storage);
    await volume.write(BLOCK_BYTES, Buffer.alloc(70_000, 3));
    expect(await volume.compare()).toBe(blocks);
    expect(await volume.compare()).toBe(0);
    await volume.write(20 * BLOCK_BYTES - 1, Buffer.alloc(2, 9));
    await volume.write(volumeBytes - 1, Buffer.alloc(1, 9));
    expect(await volume.compare()).toBe(3);
    await volume.write(5, Buffer.alloc(1, 9));
    expect(await volume.check()).toBe(blocks - 1);
    await volume.close();
    const again = await Volume.open(storage);
    expect(again.kept.knownBlocks).toBe(blocks - 16);
    expect(await again.compare()).toBe(16);
    expect(await again.check()).toBe(blocks);
  });

  it('let nothing change before its mark is on stable storage, also when no block is known any more', async () => {
    const volume = await Volume.open(new CrashableStorage());
    await volume.compare();
    await volume.flush();
    const first = volume.kept.changing({ offset: 0, length: volumeBytes });
    const second = volume.kept.changing({ offset: 5, length: 1 });
    expect([volume.kept.knownBlocks, first === undefined, second === undefined]).toEqual([0, false, false]);
    await Promise.all([first, second]);
    expect(volume.kept.changing({ offset: 5, length: 1 })).toBeUndefined();
  });

  it('forget the short last block of a volume that grows, and know the new part when they are opened again', async () => {
    const storage = new CrashableStorage();
    const volume = await Volume.open(storage);
    await volume.write(volumeBytes - 5, Buffer.alloc(5, 1));
    await volume.compare();
    const grownBytes = volumeBytes + 2 * MIB;
    await volume.grow(grownBytes);
    const newBlocks = BlockLayout.standard.blockCountOf(grownBytes) - blocks;
    expect(await volume.check()).toBe(blocks - 1);
    await volume.write(volumeBytes + 9, Buffer.alloc(1, 2)); // In what was the last block.
    await volume.write(grownBytes - 9, Buffer.alloc(1, 3));
    expect([await volume.compare(), await volume.compare()]).toEqual([1 + newBlocks, newBlocks]);
    await volume.write(volumeBytes + 9, Buffer.alloc(1, 4));
    expect(await volume.check()).toBe(blocks - 1);
    await volume.close();
    const again = await Volume.open(storage, grownBytes);
    expect(await again.check()).toBe(32);
    await again.compare();
    expect(await again.check()).toBe(blocks + newBlocks);
  });

  it('are written in a row, in whatever order they were computed', async () => {
    const storage = new CrashableStorage();
    const volume = await Volume.open(storage, 8 * MIB);
    await volume.write(0, filled(seededRandom(3), 8 * MIB));
    let writes = 0;
    storage.fault = ({ kind, name }) => void (kind === 'write' && name === 'pair.checksums' && (writes += 1));
    await Promise.all([4 * MIB, 0].map(async (offset) => {
      for await (const { readBlocks } of volume.content.chunksOf({ offset, length: 4 * MIB })) expect(readBlocks).toBe(16);
    }));
    await volume.flush();
    expect([writes, await volume.check()]).toEqual([1, 128]);
  });

  it('of a block that was changed between two readings are those of the later one, which began before the earlier one on the disk', async () => {
    const volume = await Volume.open(new CrashableStorage());
    const read = (first: number, count: number): { readonly offset: number; readonly length: number; readonly checksums: Buffer } => {
      const bytes = Buffer.alloc(count * BLOCK_BYTES);
      volume.disk.readNow(bytes, first * BLOCK_BYTES);
      return { offset: first * BLOCK_BYTES, length: bytes.length, checksums: hasher.checksumsOf(bytes) };
    };
    const earlier = read(1, 2);
    const earlierKeeping = volume.kept.begin(earlier);
    await volume.write(2 * BLOCK_BYTES, Buffer.alloc(1, 7));
    const later = read(0, 3);
    const laterKeeping = volume.kept.begin(later);
    volume.kept.keep(earlierKeeping, earlier.checksums);
    volume.kept.keep(laterKeeping, later.checksums);
    await volume.flush();
    expect(await volume.check()).toBe(3);
  });

  it('need no sync for a write to a region that is marked already, one for the first', async () => {
    const storage = new CrashableStorage();
    const volume = await Volume.open(storage);
    await volume.compare();
    await volume.flush();
    const operations: string[] = [];
    storage.fault = ({ kind, name }) => void (kind === 'sync' ? operations.push(name) : 0);
    expect(volume.kept.changing({ offset: 5, length: 9 })).toBeInstanceOf(Promise);
    await volume.write(5, Buffer.alloc(9, 1));
    expect(operations).toEqual(['pair.stale']);
    expect(volume.kept.changing({ offset: MIB - 1, length: 1 })).toBeUndefined();
  });

  it('are never trusted when they are not so, in any history of power cuts', async () => {
    let known = 0;
    const cuts = await crashHistories({
      histories: Number(process.env['SECONDSITE_CRASH_HISTORIES'] ?? 40),
      rounds: 4,
      model: () => undefined,
      run: async ({ storage, random }) => {
        const volume = await Volume.open(storage);
        await volume.check();
        await use(volume, random);
        if (random() < 0.5) await volume.close();
      },
      check: async ({ storage }) => {
        const volume = await Volume.open(storage);
        known += await volume.check();
        await volume.compare();
        await volume.check();
      },
    });
    expect(known / cuts).toBeGreaterThan(1);
  });

  it('of another volume, or of none, are not known', async () => {
    const storage = new CrashableStorage();
    const volume = await Volume.open(storage);
    await volume.compare();
    await volume.close();
    expect((await KeptChecksums.open({ directory: storage.root, name: 'pair', pairId: 'other', volumeBytes })).knownBlocks).toBe(0);
    const empty = new CrashableStorage();
    const lost = await Volume.open(empty);
    await lost.compare();
    await lost.close();
    await empty.root.remove('pair.checksums');
    expect((await (await Volume.open(empty)).kept.lookUp({ offset: 0, length: volumeBytes })).every((checksum) => checksum === undefined)).toBe(true);
  });

  it('of the last block are not known any more when the volume has grown', async () => {
    const storage = new CrashableStorage();
    const volume = await Volume.open(storage);
    await volume.compare();
    await volume.close();
    const grown = await KeptChecksums.open({ directory: storage.root, name: 'pair', pairId, volumeBytes: volumeBytes + 5 * MIB });
    expect(grown.knownBlocks).toBe(32);
  });
});

describe('checksums of a content that changes meanwhile', () => {
  it('are of what each block was at some moment, and only what is still so is kept, also after a restart', async () => {
    const storage = new CrashableStorage();
    const volume = await Volume.open(storage);
    const random = seededRandom(5);
    for (let round = 0; round < 20; round++) {
      const comparing = volume.compare();
      for (let write = 0; write < 3; write++) await volume.write(randomBelow(random, volumeBytes - 10), filled(random, 10));
      await comparing;
      await volume.check();
      await volume.flush();
      await (await Volume.open(storage)).check();
    }
    expect(await volume.compare()).toBeLessThan(20);
  });

  it('are of two runs at a time, so that somebody can be asked about one while the next one is read', async () => {
    const begun = new Set<number>();
    const reading: (() => void)[] = [];
    const content = new ChecksummedContent({
      hasher, kept: undefined,
      read: (into, offset) => {
        begun.add(Math.floor(offset / (2 * MIB)));
        return new Promise((resolve) => reading.push(() => resolve(into.length)));
      },
    });
    const ended: number[] = [];
    const runs = [0, 1, 2].map(async (run) => {
      for await (const { readBlocks } of content.chunksOf({ offset: run * 2 * MIB, length: 2 * MIB })) expect(readBlocks).toBe(16);
      ended.push(run);
    });
    const all = Promise.all(runs);
    while (ended.length < 3) {
      await new Promise(setImmediate);
      if (ended.length === 0) expect([...begun].toSorted()).toEqual([0, 1]);
      reading.shift()?.();
    }
    await all;
    expect(ended).toEqual([0, 1, 2]);
  });
});
