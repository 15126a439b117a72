// SPDX-License-Identifier: Apache-2.0
// A disk that changes what was written: what is found is refused to exactly the views and bytes that need it; everything else is what it was.
import { describe, expect, it } from '@jest/globals';
import { randomBelow } from '@secondsite/durable-storage/testing';
import { isOperationError } from '@secondsite/units';
import { RecoveryPoints } from './recovery-points';
import type { RetentionLimits } from './retention-ladder';
import type { JournalDamageFound } from './journal-scrubber';
import { applySome, everything, type JournalBench, makeBench, reopen, viewAt } from './testing/journal-bench';

const PIECE = 256;
const INSTANTS = 20;

/** Some of the instants that are offered, the oldest and the newest among them. */
function offered(bench: JournalBench): number[] {
  const points = RecoveryPoints.ofVolume(bench.applier.journal.timelines);
  const times = bench.history.interestingTimes().filter((time) => points.isOffered(time));
  return times.filter((_, index) => index % Math.ceil(times.length / INSTANTS) === 0 || index === times.length - 1);
}

interface Seen {
  readonly served: number;
  readonly refused: { readonly time: number; readonly offset: number }[];
}

/** Reads these instants in small pieces: each is what the source held then, or refused with one of the codes. */
async function readAll(bench: JournalBench, { codes, times }: { readonly codes: readonly string[]; readonly times?: readonly number[] }): Promise<Seen> {
  const refused: Seen['refused'] = [];
  let served = 0;
  for (const time of times ?? offered(bench)) {
    const { image } = bench.history.at(time) as { image: Uint8Array };
    const reader = await viewAt(bench, time);
    for (let offset = 0; offset < image.length; offset += PIECE) {
      const seen = Buffer.alloc(Math.min(PIECE, image.length - offset));
      try {
        reader.readNow(seen, offset);
        if (!seen.equals(image.subarray(offset, offset + PIECE))) throw new Error(`the view of ${time} is wrong at ${offset}`);
        served += 1;
      } catch (error) {
        if (!codes.some((code) => isOperationError(error, code))) throw error;
        refused.push({ time, offset });
      }
    }
    bench.applier.journal.closeView(reader.map);
  }
  return { served, refused };
}

async function scrub(bench: JournalBench): Promise<JournalDamageFound[]> {
  const found: JournalDamageFound[] = [];
  for await (const { damage } of bench.applier.journal.scrub()) if (damage) found.push(damage);
  expect(bench.memory.piecesInUse).toBe(0);
  return found;
}

async function sealedNames(bench: JournalBench, kind: string): Promise<string[]> {
  const names = (await (await bench.storage.root.directory('journal')).list()).filter((name) => name.endsWith(kind)).sort();
  return kind === '.undo' ? names.slice(0, -1) : names;
}

async function flip(bench: JournalBench, name: string, at: number): Promise<void> {
  const file = await (await bench.storage.root.directory('journal')).open(name);
  const byte = new Uint8Array(1);
  file.readNow(byte, at);
  file.writeNow(new Uint8Array([(byte[0] as number) ^ 0x10]), at);
  await file.close();
}

async function sizeOf(bench: JournalBench, name: string): Promise<number> {
  const file = await (await bench.storage.root.directory('journal')).open(name);
  const bytes = file.size();
  await file.close();
  return bytes;
}

describe('a journal whose disk changed something', () => {
  it('finds nothing while all is as it was written', async () => {
    const bench = await makeBench(3);
    await applySome(bench, 30);
    expect((await sealedNames(bench, '.undo')).length).toBeGreaterThan(2);
    expect(await scrub(bench)).toEqual([]);
  });

  it('refuses the undo of the damaged record to views that need it, and serves every other byte, also after a restart', async () => {
    let refusals = 0;
    for (let seed = 1; seed <= 15; seed++) {
      const bench = await makeBench(seed);
      await applySome(bench, 30);
      const names = await sealedNames(bench, '.undo');
      const name = names[randomBelow(bench.random, names.length)] as string;
      await flip(bench, name, 128 + randomBelow(bench.random, (await sizeOf(bench, name)) - 128));
      const [found, ...others] = await scrub(bench);
      expect(others).toEqual([]);
      expect(found?.file).toBe(name);
      const seen = await readAll(bench, { codes: ['journal/damaged'] });
      expect(seen.served).toBeGreaterThan(0);
      expect(seen.refused.filter(({ time }) => time >= (found?.before ?? 0))).toEqual([]);
      refusals += seen.refused.length;
      expect(await scrub(bench)).toEqual([]);
      await bench.applier.journal.close();
      await reopen(bench);
      expect(await readAll(bench, { codes: ['journal/damaged'] })).toEqual(seen);
    }
    expect(refusals).toBeGreaterThan(0);
  });

  it('writes header and index of a segment again, of which everything is known', async () => {
    const bench = await makeBench(4);
    await applySome(bench, 30);
    const name = (await sealedNames(bench, '.undo'))[1] as string;
    const index = name.replace('.undo', '.index');
    await flip(bench, name, 20);
    await flip(bench, index, (await sizeOf(bench, index)) - 3);
    expect(await scrub(bench)).toEqual([]);
    await bench.applier.journal.close();
    await reopen(bench);
    expect((await readAll(bench, { codes: [] })).refused).toEqual([]);
  });

  it('holds nothing for a view that could not be opened', async () => {
    const bench = await makeBench(4);
    await applySome(bench, 30);
    const name = (await sealedNames(bench, '.undo'))[1] as string;
    const index = name.replace('.undo', '.index');
    await flip(bench, index, (await sizeOf(bench, index)) - 3);
    await flip(bench, name, Math.floor((await sizeOf(bench, name)) / 2));
    await expect(viewAt(bench, offered(bench)[0] as number)).rejects.toMatchObject({ code: 'journal/damaged' });
    expect({ views: bench.applier.journal.openViews, pieces: bench.memory.piecesInUse }).toEqual({ views: 0, pieces: 0 });
  });

  it('leaves a damaged segment out of merging, and refuses the damaged part of a merged one', async () => {
    const bench = await makeBench(6);
    await applySome(bench, 40);
    const names = await sealedNames(bench, '.undo');
    const rotten = names[2] as string;
    await flip(bench, rotten, Math.floor((await sizeOf(bench, rotten)) / 2));
    expect((await scrub(bench)).map(({ file }) => file)).toEqual([rotten]);
    const oldest = offered(bench)[0] as number;
    const coarse: RetentionLimits = { windowMicros: 1e12, rules: [{ keep: 'bookmarks', untilMicros: 1e12, bookmarks: 'every' }], pins: [oldest] };
    while (await bench.applier.journal.mergeNext(coarse, async () => undefined));
    expect(await sealedNames(bench, '.undo')).toContain(rotten);
    const merged = await sealedNames(bench, '.merged');
    expect(merged.length).toBeGreaterThan(0);
    const before = await readAll(bench, { codes: ['journal/damaged'], times: [oldest] });
    await flip(bench, merged[0] as string, 200);
    expect((await scrub(bench)).map(({ file }) => file)).toEqual([merged[0]]);
    const after = await readAll(bench, { codes: ['journal/damaged'], times: [oldest] });
    expect(after.refused.length).toBeGreaterThan(before.refused.length);
  });

  it('says of undo whose old bytes are not known that they are lost, also when it is merged', async () => {
    let refusedOfMerged = 0;
    for (let seed = 1; seed <= 8; seed++) {
      const bench = await makeBench(seed);
      await applySome(bench, 12);
      while (!bench.history.green) await applySome(bench, 1);
      const newest = bench.history.time;
      const lost = { offset: 5000, length: 3000 };
      bench.applier.lostIn = (start, end) => (start < lost.offset + lost.length && lost.offset < end ? [{ offset: Math.max(start, lost.offset), length: Math.min(end, lost.offset + lost.length) - Math.max(start, lost.offset) }] : []);
      const repair = bench.history.rewrite(lost);
      await bench.applier.apply([repair]);
      bench.applier.lostIn = () => [];
      await applySome(bench, 12);
      const check = async (): Promise<number> => {
        const { refused } = await readAll(bench, { codes: ['journal/bytes-lost'], times: [...offered(bench), ...(bench.applier.journal.points(everything).isOffered(newest) ? [newest] : [])] });
        for (const { time, offset } of refused) expect({ offset, late: time >= repair.lastTime, inside: offset + PIECE > lost.offset && offset < lost.offset + lost.length }).toEqual({ offset, late: false, inside: true });
        return refused.length;
      };
      expect(await check()).toBeGreaterThan(0);
      await bench.applier.journal.close();
      await reopen(bench);
      expect(await check()).toBeGreaterThan(0);
      const pins = [offered(bench)[0] as number];
      while (await bench.applier.journal.mergeNext({ ...everything, rules: [{ keep: 'bookmarks', untilMicros: 1e12, bookmarks: 'every' }], pins }, async () => undefined));
      refusedOfMerged += await check();
    }
    expect(refusedOfMerged).toBeGreaterThan(0);
  });
});

