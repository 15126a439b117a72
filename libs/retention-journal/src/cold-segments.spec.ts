// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { encodeChangeSet, encodeMarker, type LooseEntry, verifyChangeSet } from '@secondsite/change-set';
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import { crashHistories, type CrashRound, type Random, randomBelow, seededRandom } from '@secondsite/durable-storage/testing';
import fc from 'fast-check';
import { RecoveryPoints } from './recovery-points';
import { RetentionJournal } from './retention-journal';
import { keptPoints, type RetentionLimits } from './retention-ladder';
import { advanceStream, factsOfSet, initialStreamState, type JournalSet } from './stream-state';
import { type ColdBench, journalFiles, makeColdBench, reopenCold, tendAll, uploadsOf } from './testing/cold-bench';
import { applySome, catchUp, everything, expectImageLater, makeBench, viewAt } from './testing/journal-bench';
import { type ColdFault, MemoryColdStore } from './testing/memory-cold-store';
import { SimpleApplier } from './testing/simple-applier';
import { Timeline } from './timeline';
import { ViewReader } from './view-reader';

const seeds = fc.integer({ min: 1, max: 2 ** 31 });
/** In the times of a StreamHistory, of which a set takes some 100 µs. */
const window: RetentionLimits = { windowMicros: 4000 };
const ladder: RetentionLimits = {
  windowMicros: 4000,
  rules: [{ keep: 'all', untilMicros: 300 }, { keep: 'periodic', untilMicros: 4000, everyMicros: 150, bookmarks: 'every' }],
};

/** What the limits keep of a journal that never lost, merged or moved anything. */
function expectedPoints({ history }: ColdBench, limits: RetentionLimits): RecoveryPoints {
  const timeline = new Timeline(initialStreamState);
  let state = initialStreamState;
  for (const set of history.sets) {
    const facts = factsOfSet(set, state);
    timeline.observe(facts);
    state = advanceStream(state, facts);
  }
  return keptPoints(RecoveryPoints.ofVolume([timeline]), limits);
}

/** The points that are offered, and the bytes of the oldest and some others. */
async function expectExact(bench: ColdBench, limits: RetentionLimits): Promise<void> {
  const spansOf = ({ spans }: RecoveryPoints) => spans.map(({ from, to }) => ({ from, to }));
  expect(spansOf(bench.applier.journal.points(limits))).toEqual(spansOf(expectedPoints(bench, limits)));
  await expectBytes(bench, limits);
}

async function expectBytes(bench: ColdBench, limits: RetentionLimits): Promise<void> {
  const { spans } = bench.applier.journal.points(limits);
  for (const [index, { from, to }] of spans.entries()) {
    if (index > 0 && randomBelow(bench.random, spans.length) > 3) continue;
    for (const time of new Set([from, to])) {
      const reader = await viewAt(bench, time);
      await expectImageLater(bench, reader, time);
      bench.applier.journal.closeView(reader.map);
    }
  }
}

async function mergeAll(bench: ColdBench, limits: RetentionLimits): Promise<void> {
  while (await bench.applier.journal.mergeNext(limits, async () => undefined));
}

/** Some of the operations fail, in each of the ways. */
function someFaults(random: Random): () => ColdFault | undefined {
  const faults = ['unreachable', 'torn', 'unanswered', 'short'] as const;
  return () => (random() < 0.4 ? faults[randomBelow(random, faults.length)] : undefined);
}

/** The oldest point of all, whose view needs all undo that is there. */
async function oldestView(bench: ColdBench): Promise<{ reader: ViewReader; time: number }> {
  const time = bench.applier.journal.points(everything).earliest as number;
  return { reader: await viewAt(bench, time), time };
}

/** A journal that has segments to move, opened anew on a disk of which reads can be held up. */
async function makeHeldJournal() {
  const gate = Promise.withResolvers<void>();
  const bench = await makeColdBench(8);
  await applySome(bench, 20);
  const tier = await reopenCold(bench, { policy: { afterMicros: 0, aboveShare: 1 } });
  await bench.applier.journal.close();
  let waits = false;
  const journal = await RetentionJournal.open(slowed(await bench.storage.root.directory('journal'), () => (waits ? gate.promise : undefined)), { cold: tier });
  /** What `begin` reads in its first turn does not end before `release`. */
  const held = async <Result>(begin: () => Promise<Result>): Promise<{ readonly work: Promise<Result> }> => {
    waits = true;
    const work = begin();
    await new Promise(setImmediate);
    waits = false;
    return { work };
  };
  return { bench, journal, held, release: () => gate.resolve() };
}

describe('segments in a cold store', () => {
  it.each([['a window', window], ['a ladder', ladder]])('offer with %s the same points as before, each with its bytes, and take their space from the disk', async (_, limits) => {
    let [here, away, before] = [0, 0, 0];
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const bench = await makeColdBench(seed);
        for (let round = 0; round < 8; round++) {
          await applySome(bench, 3, { limits });
          await mergeAll(bench, limits);
          before += bench.applier.journal.storedBytes;
          await tendAll(bench, limits);
          here += bench.applier.journal.storedBytes;
          away += bench.applier.journal.coldBytes;
          if (round % 3 === 2) await reopenCold(bench);
          await expectExact(bench, limits);
          const { stored, named } = await uploadsOf(bench);
          expect(stored).toEqual(named);
        }
      }),
      { numRuns: 12 },
    );
    expect(away).toBeGreaterThan(0);
    expect(here).toBeLessThan(before);
  });

  it('need nothing of the store when journal and views are opened', async () => {
    const bench = await makeColdBench(3);
    await applySome(bench, 20);
    await tendAll(bench, everything);
    expect((await journalFiles(bench, '.cold')).length).toBeGreaterThan(3);
    await reopenCold(bench);
    bench.store.fault = () => 'unreachable';
    const { reader, time } = await oldestView(bench);
    bench.store.fault = undefined;
    expect(reader.readNow(Buffer.alloc(bench.history.volumeBytes), 0)).toBe(false);
    await expectImageLater(bench, reader, time);
  });

  it('change no open view while they are moved, nor what is applied, merged and dropped beside it', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const bench = await makeColdBench(seed);
        const open: { reader: ViewReader; time: number }[] = [];
        const checkAll = async (): Promise<void> => void (await Promise.all(open.map(({ reader, time }) => expectImageLater(bench, reader, time))));
        const openOne = async (): Promise<void> => {
          const { spans } = bench.applier.journal.points(ladder);
          const span = spans[randomBelow(bench.random, Math.max(1, spans.length))];
          if (span) open.push({ reader: await viewAt(bench, span.from), time: span.from });
        };
        let groups = 0;
        const beside = async (): Promise<void> => {
          if (groups-- > 0 && randomBelow(bench.random, 3) === 0) await applySome(bench, 1, { limits: ladder });
          if (randomBelow(bench.random, 4) === 0) await openOne();
          await checkAll();
        };
        for (let round = 0; round < 5; round++) {
          await applySome(bench, 3, { limits: ladder });
          groups = 8;
          await Promise.all([tendAll(bench, ladder, beside), mergeAll(bench, ladder)]);
          if (open.length > 4) for (const { reader } of open.splice(0, 2)) bench.applier.journal.closeView(reader.map);
          await checkAll();
        }
      }),
      { numRuns: 4 },
    );
  });

  it('let a read that has begun end in the file that it began with', async () => {
    const { bench, journal, held, release } = await makeHeldJournal();
    const time = journal.points(everything).earliest as number;
    const reader = new ViewReader({ journal, replica: bench.applier.replica, map: await journal.openView(time) });
    const { work: reading } = await held(() => expectImageLater(bench, reader, time));
    let moved = false;
    const moving = (async () => {
      while (await journal.cold?.tend(everything, async () => undefined));
      moved = true;
    })();
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(moved).toBe(false);
    release();
    await Promise.all([reading, moving]);
    await expectImageLater(bench, reader, time);
  });

  it('let a view that is being opened find the indexes that it began with', async () => {
    const { bench, journal, held, release } = await makeHeldJournal();
    await journal.cold?.tend(everything, async () => undefined);
    const time = journal.points(everything).earliest as number;
    const { work: opening } = await held(() => journal.openView(time));
    const moving = (async () => {
      while (await journal.cold?.tend(everything, async () => undefined));
    })();
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    release();
    const reader = new ViewReader({ journal, replica: bench.applier.replica, map: await opening });
    await moving;
    await expectImageLater(bench, reader, time);
  });

  it('are not pruned while they are being read, and are while the store is waited for', async () => {
    const bench = await makeColdBench(17);
    await applySome(bench, 20);
    const { journal } = bench.applier;
    await journal.cold?.tend(everything, async () => undefined);
    const before = journal.segmentCount;
    const during: number[] = [];
    await journal.cold?.tend(everything, async () => {
      await journal.maintain({ windowMicros: 1 });
      during.push(journal.segmentCount);
    });
    expect(during[0]).toBe(before);
    expect(journal.segmentCount).toBeLessThan(before);
    expect(await journalFiles(bench, '.cold')).toEqual([]);
    await tendAll(bench, everything);
    expect((await uploadsOf(bench)).stored).toEqual([]);
  });

  it('lose no object before the folder has durably forgotten them', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const bench = await makeColdBench(seed);
      await applySome(bench, 12);
      await tendAll(bench, everything);
      bench.storage.fault = ({ kind }) => (kind === 'sync-folder' ? 'io-error' : undefined);
      await expect(bench.applier.journal.maintain({ windowMicros: 1 })).rejects.toMatchObject({ code: 'storage/io-error' });
      bench.storage.fault = undefined;
      await bench.applier.journal.cold?.tend(everything, async () => undefined);
      bench.storage.crash(seededRandom(seed));
      const { stored, named } = await uploadsOf(bench);
      expect(stored).toEqual(expect.arrayContaining(named));
    }
  });

  it('stay as they are when undo is merged', async () => {
    const bench = await makeColdBench(21);
    await applySome(bench, 12, { limits: ladder });
    // Space is short, so they go before the ladder lets merge them.
    await reopenCold(bench, { policy: { afterMicros: 1e12, aboveShare: 0.01 } });
    const short = { ...ladder, spaceBytes: 1e9 };
    await tendAll(bench, { ...ladder, spaceBytes: 1e6 });
    const cold = await journalFiles(bench, '.cold');
    expect(cold.length).toBeGreaterThan(2);
    await applySome(bench, 8, { limits: short });
    await mergeAll(bench, short);
    const left = await journalFiles(bench, '.cold');
    expect(left.length).toBeGreaterThan(0);
    expect(left.every((name) => cold.includes(name))).toBe(true);
    await expectExact(bench, short);
  });
});

describe('a cold store that fails', () => {
  it('costs nothing: what it has not confirmed stays here, what it keeps of failed attempts is removed, and all is moved once it works', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const bench = await makeColdBench(seed);
        for (let round = 0; round < 6; round++) {
          await applySome(bench, 4, { limits: window });
          bench.store.fault = someFaults(bench.random);
          for (let attempt = 0; attempt < 6; attempt++) await tendAll(bench, window).catch((error: unknown) => expect(error).toMatchObject({ retryable: true }));
          bench.store.fault = undefined;
          await expectExact(bench, window);
        }
        await tendAll(bench, window);
        expect(bench.applier.journal.cold?.dueBytes(window)).toBe(0);
        const { stored, named } = await uploadsOf(bench);
        expect(stored).toEqual(named);
        await expectExact(bench, window);
      }),
      { numRuns: 12 },
    );
  });

  it('does not stop the rules of local space: the oldest points go, never the newest', async () => {
    const bench = await makeColdBench(5);
    const narrow: RetentionLimits = { windowMicros: 1e12, spaceBytes: 250_000 };
    await applySome(bench, 15, { limits: narrow });
    await tendAll(bench, narrow);
    const earliest = bench.applier.journal.points(narrow).earliest as number;
    bench.store.fault = () => 'unreachable';
    for (let round = 0; round < 60; round++) {
      await applySome(bench, 4, { limits: narrow });
      await expect(tendAll(bench, narrow)).rejects.toMatchObject({ code: 'cold-store/unreachable' });
      expect(bench.applier.journal.storedBytes).toBeLessThan(2 * 250_000);
    }
    expect(bench.applier.journal.cold?.dueBytes(narrow)).toBeGreaterThan(0);
    bench.store.fault = undefined;
    const points = bench.applier.journal.points(narrow);
    expect(points.earliest).toBeGreaterThan(earliest);
    expect(points.latest).toBe(expectedPoints(bench, narrow).latest);
    await tendAll(bench, narrow);
    await expectBytes(bench, narrow);
    const { stored, named } = await uploadsOf(bench);
    expect(stored).toEqual(named);
  });

  it('is asked again for some time by a read, which then fails; applying goes on meanwhile, and the same read succeeds later', async () => {
    const bench = await makeColdBench(9);
    await applySome(bench, 20);
    await tendAll(bench, everything);
    const { reader, time } = await oldestView(bench);
    bench.store.fault = () => 'unreachable';
    const reading = expectImageLater(bench, reader, time);
    await applySome(bench, 5);
    await expect(reading).rejects.toMatchObject({ code: 'cold-store/unreachable' });
    expect(new Set(bench.pauses)).toEqual(new Set([500, 1000, 2000, 4000]));
    bench.store.fault = undefined;
    await expectImageLater(bench, reader, time);
    let failures = 3;
    bench.store.fault = ({ kind }) => (kind === 'read' && failures-- > 0 ? 'unreachable' : undefined);
    await reopenCold(bench);
    const again = await oldestView(bench);
    await expectImageLater(bench, again.reader, time);
  });

  it.each([
    ['another byte', (bytes: Uint8Array) => bytes.map((byte, index) => (index === 10 ? byte ^ 1 : byte)), 'journal/damaged'],
    ['too few bytes', (bytes: Uint8Array) => bytes.slice(0, -1), 'journal/damaged'],
    ['no object', () => undefined, 'cold-store/not-found'],
  ])('by giving %s back fails the read, and no byte of it is shown', async (_, change, code) => {
    const bench = await makeColdBench(12);
    // Compressed, most damage would not get as far as the checksum.
    await reopenCold(bench, { compress: async () => undefined });
    await applySome(bench, 20);
    await tendAll(bench, everything);
    const { reader, time } = await oldestView(bench);
    for (const [name, bytes] of bench.store.objects) {
      const changed = change(bytes);
      if (changed) bench.store.objects.set(name, changed);
      else bench.store.objects.delete(name);
    }
    await expect(expectImageLater(bench, reader, time)).rejects.toMatchObject({ code });
    expect(bench.pauses).toEqual([]);
  });

  it('is not sent a segment that is not as it was written, and the others are', async () => {
    const bench = await makeColdBench(14);
    await applySome(bench, 20);
    const directory = await bench.storage.root.directory('journal');
    const file = await directory.open((await journalFiles(bench, '.undo'))[0] as string);
    const last = new Uint8Array(1);
    file.readNow(last, file.size() - 1);
    file.writeNow(Uint8Array.of((last[0] as number) ^ 1), file.size() - 1);
    await expect(tendAll(bench, everything)).rejects.toMatchObject({ code: 'journal/damaged' });
    expect(bench.store.objects.size).toBe(0);
    await tendAll(bench, everything);
    expect(bench.store.objects.size).toBeGreaterThan(1);
    expect(await journalFiles(bench, '.undo')).toContain(file.name);
  });
});

describe('blocks of cold segments', () => {
  it('are compressed where that helps, lie in objects of bounded size, are read by range and once for all who wait, and are kept in bounded memory', async () => {
    const store = new MemoryColdStore();
    const bench: ColdBench = { ...(await makeBench(1)), store, pauses: [] };
    const tier = await reopenCold(bench, { policy: { afterMicros: 0, aboveShare: 1 }, cacheBytesMax: 1 << 20 });
    const journal = await RetentionJournal.open(await bench.storage.root.directory('large'), { cold: tier });
    const replica = await bench.storage.root.open('large-replica', { create: true });
    await replica.truncate(volumeBytes);
    const applier = new SimpleApplier(journal, replica);
    for (let sequence = 1; sequence <= 12; sequence++) await applier.apply([largeSet(sequence)]);
    await journal.roll();
    while (await journal.cold?.tend(everything, async () => undefined));
    expect(journal.storedBytes).toBeLessThan(10_000);
    const sizes = [...store.objects.values()].map(({ length }) => length);
    expect(sizes).toHaveLength(2);
    expect(sizes[0]).toBeGreaterThan(3 << 20);
    expect(sizes[0]).toBeLessThan(6 << 20);
    expect(journal.coldBytes).toBe(sizes.reduce((sum, bytes) => sum + bytes, 0));
    for (const sequence of [3, 9, 11]) {
      const reader = new ViewReader({ journal, replica, map: await journal.openView(sequence * 1000 + 1) });
      const before = store.operations.length;
      const reads = [Buffer.alloc(volumeBytes), Buffer.alloc(volumeBytes)];
      await Promise.all(reads.map((into) => reader.read(into, 0)));
      for (const into of reads) expect(into.equals(largeImage(sequence))).toBe(true);
      expect(store.operations.length - before).toBeLessThanOrEqual(5);
      expect(tier.blocks.keptBytes).toBeLessThanOrEqual(1 << 20);
      expect(tier.blocks.keptBytes).toBeGreaterThan(1 << 19);
    }
  });
});

const volumeBytes = 1 << 20;

/** One half does not get smaller. */
function largeImage(sequence: number): Buffer {
  const image = Buffer.alloc(volumeBytes, `set ${sequence} `);
  for (let at = 0, value = sequence; at < volumeBytes / 2; at += 2) {
    value = (Math.imul(value, 1664525) + 1013904223) >>> 0;
    image.writeUInt16LE(value >>> 16, at);
  }
  return image;
}

function largeSet(sequence: number): JournalSet {
  const started = encodeMarker({ kind: 'epoch-started', reason: 'none', volumeBytes, resyncBytes: 0 });
  const entries: LooseEntry[] = sequence === 1 ? [{ kind: 'marker', time: 1000, offset: 0, length: 0, bytes: [started] }] : [];
  entries.push({ kind: 'write', time: sequence * 1000 + 1, offset: 0, length: volumeBytes, bytes: [largeImage(sequence)] });
  const verified = verifyChangeSet(Buffer.concat(encodeChangeSet({ pairId: '6f1c0a52-0000-4000-8000-000000000001', epoch: 1, sequence, traceparent: undefined }, entries).parts));
  if (!verified.ok) throw new Error(verified.detail);
  return { epoch: 1, sequence, folded: false, entries: verified.entries(), data: verified.data };
}

describe('moving to a cold store and power cuts', () => {
  const histories = Number(process.env['SECONDSITE_CRASH_HISTORIES'] ?? 20);
  interface Model {
    bench?: ColdBench;
  }
  const plan = {
    model: (): Model => ({}),
    run: async (round: CrashRound<Model>): Promise<void> => workOn(await started(round)),
    check: async (round: CrashRound<Model>): Promise<void> => {
      if (round.model.bench) await expectObjects({ ...round.model.bench, storage: round.storage });
      const bench = await started(round);
      await expectExact(bench, ladder);
      await tendAll(bench, ladder);
      const { stored, named } = await uploadsOf(bench);
      expect(stored).toEqual(named);
      await expectExact(bench, ladder);
    },
  };

  /** Whatever file says that a segment is in the store, its objects are there. */
  async function expectObjects(bench: ColdBench): Promise<void> {
    const { stored, named } = await uploadsOf(bench);
    expect(stored).toEqual(expect.arrayContaining(named));
  }

  /** The history's bench on the round's storage, opened as after a start. */
  async function started({ storage, model, seed }: CrashRound<Model>): Promise<ColdBench> {
    model.bench ??= { ...(await makeBench(seed)), storage, store: new MemoryColdStore(), pauses: [] };
    model.bench.store.fault = undefined;
    await reopenCold(model.bench, { afterCrash: true });
    await catchUp(model.bench);
    return model.bench;
  }

  async function workOn(bench: ColdBench): Promise<void> {
    for (let round = 0; round < 2; round++) {
      await applySome(bench, 2, { limits: ladder });
      await bench.applier.replica.sync();
      await mergeAll(bench, ladder);
      bench.store.fault = someFaults(bench.random);
      const tending = tendAll(bench, ladder).catch((error: unknown) => {
        if ((error as { retryable?: boolean }).retryable !== true) throw error;
      });
      await Promise.all([tending, applySome(bench, 2, { limits: ladder })]);
    }
  }

  it('leave every kept point exact and no object without its segment, in any history', async () => {
    expect(await crashHistories({ ...plan, histories, rounds: 3 })).toBe(histories * 3);
  });

  it('leave every kept point exact and no object without its segment at each single operation of a history', async () => {
    expect(await crashHistories({ ...plan, histories: 1, firstSeed: 23, cuts: 'every' })).toBeGreaterThan(100);
  });
});

/** Files whose reads through the thread pool wait for `wait` first. */
function slowed(directory: StorageDirectory, wait: () => Promise<void> | undefined): StorageDirectory {
  const slow = (file: StorageFile): StorageFile =>
    instead(file, 'read', async (into: Uint8Array, offset: number) => {
      await wait();
      return file.read(into, offset);
    });
  return instead(directory, 'open', async (...given: Parameters<StorageDirectory['open']>) => slow(await directory.open(...given)));
}

function instead<Port extends object>(port: Port, key: string, call: unknown): Port {
  return new Proxy(port, {
    get: (target, property) => {
      const value: unknown = Reflect.get(target, property, target);
      if (property === key) return call;
      return typeof value === 'function' ? (...given: unknown[]): unknown => Reflect.apply(value, target, given) : value;
    },
  });
}
