// SPDX-License-Identifier: Apache-2.0
// A journal over storage that can lose power, fed from a made-up source disk whose every past image is known. For the specs of this library.
import { expect } from '@jest/globals';
import { CrashableStorage, type Random, randomBelow, seededRandom } from '@secondsite/durable-storage/testing';
import type { JournalOptions } from '../journal-options';
import { RetentionJournal } from '../retention-journal';
import type { RetentionLimits } from '../retention-ladder';
import { compareStreamPlaces } from '../stream-state';
import { ViewReader } from '../view-reader';
import { SimpleApplier } from './simple-applier';
import { SpoilingMemory } from './spoiling-memory';
import { type HistorySet, StreamHistory } from './stream-history';

export interface JournalBench {
  readonly storage: CrashableStorage;
  readonly history: StreamHistory;
  readonly random: Random;
  /** Of the maps of views. */
  readonly memory: SpoilingMemory;
  applier: SimpleApplier;
}

export const everything: RetentionLimits = { windowMicros: 1e12 };

export async function makeBench(seed: number): Promise<JournalBench> {
  const random = seededRandom(seed);
  const history = new StreamHistory({ random });
  const bench = { storage: new CrashableStorage(), history, random, memory: new SpoilingMemory(), applier: undefined as unknown as SimpleApplier };
  await reopen(bench);
  await bench.applier.replica.truncate(history.volumeBytes);
  return bench;
}

/** Opens the files anew. After a clean stop nothing is to be removed. */
export async function reopen(bench: JournalBench, { afterCrash = false, ...options }: JournalOptions & { readonly afterCrash?: boolean } = {}): Promise<void> {
  const journal = await RetentionJournal.open(await bench.storage.root.directory('journal'), { segmentBytes: 20_000, segmentEntries: 200, memory: bench.memory, ...options });
  expect(journal.report).toEqual({ damaged: [], removed: afterCrash ? expect.anything() : [] });
  bench.applier = new SimpleApplier(journal, await bench.storage.root.open('replica', { create: true }));
}

/** Brings replica and journal to the end of the history after a power cut: what is recorded is only written, the rest is applied. */
export async function catchUp({ applier, history }: JournalBench): Promise<void> {
  await applier.replica.truncate(history.volumeBytes);
  for (const set of history.sets) {
    if (compareStreamPlaces(set, applier.journal.recorded) <= 0) applier.write(set);
    else await applier.apply([set]);
  }
}

export async function applySome(bench: JournalBench, groups: number, { between, limits = everything }: { between?: () => void; limits?: RetentionLimits } = {}): Promise<void> {
  for (let group = 0; group < groups; group++) {
    const sets: HistorySet[] = [];
    for (let count = 1 + randomBelow(bench.random, 4); count > 0; count--) sets.push(bench.history.next());
    await bench.applier.apply(sets, between);
    await bench.applier.journal.maintain(limits);
  }
}

export function readView(reader: ViewReader, { offset, length }: { offset: number; length: number }): Buffer {
  const into = Buffer.alloc(length, 0xee);
  reader.readNow(into, offset);
  return into;
}

/** The whole view against the remembered image, read through the thread pool and from the cold store. */
export async function expectImageLater(bench: JournalBench, reader: ViewReader, time: number): Promise<void> {
  const { image } = bench.history.at(time) as { image: Uint8Array };
  const into = Buffer.alloc(image.length, 0xee);
  await reader.read(into, 0);
  expect(into.equals(image)).toBe(true);
}

export async function viewAt(bench: JournalBench, time: number): Promise<ViewReader> {
  const { journal, replica } = bench.applier;
  return new ViewReader({ journal, replica, map: await journal.openView(time) });
}

/** The whole view, a part of it, and its holes against the remembered image. */
export function expectImage(bench: JournalBench, reader: ViewReader, time: number): void {
  const { image } = bench.history.at(time) as { image: Uint8Array };
  expect(readView(reader, { offset: 0, length: image.length }).equals(image)).toBe(true);
  const offset = randomBelow(bench.random, image.length);
  const length = 1 + randomBelow(bench.random, image.length - offset);
  expect(readView(reader, { offset, length }).equals(image.subarray(offset, offset + length))).toBe(true);
  let at = offset;
  for (const extent of reader.extents({ offset, length })) {
    if (extent.hole) expect(image.subarray(at, at + extent.length).every((byte) => byte === 0)).toBe(true);
    at += extent.length;
  }
  expect(at).toBe(offset + length);
}
