// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { crashHistories, type CrashRound, randomBelow } from '@secondsite/durable-storage/testing';
import fc from 'fast-check';
import { RecoveryPoints } from './recovery-points';
import { keptPoints, type RetentionLimits } from './retention-ladder';
import { advanceStream, factsOfSet, initialStreamState } from './stream-state';
import { applySome, catchUp, expectImage, type JournalBench, makeBench, reopen, viewAt } from './testing/journal-bench';
import type { StreamHistory } from './testing/stream-history';
import { Timeline } from './timeline';
import type { ViewReader } from './view-reader';

const seeds = fc.integer({ min: 1, max: 2 ** 31 });
const small = { segmentBytes: 8000, segmentEntries: 40 };

/** In the times of a StreamHistory, of which a set takes some 100 µs. */
const limits: RetentionLimits = {
  windowMicros: 2500,
  rules: [
    { keep: 'all', untilMicros: 300 },
    { keep: 'periodic', untilMicros: 1200, everyMicros: 150, bookmarks: 'every' },
    { keep: 'periodic', untilMicros: 2500, everyMicros: 450, bookmarks: [] },
  ],
};

async function makeSmallBench(seed: number): Promise<JournalBench> {
  const bench = await makeBench(seed);
  await reopen(bench, small);
  return bench;
}

/** What the ladder keeps of a journal that never lost or merged anything. */
function expectedPoints({ sets }: StreamHistory, kept: RetentionLimits): RecoveryPoints {
  const timeline = new Timeline(initialStreamState);
  let state = initialStreamState;
  for (const set of sets) {
    const facts = factsOfSet(set, state);
    timeline.observe(facts);
    state = advanceStream(state, facts);
  }
  return keptPoints(RecoveryPoints.ofVolume([timeline]), kept);
}

function spansOf({ spans }: RecoveryPoints): { from: number; to: number }[] {
  return spans.map(({ from, to }) => ({ from, to }));
}

/** The points that are offered, and the bytes of the oldest and some others. */
async function expectExact(bench: JournalBench, kept: RetentionLimits): Promise<void> {
  const offered = bench.applier.journal.points(kept);
  const expected = expectedPoints(bench.history, kept);
  const seconds = secondsOfPeriods(offered, expected);
  expect(spansOf(offered).filter(({ from }) => !seconds.has(from))).toEqual(spansOf(expected));
  await expectBytes(bench, kept);
}

/**
 * Points that stand in for the first one of their period. That one is older than a rule or the window, and merging or pruning has removed it; a later one
 * that was the newest when others were merged is then the first that is left, until it is as old itself.
 */
function secondsOfPeriods(offered: RecoveryPoints, expected: RecoveryPoints): Set<number> {
  const { coveredTime, spans } = expected;
  const seconds = new Set<number>();
  for (const { from, to } of offered.spans) {
    const rule = limits.rules?.find(({ untilMicros }) => from >= coveredTime - untilMicros);
    if (from < to || rule?.keep !== 'periodic') continue;
    const start = from - (from % rule.everyMicros);
    const isTaken = (time: number): boolean => time >= start && time < start + rule.everyMicros;
    if (!spans.some((span) => isTaken(span.from)) && ![...seconds].some(isTaken)) seconds.add(from);
  }
  return seconds;
}

async function expectBytes(bench: JournalBench, kept: RetentionLimits): Promise<void> {
  const { spans } = bench.applier.journal.points(kept);
  for (const [index, { from, to }] of spans.entries()) {
    if (index > 0 && randomBelow(bench.random, spans.length) > 3) continue;
    for (const time of new Set([from, to])) {
      const reader = await viewAt(bench, time);
      expectImage(bench, reader, time);
      bench.applier.journal.closeView(reader.map);
    }
  }
}

async function mergeAll(bench: JournalBench, pause: () => Promise<void> = async () => undefined): Promise<number> {
  let merges = 0;
  while (await bench.applier.journal.mergeNext(limits, pause)) merges++;
  return merges;
}

describe('merging undo between kept points', () => {
  it('offers exactly the points of the ladder, each with its bytes, and takes less space', async () => {
    let [merges, stored, unmerged] = [0, 0, 0];
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const bench = await makeSmallBench(seed);
        for (let round = 0; round < 8; round++) {
          await applySome(bench, 3, { limits });
          const before = bench.applier.journal.storedBytes;
          merges += await mergeAll(bench);
          unmerged += before;
          stored += bench.applier.journal.storedBytes;
          if (round % 3 === 2) await reopen(bench, small);
          await expectExact(bench, limits);
        }
      }),
      // Each of the examples lost the first point of a period and not the next one: to the window, to a rule.
      { numRuns: 15, examples: [[2143264277], [1306086753]] },
    );
    expect(merges).toBeGreaterThan(30);
    expect(stored).toBeLessThan(unmerged);
  });

  it('changes no open view while it goes on, nor what is applied and dropped beside it', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const bench = await makeSmallBench(seed);
        const open: { reader: ViewReader; time: number }[] = [];
        const checkAll = (): void => open.forEach(({ reader, time }) => expectImage(bench, reader, time));
        let groups = 0;
        const beside = async (): Promise<void> => {
          if (groups-- > 0 && randomBelow(bench.random, 3) === 0) await applySome(bench, 1, { between: checkAll, limits });
          if (randomBelow(bench.random, 4) === 0) await openOne();
          checkAll();
        };
        const openOne = async (): Promise<void> => {
          const { spans } = bench.applier.journal.points(limits);
          const span = spans[randomBelow(bench.random, Math.max(1, spans.length))];
          if (span) open.push({ reader: await viewAt(bench, span.from), time: span.from });
        };
        for (let round = 0; round < 6; round++) {
          await applySome(bench, 3, { between: checkAll, limits });
          groups = 8;
          await mergeAll(bench, beside);
          if (open.length > 4) for (const { reader } of open.splice(0, 2)) bench.applier.journal.closeView(reader.map);
          await bench.applier.journal.maintain(limits);
          checkAll();
        }
        for (const { reader } of open.splice(0)) bench.applier.journal.closeView(reader.map);
        expect(bench.memory.piecesInUse).toBe(0);
        await mergeAll(bench);
        // What only a view held may be offered for some time more.
        const points = bench.applier.journal.points(limits);
        for (const { from, to } of expectedPoints(bench.history, limits).spans) expect([points.isOffered(from), points.isOffered(to)]).toEqual([true, true]);
        await expectBytes(bench, limits);
      }),
      { numRuns: 3 },
    );
  });

  it('frees what only open views still needed when they are closed, on the disk too', async () => {
    const bench = await makeSmallBench(7);
    await applySome(bench, 8);
    const earliest = bench.applier.journal.points(limits).earliest as number;
    const reader = await viewAt(bench, earliest);
    await mergeAll(bench);
    const held = bench.applier.journal.storedBytes;
    const directory = await bench.storage.root.directory('journal');
    const files = (await directory.list()).length;
    expectImage(bench, reader, earliest);
    bench.applier.journal.closeView(reader.map);
    await bench.applier.journal.maintain({ windowMicros: 1e12 });
    expect(bench.applier.journal.storedBytes).toBeLessThan(held);
    expect((await directory.list()).length).toBeLessThan(files);
  });

  it('keeps the instant of an open view, so that it can be opened again after a restart', async () => {
    const bench = await makeSmallBench(13);
    await applySome(bench, 8);
    const [span] = bench.applier.journal.points({ windowMicros: 1e12 }).spans;
    const time = (span?.from ?? 0) + 7;
    expect(bench.applier.journal.points(limits).isOffered(time)).toBe(false);
    await viewAt(bench, time);
    expect(await mergeAll(bench)).toBeGreaterThan(0);
    await reopen(bench, small);
    expect(RecoveryPoints.ofVolume(bench.applier.journal.timelines).isOffered(time)).toBe(true);
    expectImage(bench, await viewAt(bench, time), time);
  });

  it('keeps a pinned point exact however old it becomes, and lets it go when it is unpinned', async () => {
    const bench = await makeSmallBench(11);
    // No segment takes in others, so that the one with the pin becomes older than the window.
    await reopen(bench, { ...small, mergeEntries: 1 });
    await applySome(bench, 6, { limits });
    const pin = bench.applier.journal.points(limits).latest as number;
    const pinned = { ...limits, pins: [pin] };
    for (let round = 0; round < 14; round++) {
      await applySome(bench, 4, { limits: pinned });
      while (await bench.applier.journal.mergeNext(pinned, async () => undefined));
    }
    await reopen(bench, small);
    expect(bench.applier.journal.applied.lastTime - pin).toBeGreaterThan(limits.windowMicros);
    expect(bench.applier.journal.points(pinned).earliest).toBe(pin);
    await expectExact(bench, pinned);
    await bench.applier.journal.maintain(limits);
    expect(bench.applier.journal.points(limits).isOffered(pin)).toBe(false);
    await expectExact(bench, limits);
  });

  it('keeps to the space limit although a pin holds the oldest undo: the points behind the pin go, then the next', async () => {
    const bench = await makeSmallBench(19);
    await applySome(bench, 6);
    const pin = bench.applier.journal.points({ windowMicros: 1e12 }).latest as number;
    const narrow: RetentionLimits = { windowMicros: 1e12, spaceBytes: 250_000, pins: [pin] };
    let most = 0;
    for (let round = 0; round < 60; round++) {
      await applySome(bench, 4, { limits: narrow });
      while (await bench.applier.journal.mergeNext(narrow, async () => undefined));
      await bench.applier.journal.maintain(narrow);
      most = Math.max(most, bench.applier.journal.storedBytes);
    }
    expect(most).toBeLessThan(2 * 250_000);
    const points = bench.applier.journal.points(narrow);
    expect(points.earliest).toBe(pin);
    expect(points.spans[1]?.from).toBeGreaterThan(bench.applier.journal.spaceFloor - 1);
    expect(points.latest).toBe(expectedPoints(bench.history, narrow).latest);
    await expectBytes(bench, narrow);
  });

  it('gives up with the journal as before when the disk is full or it is told to stop', async () => {
    const bench = await makeSmallBench(5);
    await applySome(bench, 12);
    const before = { segments: bench.applier.journal.segmentCount, files: (await (await bench.storage.root.directory('journal')).list()).sort() };
    bench.storage.capacityBytes = bench.storage.usedBytes + 500;
    await expect(mergeAll(bench)).rejects.toMatchObject({ code: 'storage/no-space' });
    bench.storage.capacityBytes = Number.MAX_SAFE_INTEGER;
    await expect(mergeAll(bench, () => Promise.reject(new Error('stop')))).rejects.toThrow('stop');
    expect({ segments: bench.applier.journal.segmentCount, files: (await (await bench.storage.root.directory('journal')).list()).sort() }).toEqual(before);
    await mergeAll(bench);
    await expectExact(bench, limits);
  });

  it('is not overtaken by pruning: what it reads stays until it is done', async () => {
    const bench = await makeSmallBench(17);
    await applySome(bench, 12);
    const { journal } = bench.applier;
    const before = journal.segmentCount;
    let during = 0;
    await journal.mergeNext(limits, async () => {
      await journal.maintain({ windowMicros: 1 });
      during = journal.segmentCount;
    });
    expect(during).toBe(before);
    await journal.maintain({ windowMicros: 1 });
    expect(journal.segmentCount).toBeLessThan(before);
  });

  it.each([['.undo', -1], ['.merged', 200]])('never copies a block of a %s file that is not as it was written', async (extension, at) => {
    const bench = await makeSmallBench(3);
    await applySome(bench, 12, { limits });
    if (extension === '.merged') {
      await mergeAll(bench);
      await applySome(bench, 12, { limits });
    }
    const directory = await bench.storage.root.directory('journal');
    for (const name of (await directory.list()).filter((one) => one.endsWith(extension))) {
      const file = await directory.open(name);
      const place = (file.size() + at) % file.size();
      const byte = new Uint8Array(1);
      file.readNow(byte, place);
      file.writeNow(Uint8Array.of((byte[0] as number) ^ 1), place);
    }
    await expect(mergeAll(bench)).rejects.toMatchObject({ code: 'journal/damaged' });
  });
});

describe('merging and power cuts', () => {
  const histories = Number(process.env['SECONDSITE_CRASH_HISTORIES'] ?? 20);
  interface Model {
    bench?: JournalBench;
  }
  const plan = {
    model: (): Model => ({}),
    run: async (round: CrashRound<Model>): Promise<void> => workOn(await started(round)),
    check: async (round: CrashRound<Model>): Promise<void> => {
      const bench = await started(round);
      await expectExact(bench, limits);
      await mergeAll(bench);
      await expectExact(bench, limits);
    },
  };

  /** The history's bench on the round's storage, opened as after a start. */
  async function started({ storage, model, seed }: CrashRound<Model>): Promise<JournalBench> {
    model.bench ??= { ...(await makeBench(seed)), storage };
    await reopen(model.bench, { ...small, afterCrash: true });
    await catchUp(model.bench);
    return model.bench;
  }

  async function workOn(bench: JournalBench): Promise<void> {
    for (let round = 0; round < 3; round++) {
      await applySome(bench, 2, { limits });
      await bench.applier.replica.sync();
      await mergeAll(bench);
    }
  }

  it('leave every kept point exact, in any history', async () => {
    expect(await crashHistories({ ...plan, histories, rounds: 3 })).toBe(histories * 3);
  });

  it('leave every kept point exact at each single operation of a history', async () => {
    expect(await crashHistories({ ...plan, histories: 1, firstSeed: 23, cuts: 'every' })).toBeGreaterThan(100);
  });
});
