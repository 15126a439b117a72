// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { type Answer, BLOCK_BYTES, BlockHasher, BlockLayout, CHECKSUM_BYTES, CHUNK_BYTES, decodeAnswer, encodeQuestion } from '@secondsite/block-checksums';
import { encodeChangeSet, encodeMarker, type LooseEntry } from '@secondsite/change-set';
import { crashHistories, CrashableStorage, randomBelow, seededRandom } from '@secondsite/durable-storage/testing';
import { KIB, MIB } from '@secondsite/units';
import { decompressZstd } from '@secondsite/zstd';
import { setImmediate } from 'node:timers/promises';
import { PairDriver } from '../testing/pair-driver';
import { withSync } from '../testing/with-sync';
import type { StreamPlace } from './pair-types';
import { TargetPair } from './target-pair';

const pairId = '6f1c0a52-0000-4000-8000-000000000001';
const volumeBytes = 3 * MIB + 70 * KIB;
/** Of the histories as well. */
const hasher = new BlockHasher(pairId);

function questionAbout(image: Uint8Array): Buffer {
  const digests: Buffer[] = [];
  for (let offset = 0; offset < image.length; offset += CHUNK_BYTES) {
    digests.push(hasher.digestOf(hasher.checksumsOf(image.subarray(offset, offset + BlockLayout.standard.chunkBytesAt(offset, image.length)))));
  }
  return encodeQuestion({ offset: 0, volumeBytes: image.length, digests: Buffer.concat(digests) });
}

/** Numbers of the blocks that an answer calls different from the image. */
function differentBlocks(answer: Answer, image: Uint8Array): number[] {
  const ours = hasher.checksumsOf(image);
  return answer.chunks.flatMap((theirs, chunk) => {
    const blocks = theirs ? [...Array(theirs.length / CHECKSUM_BYTES).keys()] : [];
    const at = (block: number) => (chunk * CHUNK_BYTES) / BLOCK_BYTES + block;
    return blocks.filter((block) => !Buffer.from(theirs ?? []).subarray(block * 16, block * 16 + 16).equals(ours.subarray(at(block) * 16, at(block) * 16 + 16))).map(at);
  });
}

async function ask(pair: TargetPair, image: Uint8Array, place: StreamPlace): Promise<Answer> {
  const question = questionAbout(image);
  const outcome = await pair.compare(question, place);
  const answer = outcome.kind === 'compared' ? decodeAnswer(outcome.answer, question) : undefined;
  if (!answer) throw new Error(`the target answered ${JSON.stringify(outcome)}`);
  return answer;
}

async function openPair(storage: Pick<CrashableStorage, 'root'>, delay: () => Promise<void> = async () => void (await setImmediate())): Promise<TargetPair> {
  let clock = 1_000_000;
  const pair = await TargetPair.open({
    directory: storage.root, pairId, sizeBytes: volumeBytes, retention: { windowMicros: 1e12 }, decompress: decompressZstd,
    clock: () => (clock += 1000), delay, limits: { freeBytesMin: 0, segmentBytes: 4 * MIB },
  });
  pair.start();
  return pair;
}

/** The first set of a pair begins green, so that there is undo to make durable for what follows. */
function setOf(place: StreamPlace, writes: readonly { readonly offset: number; readonly bytes: Buffer }[], sizeBytes = volumeBytes): Uint8Array {
  const time = (place.epoch * 100 + place.sequence) * 1000;
  const entries = writes.map(({ offset, bytes }, index): LooseEntry => ({ kind: 'write', time: time + index + 1, offset, length: bytes.length, bytes: [bytes] }));
  const marker = encodeMarker({ kind: 'epoch-started', reason: 'none', volumeBytes: sizeBytes, resyncBytes: 0 });
  if (place.sequence === 1) entries.unshift({ kind: 'marker', time, offset: 0, length: 0, bytes: [marker] });
  return Buffer.concat(encodeChangeSet({ pairId, ...place, traceparent: undefined }, entries).parts);
}

describe('what a target says of its replica', () => {
  it('names exactly the blocks that are not as asked, and reads no hole', async () => {
    const pair = await openPair(new CrashableStorage());
    const image = Buffer.alloc(volumeBytes);
    const writes = [{ offset: 5, bytes: Buffer.alloc(90_000, 1) }, { offset: volumeBytes - 9, bytes: Buffer.alloc(9, 2) }];
    for (const { offset, bytes } of writes) bytes.copy(image, offset);
    const place = { epoch: 4, sequence: 1 };
    await pair.store(setOf(place, writes), place);
    await pair.idle();
    const first = await ask(pair, image, place);
    expect({ different: differentBlocks(first, image), readBlocks: first.readBlocks }).toEqual({ different: [], readBlocks: 16 + 2 });
    image[volumeBytes - 1] = 3;
    image[BLOCK_BYTES] = 9;
    image[20 * BLOCK_BYTES] = 9;
    expect(differentBlocks(await ask(pair, image, place), image)).toEqual([1, 20, BlockLayout.standard.blockCountOf(volumeBytes) - 1]);
    await pair.close();
  });

  it('has the size of the stream: when that has grown the short last block of before is another one, also after a restart', async () => {
    const storage = new CrashableStorage();
    const pair = await openPair(storage);
    const [first, second] = [{ epoch: 4, sequence: 1 }, { epoch: 5, sequence: 1 }];
    const image = Buffer.alloc(volumeBytes, 5);
    await pair.store(setOf(first, [{ offset: 0, bytes: image }]), first);
    await pair.idle();
    await ask(pair, image, first);
    const grown = Buffer.concat([image, Buffer.alloc(MIB)]);
    expect(await pair.compare(questionAbout(grown), second)).toMatchObject({ kind: 'held-off', code: 'comparison/not-applied' });
    await pair.store(setOf(second, [], grown.length), second);
    await pair.idle();
    expect(differentBlocks(await ask(pair, grown, second), grown)).toEqual([]);
    expect(await pair.compare(questionAbout(image), second)).toMatchObject({ kind: 'refused', code: 'comparison/other-size' });
    await pair.close();
    const again = await openPair(storage);
    grown[grown.length - 1] = 7;
    expect(differentBlocks(await ask(again, grown, second), grown)).toEqual([BlockLayout.standard.blockCountOf(grown.length) - 1]);
    await again.close();
  });

  it('is not read again where nothing was applied since, also after a restart', async () => {
    const storage = new CrashableStorage();
    const pair = await openPair(storage);
    const image = Buffer.alloc(volumeBytes, 5);
    const [first, second] = [{ epoch: 1, sequence: 1 }, { epoch: 1, sequence: 2 }];
    await pair.store(setOf(first, [{ offset: 0, bytes: Buffer.from(image) }]), first);
    await pair.idle();
    expect((await ask(pair, image, first)).readBlocks).toBe(BlockLayout.standard.blockCountOf(volumeBytes));
    image.fill(6, 7 * BLOCK_BYTES - 3, 7 * BLOCK_BYTES + 3);
    await pair.store(setOf(second, [{ offset: 7 * BLOCK_BYTES - 3, bytes: Buffer.alloc(6, 6) }]), second);
    await pair.idle();
    const again = await ask(pair, image, second);
    expect({ different: differentBlocks(again, image), readBlocks: again.readBlocks }).toEqual({ different: [], readBlocks: 2 });
    await pair.close();
    const reopened = await openPair(storage);
    expect((await ask(reopened, image, second)).readBlocks).toBe(0);
    await reopened.close();
  });

  it('is trusted after a restart only when the content was durable before: nothing is unmarked while that is on its way to the disk', async () => {
    const storage = new CrashableStorage();
    let gate = Promise.withResolvers<void>();
    gate.resolve();
    const pair = await openPair({ root: withSync(storage.root, 'replica.img', () => gate.promise) });
    const image = Buffer.alloc(volumeBytes);
    const apply = async (sequence: number): Promise<void> => {
      const [place, offset, bytes] = [{ epoch: 1, sequence }, sequence * MIB - 9, Buffer.alloc(9, sequence)];
      bytes.copy(image, offset);
      await pair.store(setOf(place, [{ offset, bytes }]), place);
      for (let turn = 0; pair.status().sequence < sequence && turn < 1000; turn++) await setImmediate();
    };
    await apply(1);
    await pair.idle();
    const first = Promise.withResolvers<void>();
    gate = first;
    await apply(2);
    await apply(3);
    await ask(pair, image, { epoch: 1, sequence: 3 });
    const second = Promise.withResolvers<void>();
    gate = second;
    const unmarking: string[] = [];
    storage.fault = ({ kind, name }) => void (name === 'replica-blocks.stale' && unmarking.push(kind));
    first.resolve();
    for (let turn = 0; turn < 50; turn++) await setImmediate();
    expect(unmarking).toEqual([]);
    second.resolve();
    await pair.idle();
    expect(unmarking).toContain('sync');
    await pair.close();
  });

  it('is true however applying and asking fall together', async () => {
    const pair = await openPair(new CrashableStorage());
    const random = seededRandom(3);
    const image = Buffer.alloc(volumeBytes);
    let place = { epoch: 1, sequence: 0 };
    const write = async (): Promise<void> => {
      const offset = randomBelow(random, BlockLayout.standard.blockCountOf(volumeBytes) - 1) * BLOCK_BYTES + randomBelow(random, 9000);
      const bytes = Buffer.alloc(5000, 1 + randomBelow(random, 255));
      bytes.copy(image, offset);
      place = { epoch: 1, sequence: place.sequence + 1 };
      await pair.store(setOf(place, [{ offset, bytes }]), place);
    };
    await write();
    await pair.idle();
    const question = questionAbout(image);
    for (let round = 0; round < 200; round++) {
      const writing = write();
      for (let turn = randomBelow(random, 40); turn > 0; turn--) await Promise.resolve();
      await Promise.all([writing, pair.compare(question, { epoch: 1, sequence: 1 })]);
      await pair.idle();
      const answer = await ask(pair, image, place);
      if (differentBlocks(answer, image).length > 0) throw new Error(`round ${round}: a checksum was kept that is not true`);
    }
    await pair.close();
  });

  it('waits for what the question names, when that comes in time', async () => {
    const later = Promise.withResolvers<void>();
    const pair = await openPair(new CrashableStorage(), () => later.promise);
    const image = Buffer.alloc(volumeBytes);
    const [first, second] = [{ epoch: 4, sequence: 1 }, { epoch: 4, sequence: 2 }];
    const asked = ask(pair, image, second);
    await pair.store(setOf(first, [{ offset: 5, bytes: Buffer.alloc(9, 1) }]), first);
    await pair.idle();
    await pair.store(setOf(second, [{ offset: 5, bytes: Buffer.alloc(9, 0) }]), second);
    expect(differentBlocks(await asked, image)).toEqual([]);
    later.resolve();
    await pair.close();
  });

  it('is held off until what the question names is applied, and refused for what it cannot answer', async () => {
    const pair = await openPair(new CrashableStorage());
    const question = questionAbout(Buffer.alloc(volumeBytes));
    expect(await pair.compare(question, { epoch: 4, sequence: 1 })).toMatchObject({ kind: 'held-off', code: 'comparison/not-applied' });
    const place = { epoch: 4, sequence: 1 };
    await pair.store(setOf(place, [{ offset: 5, bytes: Buffer.alloc(9, 1) }]), place);
    await pair.idle();
    expect(await pair.compare(question, place)).toMatchObject({ kind: 'compared' });
    expect(await pair.compare(question, { epoch: 4, sequence: 2 })).toMatchObject({ kind: 'held-off', code: 'comparison/not-applied' });
    expect(await pair.compare(question, { epoch: 5, sequence: 1 })).toMatchObject({ kind: 'held-off', code: 'comparison/not-applied' });
    expect(await pair.compare(question, { epoch: 3, sequence: 1 })).toMatchObject({ kind: 'refused', code: 'change-set/old-epoch' });
    expect(await pair.compare(questionAbout(Buffer.alloc(volumeBytes + 512)), place)).toMatchObject({ kind: 'refused', code: 'comparison/other-size' });
    expect(await pair.compare(question.subarray(1), place)).toMatchObject({ kind: 'refused', code: 'comparison/malformed' });
    const many = await Promise.all(Array.from({ length: 12 }, () => pair.compare(question, place)));
    expect(many.filter(({ kind }) => kind === 'compared')).toHaveLength(8);
    expect(many.at(-1)).toMatchObject({ kind: 'held-off', code: 'comparison/busy' });
    await pair.close();
  });

  it('is true after any power cut, and held off while passing sets are lost and not replaced', async () => {
    let lost = 0;
    let green = 0;
    await crashHistories({
      histories: 1,
      firstSeed: 42,
      cuts: 'every',
      model: (random) => new PairDriver(random),
      run: async ({ storage, model }) => {
        const pair = await model.open(storage.root);
        await model.send(pair, 5);
        await pair.idle();
        await ask(pair, model.history.source, model.history.sets.at(-1) as StreamPlace);
        await model.send(pair, 5);
        await pair.close();
      },
      check: async ({ storage, model }) => {
        const { source } = model.history;
        const pair = await model.open(storage.root);
        const { epoch, sequence } = pair.journal.recorded;
        if (sequence > pair.position().sequence && epoch === pair.position().epoch) {
          lost += 1;
          expect(await pair.compare(questionAbout(source), { epoch, sequence: 1 })).toMatchObject({ kind: 'held-off', code: 'comparison/not-applied' });
        }
        await model.send(pair, 2);
        await pair.idle();
        const answer = await ask(pair, source, model.history.sets.at(-1) as StreamPlace);
        if (model.history.green) {
          green += 1;
          expect(differentBlocks(answer, source)).toEqual([]);
        }
        await pair.close();
      },
    });
    expect(green).toBeGreaterThan(10);
    expect(lost).toBeGreaterThan(0);
  });
});
