// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { GIB, MIB } from '@secondsite/units';
import { type JournalSight, RetentionWatch, type RetentionStanding } from './retention-watch';

const HOUR = 3600e6;

interface Scene {
  readonly watch: RetentionWatch;
  readonly told: RetentionStanding[];
}

function makeScene(): Scene {
  const told: RetentionStanding[] = [];
  return { watch: new RetentionWatch((standing) => told.push(standing)), told };
}

function sight(part: Partial<JournalSight>): JournalSight {
  return { at: 0, journalBytes: 0, coveredTime: 1e15, earliestPoint: 1e15, spaceFloor: 0, limits: { windowMicros: 24 * HOUR }, diskBytes: Infinity, ...part };
}

/** Watches for `seconds` a journal that grows evenly. */
function grow({ watch }: Scene, { seconds, bytesPerSecond, ...part }: Partial<JournalSight> & { seconds: number; bytesPerSecond: number }): RetentionStanding {
  let standing: RetentionStanding | undefined;
  for (let second = 0; second <= seconds; second++) {
    standing = watch.observe(sight({ ...part, at: second * 1e6, journalBytes: (part.journalBytes ?? 0) + second * bytesPerSecond }));
  }
  return standing as RetentionStanding;
}

describe('the standing of a journal', () => {
  it('is the window promised and available, the size and the limit that comes first', () => {
    const limits = { windowMicros: 24 * HOUR, spaceBytes: 10 * GIB };
    const standing = makeScene().watch.observe(sight({ earliestPoint: 1e15 - 2 * HOUR, journalBytes: GIB, limits, diskBytes: 5 * GIB }));
    expect(standing).toEqual({
      promisedMicros: 24 * HOUR, availableMicros: 2 * HOUR, limitBytes: 5 * GIB, growthBytesPerSecond: undefined, fullSeconds: undefined, shortenedBy: undefined, shortenedAt: undefined,
    });
  });

  it('forecasts when the space is full at the growth of the last minutes', () => {
    const limits = { windowMicros: 24 * HOUR, spaceBytes: 1000 * MIB };
    const standing = grow(makeScene(), { seconds: 100, bytesPerSecond: MIB, journalBytes: 100 * MIB, limits, earliestPoint: 1e15 - HOUR });
    expect(standing.growthBytesPerSecond).toBe(MIB);
    expect(standing.fullSeconds).toBe(800);
  });

  it('counts what others take from the disk', () => {
    const scene = makeScene();
    const limits = { windowMicros: 24 * HOUR };
    let standing: RetentionStanding | undefined;
    for (let second = 0; second <= 100; second++) {
      standing = scene.watch.observe(sight({ limits, at: second * 1e6, journalBytes: second * MIB, diskBytes: 2000 * MIB - 9 * second * MIB, earliestPoint: 1e15 - HOUR }));
    }
    expect(standing).toMatchObject({ growthBytesPerSecond: MIB, fullSeconds: 100 });
  });

  it('forecasts nothing when the window, or the time of full detail of a ladder, ends before the space', () => {
    const limits = { windowMicros: 24 * HOUR, spaceBytes: 100 * GIB };
    expect(grow(makeScene(), { seconds: 100, bytesPerSecond: MIB, limits, earliestPoint: 1e15 - 23 * HOUR }).fullSeconds).toBeUndefined();
    expect(grow(makeScene(), { seconds: 100, bytesPerSecond: MIB, limits: { ...limits, windowMicros: 100 * HOUR }, earliestPoint: 1e15 - HOUR }).fullSeconds).toBeDefined();
    const rules = [{ keep: 'all', untilMicros: 2 * HOUR }, { keep: 'bookmarks', untilMicros: 100 * HOUR, bookmarks: 'every' }] as const;
    expect(grow(makeScene(), { seconds: 100, bytesPerSecond: MIB, limits: { ...limits, windowMicros: 100 * HOUR, rules }, earliestPoint: 1e15 - HOUR }).fullSeconds).toBeUndefined();
  });

  it('tells once that points had to go, with the cause, and again only after it had passed', () => {
    const scene = makeScene();
    const limits = { windowMicros: 24 * HOUR, spaceBytes: GIB };
    const short = { limits, spaceFloor: 1e15 - HOUR, earliestPoint: 1e15 - HOUR };
    expect(scene.watch.observe(sight(short)).shortenedBy).toBe('space-limit');
    expect(scene.watch.observe(sight({ ...short, at: 5e6 })).shortenedAt).toBe(0);
    expect(scene.told).toMatchObject([{ shortenedBy: 'space-limit', promisedMicros: 24 * HOUR, availableMicros: HOUR }]);
    expect(scene.watch.observe(sight({ ...short, spaceFloor: 1e15 - 24 * HOUR })).shortenedBy).toBeUndefined();
    expect(scene.watch.observe(sight({ ...short, diskBytes: GIB / 2 })).shortenedBy).toBe('disk-full');
    expect(scene.told).toHaveLength(2);
  });
});
