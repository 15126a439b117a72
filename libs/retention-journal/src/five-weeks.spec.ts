// SPDX-License-Identifier: Apache-2.0
// The worked check of F23: every change for 24 h, then one point per 4 h and all bookmarks, then only bookmarks of one level, nothing after four
// weeks; replayed over five weeks of made-up time against a model that knows neither journal nor ladder.
import { describe, expect, it } from '@jest/globals';
import { encodeChangeSet, encodeMarker, type LooseEntry, verifyChangeSet } from '@secondsite/change-set';
import { CrashableStorage, randomBelow, seededRandom } from '@secondsite/durable-storage/testing';
import { RetentionJournal } from './retention-journal';
import type { RetentionLimits } from './retention-ladder';
import type { Bookmark, JournalSet } from './stream-state';
import { SimpleApplier } from './testing/simple-applier';
import { ViewReader } from './view-reader';

const SECOND = 1e6;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
const VOLUME_BYTES = 32 * 1024;
const START = Date.UTC(2026, 9, 5, 1, 7, 13) * 1000;

const limits: RetentionLimits = {
  windowMicros: 28 * DAY,
  rules: [
    { keep: 'all', untilMicros: DAY },
    { keep: 'periodic', untilMicros: 7 * DAY, everyMicros: 4 * HOUR, bookmarks: 'every' },
    { keep: 'bookmarks', untilMicros: 28 * DAY, bookmarks: ['user'] },
  ],
};

interface Write {
  readonly time: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** An application that writes every ten minutes, with a crash bookmark every hour and a user's every day. */
class Application {
  readonly writes: Write[] = [];
  readonly bookmarks: Bookmark[] = [];
  readonly #random = seededRandom(20261005);
  #sequence = 0;
  time = START;
  /** The stream's first marker makes the first point. */
  firstPoint = 0;

  /** What happens in ten minutes, as one set. */
  next(): JournalSet {
    const entries: LooseEntry[] = [];
    const marker = (content: Parameters<typeof encodeMarker>[0]): void => {
      this.time += 1 + randomBelow(this.#random, SECOND);
      entries.push({ kind: 'marker', time: this.time, offset: 0, length: 0, bytes: [encodeMarker(content)] });
    };
    if (this.#sequence === 0) {
      marker({ kind: 'epoch-started', reason: 'none', volumeBytes: VOLUME_BYTES, resyncBytes: 0 });
      this.firstPoint = this.time;
    }
    for (let count = 1 + randomBelow(this.#random, 3); count > 0; count--) entries.push(this.#write());
    for (const level of ['crash', 'user'] as const) {
      if (this.#sequence % (level === 'crash' ? 6 : 144) !== 0) continue;
      const bookmarkId = `${level}-${this.#sequence}`;
      marker({ kind: 'bookmark', bookmarkId, name: bookmarkId, level });
      this.bookmarks.push({ bookmarkId, name: bookmarkId, level, time: this.time });
    }
    this.time = START + (this.#sequence + 1) * 600 * SECOND;
    const identity = { pairId: '6f1c0a52-0000-4000-8000-000000000001', epoch: 1, sequence: ++this.#sequence, traceparent: undefined };
    const verified = verifyChangeSet(Buffer.concat(encodeChangeSet(identity, entries).parts));
    if (!verified.ok) throw new Error(verified.detail);
    return { ...identity, folded: false, entries: verified.entries(), data: verified.data };
  }

  #write(): LooseEntry {
    this.time += 1 + randomBelow(this.#random, 100 * SECOND);
    const offset = randomBelow(this.#random, VOLUME_BYTES / 512) * 512;
    const bytes = new Uint8Array(512).fill(1 + randomBelow(this.#random, 255));
    this.writes.push({ time: this.time, offset, bytes });
    return { kind: 'write', time: this.time, offset, length: bytes.length, bytes: [bytes] };
  }

  imageAt(time: number): Buffer {
    const image = Buffer.alloc(VOLUME_BYTES);
    for (const write of this.writes) if (write.time <= time) image.set(write.bytes, write.offset);
    return image;
  }

  /** The four rules, spelt out: the single points, and since when every instant is there. */
  kept(now: number): { singles: number[]; everythingFrom: number } {
    const age = (time: number): number => now - time;
    const first = this.firstPoint;
    const everyFourHours = [first];
    for (let time = Math.ceil(first / (4 * HOUR)) * 4 * HOUR; time <= now; time += 4 * HOUR) everyFourHours.push(time);
    const second = [...everyFourHours, ...this.bookmarks.map(({ time }) => time)].filter((time) => age(time) > DAY && age(time) <= 7 * DAY);
    const third = this.bookmarks.filter(({ level, time }) => level === 'user' && age(time) > 7 * DAY && age(time) <= 28 * DAY).map(({ time }) => time);
    return { singles: [...new Set([...third, ...second])].sort((left, right) => left - right), everythingFrom: Math.max(first, now - DAY) };
  }
}

describe('the ladder of four rules over five weeks', () => {
  it('offers exactly its points at every time, each view with its bytes', async () => {
    const application = new Application();
    const storage = new CrashableStorage();
    const applier = new SimpleApplier(await RetentionJournal.open(await storage.root.directory('journal')), await storage.root.open('replica', { create: true }));
    await applier.replica.truncate(VOLUME_BYTES);
    const { journal } = applier;

    const expectView = async (time: number): Promise<void> => {
      const map = await journal.openView(time);
      const seen = Buffer.alloc(VOLUME_BYTES);
      new ViewReader({ journal, replica: applier.replica, map }).readNow(seen, 0);
      journal.closeView(map);
      if (!seen.equals(application.imageAt(time))) throw new Error(`the view of ${new Date(time / 1000).toISOString()} differs`);
    };
    const expectKept = async (views: number): Promise<void> => {
      const now = journal.applied.lastTime;
      const { singles, everythingFrom } = application.kept(now);
      const spans = journal.points(limits).spans.map(({ from, to }) => [from, to]);
      expect(spans).toEqual([...singles.map((time) => [time, time]), [everythingFrom, now]]);
      for (const [index, time] of [...singles, everythingFrom, now].entries()) if (index % Math.ceil((singles.length + 2) / views) === 0) await expectView(time);
    };

    for (let hour = 1; hour <= 5 * 7 * 24; hour++) {
      for (let set = 0; set < 6; set++) {
        await applier.apply([application.next()]);
        await journal.maintain(limits);
      }
      while (await journal.mergeNext(limits, async () => undefined));
      if (hour % 10 === 0) await expectKept(2);
    }
    await expectKept(Infinity);
    expect(application.kept(journal.applied.lastTime).singles.length).toBeGreaterThan(150);
    expect(journal.segmentCount).toBeLessThan(60);
  });
});
