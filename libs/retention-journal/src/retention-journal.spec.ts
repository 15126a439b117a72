// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { randomBelow, seededRandom } from '@secondsite/durable-storage/testing';
import fc from 'fast-check';
import { RecoveryPoints } from './recovery-points';
import { applySome, expectImage, makeBench, readView, reopen, viewAt } from './testing/journal-bench';
import type { ViewReader } from './view-reader';

const seeds = fc.integer({ min: 1, max: 2 ** 31 });

describe('the retention journal', () => {
  it('makes durable what it finds on opening, which a killed process may have left in the page cache', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const bench = await makeBench(seed);
      await applySome(bench, 12);
      bench.storage.fault = ({ kind }) => (kind === 'sync' ? 'io-error' : undefined);
      await bench.applier.apply([bench.history.next()]).catch(() => undefined);
      bench.storage.fault = undefined;
      await reopen(bench);
      const found = bench.applier.journal.recorded;
      bench.storage.crash(seededRandom(seed));
      await reopen(bench);
      expect(bench.applier.journal.recorded).toEqual(found);
    }
  });

  it('offers exactly the instants at which the stream had everything, and shows the source disk at each', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const bench = await makeBench(seed);
        await applySome(bench, 16);
        if (seed % 2 === 0) await reopen(bench);
        const points = RecoveryPoints.ofVolume(bench.applier.journal.timelines);
        for (const time of bench.history.interestingTimes()) {
          const truth = bench.history.at(time);
          const exact = truth?.green === true && time <= bench.history.time;
          const offered = points.isOffered(time);
          // Between the last entry sent and a write that was only marked, nothing is known yet: not offered.
          const mayMiss = truth?.time !== time && bench.history.after(time)?.green !== true;
          expect({ time, offered }).toEqual({ time, offered: exact && (offered || !mayMiss) });
          if (!offered || randomBelow(bench.random, 4) > 0) continue;
          const reader = await viewAt(bench, time);
          expectImage(bench, reader, time);
          bench.applier.journal.closeView(reader.map);
        }
        for (const bookmark of bench.history.bookmarks) {
          const resolved = points.resolve({ kind: 'bookmark', nameOrId: bookmark.bookmarkId });
          expect(resolved.ok ? resolved.time : undefined).toBe(bookmark.green ? bookmark.time : undefined);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('keeps open views unchanged while apply goes on, also between journal and replica', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const bench = await makeBench(seed);
        const open: { reader: ViewReader; time: number }[] = [];
        const checkAll = (): void => open.forEach(({ reader, time }) => expectImage(bench, reader, time));
        for (let round = 0; round < 8; round++) {
          await applySome(bench, 3, { between: checkAll });
          const points = RecoveryPoints.ofVolume(bench.applier.journal.timelines);
          const times = bench.history.interestingTimes().filter((time) => points.isOffered(time));
          const time = times[randomBelow(bench.random, Math.max(1, times.length))];
          if (time !== undefined) open.push({ reader: await viewAt(bench, time), time });
          checkAll();
        }
      }),
      { numRuns: 40 },
    );
  });

  it('is told apart from one that forgets an overlapping write of the same group', async () => {
    const bench = await makeBench(5);
    await applySome(bench, 12);
    const reader = await viewAt(bench, RecoveryPoints.ofVolume(bench.applier.journal.timelines).earliest as number);
    const image = readView(reader, { offset: 0, length: bench.history.volumeBytes });
    expect(image.equals(bench.history.source)).toBe(false);
  });

  it('removes the oldest instants by window and by space, and says exactly what remains', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, fc.boolean(), async (seed, bySpace) => {
        const bench = await makeBench(seed);
        await applySome(bench, 30);
        const { journal } = bench.applier;
        const limits = bySpace ? { windowMicros: 1e12, spaceBytes: 60_000 } : { windowMicros: 600 };
        const before = RecoveryPoints.ofVolume(journal.timelines);
        await journal.maintain(limits);
        const points = RecoveryPoints.ofVolume(journal.timelines);
        if (bySpace) expect(journal.storedBytes < 60_000 || journal.segmentCount <= 2).toBe(true);
        else if (before.isOffered(before.coveredTime - 600)) expect(points.isOffered(before.coveredTime - 600)).toBe(true);
        if (points.earliest === undefined) return;
        const reader = await viewAt(bench, points.earliest);
        expectImage(bench, reader, points.earliest);
        expect(points.resolve({ kind: 'time', time: points.earliest - 1 })).toMatchObject({ ok: false, reason: 'before-earliest', nearestAfter: points.earliest });
      }),
      { numRuns: 40 },
    );
  });

  it('never removes what an open view needs', async () => {
    const bench = await makeBench(11);
    await applySome(bench, 10);
    const time = RecoveryPoints.ofVolume(bench.applier.journal.timelines).earliest as number;
    const reader = await viewAt(bench, time);
    for (let round = 0; round < 10; round++) {
      await applySome(bench, 3);
      await bench.applier.journal.maintain({ windowMicros: 1, spaceBytes: 1 });
      expectImage(bench, reader, time);
    }
    const held = bench.applier.journal.segmentCount;
    bench.applier.journal.closeView(reader.map);
    await bench.applier.journal.maintain({ windowMicros: 1, spaceBytes: 1 });
    expect(bench.applier.journal.segmentCount).toBeLessThan(held);
    await expect(bench.applier.journal.openView(time)).rejects.toMatchObject({ code: 'journal/point-pruned' });
  });
});
