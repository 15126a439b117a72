// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { encodeChangeSet, encodeMarker, type LooseEntry, verifyChangeSet } from '@secondsite/change-set';
import { CrashableStorage } from '@secondsite/durable-storage/testing';
import fc from 'fast-check';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ColdTier } from './cold-tier';
import { RecoveryPoints } from './recovery-points';
import { decodeMergedHeader, type MergedHeader, mergedName, placesOf } from './merged-format';
import type { JournalOptions } from './journal-options';
import { RetentionJournal } from './retention-journal';
import type { RetentionLimits } from './retention-ladder';
import type { JournalSet } from './stream-state';
import { MemoryColdStore } from './testing/memory-cold-store';
import { SimpleApplier } from './testing/simple-applier';
import { ViewReader } from './view-reader';

const golden = join(__dirname, 'testing', 'golden');
const pairId = '6f1c0a52-0000-4000-8000-000000000001';
const names = { undo: '00000000000000.undo', index: '00000000000000.index' };

function setOf(sequence: number, entries: LooseEntry[]): JournalSet {
  const verified = verifyChangeSet(Buffer.concat(encodeChangeSet({ pairId, epoch: 1, sequence, traceparent: undefined }, entries).parts));
  if (!verified.ok) throw new Error(verified.detail);
  return { epoch: 1, sequence, folded: false, entries: verified.entries(), data: verified.data };
}

function write(time: number, offset: number, text: string): LooseEntry {
  return { kind: 'write', time, offset, length: text.length, bytes: [Buffer.from(text)] };
}

const started = { kind: 'epoch-started', reason: 'none', volumeBytes: 4096, resyncBytes: 0 } as const;
const sets = [
  setOf(1, [{ kind: 'marker', time: 1000, offset: 0, length: 0, bytes: [encodeMarker(started)] }, write(1010, 0, 'first')]),
  setOf(2, [write(2000, 3, 'second'), write(2010, 0, 'third'), { kind: 'trim', time: 2020, offset: 2, length: 4, bytes: [] }]),
  setOf(3, [{ kind: 'marker', time: 3000, offset: 0, length: 0, bytes: [encodeMarker({ kind: 'bookmark', bookmarkId: 'b1', name: 'noon', level: 'user' })] }]),
];

const tierOptions = {
  folder: 'mt-1/pair-1', policy: { afterMicros: 0, aboveShare: 1 }, cacheBytesMax: 1e6, newToken: () => 'golden',
  compress: async () => undefined, decompress: async (stored: Uint8Array) => stored, delay: async () => undefined,
};

async function writeJournal(options: JournalOptions = {}): Promise<{ storage: CrashableStorage; applier: SimpleApplier }> {
  const storage = new CrashableStorage();
  const journal = await RetentionJournal.open(await storage.root.directory('journal'), options);
  const applier = new SimpleApplier(journal, await storage.root.open('replica', { create: true }));
  await applier.replica.truncate(4096);
  await applier.apply(sets.slice(0, 2));
  await applier.apply(sets.slice(2));
  return { storage, applier };
}

async function bytesOf(storage: CrashableStorage, name: string): Promise<Buffer> {
  const file = await (await storage.root.directory('journal')).open(name);
  const bytes = Buffer.alloc(file.size());
  file.readNow(bytes, 0);
  return bytes;
}

function goldenBytes(name: string, made: Buffer): Buffer {
  if (process.env['SECONDSITE_WRITE_GOLDEN'] === '1') writeFileSync(join(golden, name), made);
  return readFileSync(join(golden, name));
}

async function openFrom(files: Readonly<Record<string, Uint8Array>>, options: JournalOptions = {}): Promise<RetentionJournal> {
  const directory = await new CrashableStorage().root.directory('journal');
  for (const [name, bytes] of Object.entries(files)) (await directory.open(name, { create: true })).writeNow(bytes, 0);
  return RetentionJournal.open(directory, options);
}

async function readerAt(journal: RetentionJournal, time: number): Promise<ViewReader> {
  const replica = await new CrashableStorage().root.open('replica', { create: true });
  replica.writeNow(Buffer.from('th\0\0\0\0ond'), 0);
  return new ViewReader({ journal, replica, map: await journal.openView(time) });
}

async function textAt(journal: RetentionJournal, time: number): Promise<string> {
  const bytes = Buffer.alloc(9);
  (await readerAt(journal, time)).readNow(bytes, 0);
  return bytes.toString('latin1').replaceAll('\0', '.');
}

async function laterTextAt(journal: RetentionJournal, time: number): Promise<string> {
  const bytes = Buffer.alloc(9);
  await (await readerAt(journal, time)).read(bytes, 0);
  return bytes.toString('latin1').replaceAll('\0', '.');
}

describe('the format of the journal, version 1', () => {
  it('writes the golden segment and index byte for byte', async () => {
    const { storage, applier } = await writeJournal();
    await applier.journal.roll();
    const made = { undo: await bytesOf(storage, names.undo), index: await bytesOf(storage, names.index) };
    expect(made.undo.equals(goldenBytes('journal.v1.undo', made.undo))).toBe(true);
    expect(made.index.equals(goldenBytes('journal.v1.index', made.index))).toBe(true);
  });

  it('reads the golden files, with and without the index', async () => {
    const undo = readFileSync(join(golden, 'journal.v1.undo'));
    const index = readFileSync(join(golden, 'journal.v1.index'));
    for (const files of [{ [names.undo]: undo }, { [names.undo]: undo, [names.index]: index }]) {
      const journal = await openFrom(files);
      const points = RecoveryPoints.ofVolume(journal.timelines);
      expect(points.ranges()).toEqual([{ from: 1000, to: 3000, green: true }]);
      expect(points.offeredBookmarks()).toEqual([{ bookmarkId: 'b1', name: 'noon', level: 'user', time: 3000, recoverable: true }]);
      const texts = await Promise.all([1000, 1010, 2000, 2010, 2020].map((time) => textAt(journal, time)));
      expect(texts).toEqual(['.........', 'first....', 'firsecond', 'thirdcond', 'th....ond']);
    }
  });

  it('writes the golden merged segment byte for byte, and reads it', async () => {
    const { storage, applier } = await writeJournal();
    await applier.journal.roll();
    const everyMilli: RetentionLimits = { windowMicros: 1e6, rules: [{ keep: 'periodic', untilMicros: 1e6, everyMicros: 1000, bookmarks: 'every' }] };
    expect(await applier.journal.mergeNext(everyMilli, async () => undefined)).toBe(true);
    const [name] = (await (await storage.root.directory('journal')).list()).filter((one) => one.endsWith('.merged')) as [string];
    const made = await bytesOf(storage, name);
    expect(made.equals(goldenBytes('journal.v1.merged', made))).toBe(true);

    const journal = await openFrom({ [name]: readFileSync(join(golden, 'journal.v1.merged')) });
    const points = RecoveryPoints.ofVolume(journal.timelines);
    expect(points.spans.map(({ from, to }) => [from, to])).toEqual([[1000, 1000], [2000, 2000], [3000, 3000]]);
    expect(points.offeredBookmarks()).toMatchObject([{ bookmarkId: 'b1', time: 3000, recoverable: true }]);
    expect(await Promise.all([1000, 2000, 3000].map((time) => textAt(journal, time)))).toEqual(['.........', 'firsecond', 'th....ond']);
  });

  it('writes the golden cold segment byte for byte, with the segment itself as its object, and reads it; with any byte changed it shows nothing else', async () => {
    const store = new MemoryColdStore();
    const { storage, applier } = await writeJournal({ cold: new ColdTier({ ...tierOptions, store }) });
    await applier.journal.roll();
    while (await applier.journal.cold?.tend({ windowMicros: 1e12 }, async () => undefined));
    const [name] = (await (await storage.root.directory('journal')).list()).filter((one) => one.endsWith('.cold')) as [string];
    const made = await bytesOf(storage, name);
    expect(made.equals(goldenBytes('journal.v1.cold', made))).toBe(true);
    const [object, ...others] = store.objects.values();
    expect(others).toEqual([]);
    expect(Buffer.from(object as Uint8Array).equals(readFileSync(join(golden, 'journal.v1.undo')))).toBe(true);

    const whole = readFileSync(join(golden, 'journal.v1.cold'));
    for (let at = -1; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      if (at >= 0) changed[at] = (changed[at] as number) ^ 0x10;
      const journal = await openFrom({ [name]: changed }, { cold: new ColdTier({ ...tierOptions, store }) });
      const isOffered = RecoveryPoints.ofVolume(journal.timelines).isOffered(2000);
      if (at < 0) expect(isOffered).toBe(true);
      if (isOffered) expect(await laterTextAt(journal, 2000).catch(({ code }: { code: string }) => code)).toMatch(at < 0 ? /^firsecond$/ : /^firsecond$|^journal\/damaged$|^cold-store\/not-found$/);
    }
  });

  it('never offers a point of a merged segment of which any byte of header or timeline changed, and shows none of a changed table', async () => {
    const whole = readFileSync(join(golden, 'journal.v1.merged'));
    const { base, end } = decodeMergedHeader(whole) as { base: number; end: number };
    const data = new Set(Array.from({ length: placesOf(decodeMergedHeader(whole) as MergedHeader).entries.at - 128 }, (_, index) => 128 + index));
    for (let at = 0; at < whole.length; at++) {
      if (data.has(at)) continue;
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ 0x10;
      const journal = await openFrom({ [mergedName({ base, end })]: damaged });
      const { spans } = RecoveryPoints.ofVolume(journal.timelines);
      if (spans.length > 0) await expect(journal.openView(1000)).rejects.toMatchObject({ code: 'journal/damaged' });
    }
  });

  it('never believes a record with any byte changed: the journal ends before it', async () => {
    const undo = readFileSync(join(golden, 'journal.v1.undo'));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 128, max: undo.length - 1 }), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const damaged = Buffer.from(undo);
        damaged[at] = (damaged[at] as number) ^ change;
        const journal = await openFrom({ [names.undo]: damaged });
        expect(journal.recorded.sequence).toBeLessThan(3);
        for (const { spans } of journal.timelines) for (const span of spans) expect(span.to).toBeLessThan(3000);
      }),
      { numRuns: 300 },
    );
  });

  it('rebuilds a damaged index from its segment, whatever byte changed', async () => {
    const undo = readFileSync(join(golden, 'journal.v1.undo'));
    const index = readFileSync(join(golden, 'journal.v1.index'));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: index.length - 1 }), async (at) => {
        const damaged = Buffer.from(index);
        damaged[at] = (damaged[at] as number) ^ 0x10;
        const journal = await openFrom({ [names.undo]: undo, [names.index]: damaged });
        expect(await textAt(journal, 2000)).toBe('firsecond');
      }),
      { numRuns: 300 },
    );
  });

  it('sets a journal aside that ends before its replica, and goes on from the replica', async () => {
    const directory = await new CrashableStorage().root.directory('journal');
    (await directory.open(names.undo, { create: true })).writeNow(readFileSync(join(golden, 'journal.v1.undo')), 0);
    const replicaState = { epoch: 1, sequence: 9, lastTime: 9000, green: true, everGreen: true };
    const journal = await RetentionJournal.open(directory, { replicaState });
    expect(journal.report.damaged).toEqual([names.undo]);
    expect(RecoveryPoints.ofVolume(journal.timelines).ranges()).toEqual([{ from: 9000, to: 9000, green: true }]);
  });
});
