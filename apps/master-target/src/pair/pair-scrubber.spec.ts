// SPDX-License-Identifier: Apache-2.0
// Bytes of the replica are changed behind the pair's back. The model is an image of the volume per change set.
import { describe, expect, it } from '@jest/globals';
import { BlockHasher, BlockLayout, CHECKSUM_BYTES, decodeAnswer, encodeQuestion } from '@secondsite/block-checksums';
import { encodeChangeSet, encodeMarker, type LooseEntry } from '@secondsite/change-set';
import { CrashableStorage, randomBelow, type Random, seededRandom } from '@secondsite/durable-storage/testing';
import { isOperationError, KIB } from '@secondsite/units';
import { decompressZstd } from '@secondsite/zstd';
import { setImmediate } from 'node:timers/promises';
import type { PairEvent } from './pair-types';
import { TargetPair } from './target-pair';

const pairId = '6f1c0a52-0000-4000-8000-000000000001';
const BLOCK = 4 * KIB;
const layout = new BlockLayout(BLOCK);
const blocks = 37;
/** The last block is short. */
const volumeBytes = blocks * BLOCK - 1000;
const PIECE = 512;

type Change = { readonly kind: LooseEntry['kind']; readonly offset: number; readonly bytes: Uint8Array };

class ScrubBench {
  readonly events: PairEvent[] = [];
  readonly random: Random;
  readonly images: { readonly time: number; readonly image: Buffer }[] = [];
  storage = new CrashableStorage();
  pair!: TargetPair;
  #image = Buffer.alloc(volumeBytes);
  #clock = 1_000_000;
  #sequence = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  async open(): Promise<void> {
    this.pair = await TargetPair.open({
      directory: this.storage.root, pairId, sizeBytes: volumeBytes, retention: { windowMicros: 1e12 }, decompress: decompressZstd, layout,
      clock: () => (this.#clock += 1000), delay: async () => void (await setImmediate()), onEvent: (event) => this.events.push(event),
      limits: { freeBytesMin: 0, segmentBytes: 40_000 },
    });
    this.pair.start();
  }

  /** Everything in the first set, so that every instant from there on can be gone back to. */
  async begin(): Promise<void> {
    await this.open();
    await this.send([{ kind: 'write', offset: 0, bytes: this.bytes(volumeBytes) }]);
  }

  async send(changes: readonly Change[]): Promise<void> {
    this.#sequence += 1;
    const time = this.#sequence * 1000;
    const entries = changes.map(({ kind, offset, bytes }, index): LooseEntry => ({ kind, time: time + index, offset, length: bytes.length, bytes: [bytes] }));
    const marker = encodeMarker({ kind: 'epoch-started', reason: 'none', volumeBytes, resyncBytes: 0 });
    if (this.#sequence === 1) entries.unshift({ kind: 'marker', time, offset: 0, length: 0, bytes: [marker] });
    const place = { epoch: 1, sequence: this.#sequence };
    const outcome = await this.pair.store(new Uint8Array(Buffer.concat(encodeChangeSet({ pairId, ...place, traceparent: undefined }, entries).parts)), place);
    expect(outcome.kind).toBe('stored');
    for (const { offset, bytes } of changes) this.#image.set(bytes, offset);
    this.images.push({ time: time + changes.length - 1, image: Buffer.from(this.#image) });
    await this.pair.idle();
  }

  /** What the agent does when it hears of damage. */
  repair(): Promise<void> {
    return this.send(this.damaged.map(({ offset, length }) => ({ kind: 'resync-write', offset, bytes: Buffer.from(this.#image.subarray(offset, offset + length)) })));
  }

  get damaged(): readonly { readonly offset: number; readonly length: number }[] {
    return this.pair.position().damaged ?? [];
  }

  async scrub(): Promise<Extract<PairEvent, { kind: 'scrub-ended' }>> {
    const before = this.events.length;
    this.pair.scrubber.request();
    for (let turn = 0; turn < 100_000; turn++) {
      const ended = this.events.slice(before).find((event) => event.kind === 'scrub-ended');
      if (ended) return ended;
      await setImmediate();
    }
    throw new Error('the scrubber does not come to an end');
  }

  /** The disk changes a byte of each block. */
  async rot(...numbers: readonly number[]): Promise<void> {
    const file = await this.storage.root.open('replica.img');
    for (const number of numbers) {
      const at = number * BLOCK + randomBelow(this.random, Math.min(BLOCK, volumeBytes - number * BLOCK));
      const byte = new Uint8Array(1);
      file.readNow(byte, at);
      file.writeNow(new Uint8Array([(byte[0] as number) ^ 0x04]), at);
    }
    file.syncNow();
    await file.close();
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => randomBelow(this.random, 256)));
  }

  someWrites(): Change[] {
    return Array.from({ length: 1 + randomBelow(this.random, 3) }, () => {
      const offset = randomBelow(this.random, volumeBytes);
      return { kind: 'write' as const, offset, bytes: this.bytes(Math.min(volumeBytes - offset, 1 + randomBelow(this.random, 6000))) };
    });
  }

  /** Every instant in small pieces: each is as in its image, or refused. Returns what was refused. */
  async readAll(): Promise<{ readonly time: number; readonly offset: number }[]> {
    const refused: { time: number; offset: number }[] = [];
    for (const { time, image } of this.images) {
      const reader = await this.pair.openReader(time);
      for (let offset = 0; offset < volumeBytes; offset += PIECE) {
        const seen = Buffer.alloc(Math.min(PIECE, volumeBytes - offset));
        try {
          if (offset % (2 * PIECE) === 0) await reader.read(seen, offset);
          else reader.readNow(seen, offset);
        } catch (error) {
          if (!isOperationError(error, 'journal/bytes-lost')) throw error;
          refused.push({ time, offset });
          continue;
        }
        if (!seen.equals(image.subarray(offset, offset + seen.length))) throw new Error(`the view of ${time} is wrong at ${offset}`);
      }
      this.pair.closeReader(reader);
    }
    return refused;
  }

  /** What the target says to a source that asks which blocks differ. */
  async differentBlocks(): Promise<number[]> {
    const hasher = new BlockHasher(pairId, layout);
    const ours = hasher.checksumsOf(this.#image);
    const ofChunk = (chunk: number): Buffer => ours.subarray(chunk * 16 * CHECKSUM_BYTES, (chunk + 1) * 16 * CHECKSUM_BYTES);
    const chunks = Math.ceil(volumeBytes / layout.chunkBytes);
    const digests = Buffer.concat(Array.from({ length: chunks }, (_, chunk) => hasher.digestOf(ofChunk(chunk))));
    const question = encodeQuestion({ offset: 0, volumeBytes, digests });
    const outcome = await this.pair.compare(question, { epoch: 1, sequence: this.#sequence });
    const answer = outcome.kind === 'compared' ? decodeAnswer(outcome.answer, question, layout) : undefined;
    if (!answer) throw new Error(`the target answered ${JSON.stringify(outcome)}`);
    const isOther = (block: number): boolean => {
      const theirs = answer.chunks[Math.floor(block / 16)];
      const at = (block % 16) * CHECKSUM_BYTES;
      return theirs !== undefined && !ours.subarray(block * CHECKSUM_BYTES, (block + 1) * CHECKSUM_BYTES).equals(theirs.subarray(at, at + CHECKSUM_BYTES));
    };
    return [...Array(blocks).keys()].filter(isOther);
  }

  found(): number[] {
    return this.events.flatMap((event) => (event.kind === 'damage-found' && event.place === 'replica' ? [event.offset / BLOCK] : []));
  }

  repaired(): { readonly block: number; readonly isLost: boolean }[] {
    return this.events.flatMap((event) => (event.kind === 'damage-repaired' ? [{ block: event.offset / BLOCK, isLost: event.isLost }] : []));
  }
}

async function makeBench(seed: number): Promise<ScrubBench> {
  const bench = new ScrubBench(seed);
  await bench.begin();
  for (let set = 0; set < 4; set++) await bench.send(bench.someWrites());
  await bench.scrub();
  return bench;
}

describe('the scrubber of a pair', () => {
  it('finds nothing while the disk gives back what was written, and reads all of it', async () => {
    const bench = await makeBench(1);
    await bench.send(bench.someWrites());
    const round = await bench.scrub();
    expect(round).toMatchObject({ damagedBytes: 0 });
    expect(round.readBytes).toBeGreaterThanOrEqual(volumeBytes);
    expect({ found: bench.found(), damaged: bench.damaged, refused: await bench.readAll() }).toEqual({ found: [], damaged: [], refused: [] });
    await bench.pair.close();
  });

  it('finds a changed block, refuses it to views until the source has sent it, and then no instant lacks anything', async () => {
    const bench = await makeBench(2);
    await bench.rot(3, 4, blocks - 1);
    expect(await bench.scrub()).toMatchObject({ damagedBytes: 2 * BLOCK + BLOCK - 1000 });
    expect(bench.found()).toEqual([3, 4, blocks - 1]);
    expect(bench.damaged).toEqual([{ offset: 3 * BLOCK, length: 2 * BLOCK }, { offset: (blocks - 1) * BLOCK, length: BLOCK - 1000 }]);
    const refused = await bench.readAll();
    expect(refused.length).toBeGreaterThan(0);
    for (const { offset } of refused) expect([3, 4, blocks - 1]).toContain(Math.floor(offset / BLOCK));
    await bench.scrub();
    expect(bench.found()).toEqual([3, 4, blocks - 1]);
    await bench.repair();
    expect({ damaged: bench.damaged, repaired: bench.repaired() }).toEqual({ damaged: [], repaired: [3, 4, blocks - 1].map((block) => ({ block, isLost: false })) });
    expect(await bench.readAll()).toEqual([]);
    expect(await bench.scrub()).toMatchObject({ damagedBytes: 0 });
    await bench.pair.close();
  });

  it('says exactly which bytes of which instants are lost when something was written to the block before the source sent it', async () => {
    const bench = await makeBench(3);
    await bench.rot(5);
    await bench.scrub();
    await bench.send([{ kind: 'write', offset: 5 * BLOCK + 100, bytes: bench.bytes(200) }]);
    expect(bench.damaged).toEqual([{ offset: 5 * BLOCK, length: 100 }, { offset: 5 * BLOCK + 300, length: BLOCK - 300 }]);
    await bench.repair();
    expect(bench.repaired()).toEqual([{ block: 5, isLost: true }]);
    const refused = await bench.readAll();
    const lostUntil = (bench.images.at(-3) as { time: number }).time;
    expect(refused.filter(({ time }) => time === lostUntil)).toHaveLength(BLOCK / PIECE);
    for (const { time, offset } of refused) if (Math.floor(offset / BLOCK) !== 5 || time > (bench.images.at(-2) as { time: number }).time) throw new Error(`refused at ${time}, ${offset}`);
    await bench.pair.close();
  });

  it('takes a damaged checksum for what it is: the replica held the right bytes', async () => {
    const bench = await makeBench(4);
    await bench.pair.close(); // All that is known stands in the file.
    await bench.open();
    const file = await bench.storage.root.open('replica-blocks.checksums');
    file.writeNow(bench.bytes(16), 7 * 16);
    await bench.scrub();
    expect(bench.found()).toEqual([7]);
    await bench.repair();
    expect({ repaired: bench.repaired(), refused: await bench.readAll() }).toEqual({ repaired: [{ block: 7, isLost: false }], refused: [] });
    await bench.pair.close();
  });

  it('remembers what is damaged over a power cut, and does not call it the same when the source compares', async () => {
    const bench = await makeBench(5);
    await bench.rot(2);
    await bench.scrub();
    await bench.pair.close();
    bench.storage.crash(bench.random);
    await bench.open();
    expect(bench.damaged).toEqual([{ offset: 2 * BLOCK, length: BLOCK }]);
    expect(await bench.differentBlocks()).toEqual([2]);
    await bench.scrub();
    expect(await bench.differentBlocks()).toEqual([2]);
    await bench.repair();
    expect({ damaged: bench.damaged, repaired: bench.repaired(), refused: await bench.readAll() }).toEqual({ damaged: [], repaired: [{ block: 2, isLost: false }], refused: [] });
    await bench.pair.close();
  });

  it('never shows what was true at no time, in any history of rot, writes, repairs and power cuts', async () => {
    let refusals = 0;
    for (let seed = 10; seed < 40; seed++) {
      const bench = await makeBench(seed);
      for (let step = 0; step < 8; step++) {
        const roll = bench.random();
        if (roll < 0.35) await bench.send(bench.someWrites());
        else if (roll < 0.6) {
          // What is damaged before the scrubber has seen it once cannot be told from what was written.
          await bench.scrub();
          await bench.rot(randomBelow(bench.random, blocks));
          await bench.scrub();
        } else if (roll < 0.75) {
          if (bench.damaged.length > 0) await bench.repair();
        } else if (roll < 0.9) {
          await bench.pair.close();
          bench.storage.crash(bench.random);
          await bench.open();
        } else await bench.scrub();
      }
      if (bench.damaged.length > 0) await bench.repair();
      const refused = await bench.readAll();
      refusals += refused.length;
      const last = (bench.images.at(-1) as { time: number }).time;
      expect({ seed, damaged: bench.damaged, newest: refused.filter(({ time }) => time === last) }).toEqual({ seed, damaged: [], newest: [] });
      await bench.pair.close();
    }
    expect(refusals).toBeGreaterThan(0);
  });
});
