// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { crashHistories, CrashableStorage, randomBelow, type Random, seededRandom } from '@secondsite/durable-storage/testing';
import { encodeChangeSet } from '@secondsite/change-set';
import type { RetentionLimits } from '@secondsite/retention-journal';
import type { HistorySet } from '@secondsite/retention-journal/testing';
import { PairDriver } from '../testing/pair-driver';
import type { TargetPair } from './target-pair';

const histories = Number(process.env['SECONDSITE_CRASH_HISTORIES'] ?? 60);

/** I3 to I5 at this moment: replica, offered instants and views against the remembered images. */
async function expectTruth(driver: PairDriver, pair: TargetPair, { random, views }: { random: Random; views: number }): Promise<void> {
  const { history } = driver;
  await pair.idle();
  const points = pair.points();
  const status = pair.status();
  expect({ green: status.green, epoch: status.epoch }).toEqual({ green: history.green, epoch: history.sets.at(-1)?.epoch });
  if (history.green) expect(points.latest).toBe(history.time);
  const offered = history.interestingTimes().filter((time) => points.isOffered(time));
  for (const time of history.interestingTimes()) {
    if (points.isOffered(time)) {
      if (!history.at(time)?.green) throw new Error(`the instant ${time} is offered and not exact`);
    } else if (history.at(time)?.green && history.at(time)?.time === time) throw new Error(`the instant ${time} is missing`);
  }
  for (let view = 0; view < views && offered.length > 0; view++) {
    const time = view === 0 ? (offered.at(-1) as number) : (offered[randomBelow(random, offered.length)] as number);
    await expectView(driver, pair, time);
  }
}

async function expectView(driver: PairDriver, pair: TargetPair, time: number): Promise<void> {
  const reader = await pair.openReader(time);
  const seen = Buffer.alloc(driver.history.volumeBytes);
  await reader.read(seen, 0);
  pair.closeReader(reader);
  const { image } = driver.history.at(time) as { image: Uint8Array };
  if (!seen.equals(image)) throw new Error(`the view of ${time} differs at byte ${seen.findIndex((byte, at) => byte !== image[at])}`);
}

/** A set that a fenced agent might still send after `last`. */
function lateSet(driver: PairDriver, last: HistorySet): Uint8Array {
  const identity = { pairId: driver.history.pairId, epoch: last.epoch, sequence: last.sequence + 1, traceparent: undefined };
  const entry = { kind: 'write' as const, time: last.lastTime + 1, offset: 0, length: 512, bytes: [new Uint8Array(512).fill(0xbd)] };
  return Buffer.concat(encodeChangeSet(identity, [entry]).parts);
}

describe('a pair at the target', () => {
  it('applies what comes out of order, compressed or not, and shows every instant', async () => {
    const random = seededRandom(7);
    const driver = new PairDriver(random);
    const pair = await driver.open(new CrashableStorage().root);
    for (let round = 0; round < 6; round++) {
      await driver.send(pair, 10);
      await expectTruth(driver, pair, { random, views: 10 });
    }
    expect(pair.status()).toMatchObject({ cachedSets: 0, cacheBytes: 0, fault: undefined });
    expect(pair.position()).toMatchObject({ appliedEpoch: pair.status().epoch, appliedSequence: pair.status().sequence });
    await pair.close();
  });

  it('loses nothing that it answered and the agent cannot read again, in any history of power cuts, and every instant stays exact', async () => {
    const cuts = await crashHistories({
      histories,
      rounds: 4,
      model: (random) => new PairDriver(random),
      run: async ({ storage, model, random }) => {
        const pair = await model.open(storage.root);
        await model.send(pair, 4 + randomBelow(random, 12));
        await pair.idle();
      },
      check: async ({ storage, model, random }) => {
        const pair = await model.open(storage.root);
        await model.send(pair, 1);
        await expectTruth(model, pair, { random, views: 3 });
        await pair.close();
      },
    });
    expect(cuts).toBe(histories * 4);
  });

  it('survives a power cut at each single operation of a history, of which some lose sets that the agent reads again', async () => {
    let losses = 0;
    const cuts = await crashHistories({
      histories: 1,
      firstSeed: 41,
      cuts: 'every',
      model: (random) => new PairDriver(random),
      run: async ({ storage, model }) => {
        const pair = await model.open(storage.root);
        await model.send(pair, 14);
        await pair.close();
      },
      check: async ({ storage, model, random }) => {
        const pair = await model.open(storage.root);
        await model.send(pair, 2);
        await expectTruth(model, pair, { random, views: 2 });
        await pair.close();
        losses += model.losses;
      },
    });
    expect(cuts).toBeGreaterThan(50);
    expect(losses).toBeGreaterThan(0);
  });

  it('merges beside applying, and keeps every point of the ladder exact in any history of power cuts', async () => {
    const ladder: RetentionLimits = {
      windowMicros: 6000,
      rules: [{ keep: 'all', untilMicros: 200 }, { keep: 'periodic', untilMicros: 6000, everyMicros: 100, bookmarks: 'every' }],
    };
    const limits = { segmentBytes: 6000 };
    let merged = 0;
    await crashHistories({
      histories: Math.ceil(histories / 3),
      rounds: 4,
      model: (random) => new PairDriver(random),
      run: async ({ storage, model, random }) => {
        const pair = await model.open(storage.root, limits, ladder);
        await model.send(pair, 8 + randomBelow(random, 12));
        await pair.idle();
        await pair.close();
      },
      check: async ({ storage, model, random }) => {
        const pair = await model.open(storage.root, limits, ladder);
        await model.send(pair, 2);
        await pair.idle();
        const { spans } = pair.points();
        for (const { from, to } of spans) if (!model.history.at(from)?.green || !model.history.at(to)?.green) throw new Error(`${from} or ${to} is offered and not exact`);
        for (let view = 0; view < 4 && spans.length > 0; view++) await expectView(model, pair, spans[randomBelow(random, spans.length)]?.from as number);
        await pair.close();
        merged += (await (await storage.root.directory('journal')).list()).filter((name) => name.endsWith('.merged')).length;
      },
    });
    expect(merged).toBeGreaterThan(histories / 3);
  });

  it('lets the oldest points go when the disk runs out of space, tells so once, and keeps the newest and the replica', async () => {
    const driver = new PairDriver(seededRandom(12));
    const storage = new CrashableStorage();
    const pair = await driver.open(storage.root, { segmentBytes: 10_000, freeBytesMin: 40_000 });
    await driver.send(pair, 40);
    await pair.idle();
    const before = { earliest: pair.points().earliest as number, stored: pair.journal.storedBytes };
    storage.capacityBytes = storage.usedBytes + 45_000;
    for (let second = 0; second < 6; second++) {
      await pair.refreshFreeBytes();
      await driver.send(pair, 1);
      await pair.idle();
    }
    const points = pair.points();
    expect(pair.journal.storedBytes).toBeLessThan(before.stored);
    expect(points.earliest).toBeGreaterThan(before.earliest);
    expect(points.latest).toBe(driver.history.time);
    for (const time of [points.earliest, points.latest]) await expectView(driver, pair, time as number);
    expect(pair.status()).toMatchObject({ fault: undefined, retention: { shortenedBy: 'disk-full', promisedMicros: 1e12 } });
    const told = driver.events.filter(({ kind }) => kind === 'retention-shortened');
    expect(told).toMatchObject([{ cause: 'disk-full', promisedMicros: 1e12 }]);
    await pair.close();
  });

  it('holds a point that is being pinned until the pin arrives', async () => {
    const driver = new PairDriver(seededRandom(33));
    const pair = await driver.open(new CrashableStorage().root, { segmentBytes: 8000, mergeLookMicros: 1e12 });
    await driver.send(pair, 12);
    await pair.idle();
    const [oldest] = pair.points().spans;
    const time = (oldest?.from ?? 0) + 1;
    const after = { windowMicros: 1 };
    pair.retention.setLimits(after);
    expect(pair.retention.hold(time, 1e6)).toBe(false);
    pair.retention.setLimits({ windowMicros: 1e12 });
    expect(pair.retention.hold(time, 100_000)).toBe(true);
    pair.retention.setLimits(after);
    await pair.journal.maintain(pair.retention.effective);
    expect(pair.retention.holds(time)).toBe(true);
    pair.retention.setLimits({ ...after, pins: [time] });
    // The driver's clock goes on by a millisecond with every look.
    for (let look = 0; look < 200; look++) void pair.retention.effective;
    await pair.journal.maintain(pair.retention.effective);
    expect(pair.points().isOffered(time)).toBe(true);
    pair.retention.setLimits(after);
    await pair.journal.maintain(pair.retention.effective);
    expect(pair.retention.holds(time)).toBe(false);
    await pair.close();
  });

  it('says what another retention would drop, and drops nothing', async () => {
    const driver = new PairDriver(seededRandom(31));
    const pair = await driver.open(new CrashableStorage().root, { segmentBytes: 10_000 });
    await driver.send(pair, 40);
    await pair.idle();
    const before = pair.points();
    const limits: RetentionLimits = { windowMicros: 1000, rules: [{ keep: 'all', untilMicros: 200 }, { keep: 'bookmarks', untilMicros: 1000, bookmarks: 'every' }] };
    const { dropped, droppedBookmarks, earliestThen, freedBytes } = pair.retention.preview(limits);
    expect(pair.points().spans).toEqual(before.spans);
    const stored = pair.journal.storedBytes;
    pair.retention.setLimits(limits);
    await pair.journal.maintain(limits);
    expect(pair.points().earliest).toBe(earliestThen);
    expect(stored - pair.journal.storedBytes).toBe(freedBytes);
    for (const { from, to } of dropped) expect([from, to].map((time) => [before.isOffered(time), pair.points().isOffered(time)])).toEqual([[true, false], [true, false]]);
    expect(droppedBookmarks.length).toBeGreaterThan(0);
    for (const { time } of droppedBookmarks) expect(pair.points().isOffered(time)).toBe(false);
    await pair.close();
  });

  it('refuses an older epoch for good, keeps it aside and reports it; answers repeats of what it has', async () => {
    const driver = new PairDriver(seededRandom(3));
    const storage = new CrashableStorage();
    const pair = await driver.open(storage.root);
    while (driver.history.sets.at(-1)?.epoch !== 3) await driver.send(pair, 1);
    const old = driver.history.sets.filter((set) => set.epoch === 2);
    const ended = old.at(-1) as HistorySet;
    const late = lateSet(driver, ended);
    const place = { epoch: 2, sequence: ended.sequence + 1 };
    expect(await pair.store(new Uint8Array(ended.bytes), ended)).toMatchObject({ kind: 'stored' });
    expect(await pair.store(late, place)).toMatchObject({ kind: 'refused', code: 'change-set/old-epoch' });
    await pair.close();

    const reopened = await driver.open(storage.root);
    expect(await reopened.store(new Uint8Array(ended.bytes), ended)).toMatchObject({ kind: 'stored' });
    expect(await reopened.store(late, place)).toMatchObject({ kind: 'refused', code: 'change-set/old-epoch' });
    expect(driver.events.filter((event) => event.kind === 'refused')).toHaveLength(2);
    const quarantine = await storage.root.directory('quarantine');
    expect(await quarantine.list()).toEqual([`2-${place.sequence}.change-set`]);
    await expectTruth(driver, reopened, { random: seededRandom(1), views: 5 });
    await reopened.close();
  });

  it('refuses damaged and foreign sets, without storing them', async () => {
    const driver = new PairDriver(seededRandom(9));
    const storage = new CrashableStorage();
    const pair = await driver.open(storage.root);
    const set = driver.history.next();
    const damaged = Buffer.from(set.bytes);
    damaged[damaged.length - 1] = (damaged[damaged.length - 1] as number) ^ 1;
    expect(await pair.store(damaged, set)).toMatchObject({ kind: 'corrupt', code: 'change-set/corrupt' });
    expect(pair.position()).toMatchObject({ epoch: 0, sequence: 0 });
    expect(await pair.store(set.bytes, set)).toMatchObject({ kind: 'stored' });
    await pair.close();
  });

  it('holds the sender off when the cache is full, and goes on when the disk has space again', async () => {
    const driver = new PairDriver(seededRandom(21));
    const storage = new CrashableStorage();
    const pair = await driver.open(storage.root, { cacheBytesMax: 30_000 });
    await driver.send(pair, 20);
    storage.capacityBytes = storage.usedBytes + 1000;
    await expect(driver.send(pair, 30)).rejects.toMatchObject({ code: 'storage/no-space' });
    storage.capacityBytes = Number.MAX_SAFE_INTEGER;
    await driver.send(pair, 10);
    await expectTruth(driver, pair, { random: seededRandom(1), views: 20 });
    await pair.close();
  });
});
