// SPDX-License-Identifier: Apache-2.0
// A real machine with SQLite on a protected disk: recovered at random instants and at a bookmark, each view boots, its database is sound, and
// holds every commit that was acknowledged by then and none that began later. The record of acknowledgements is the console, outside the disk.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Acknowledgement, acknowledgementsOf, guestCacheFolder, judgeRecovery, readGuestCheck, TestCluster } from '@secondsite/cli/testing';
import type { RecoveryPoints, View } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import { type Accelerator, bootGuest, buildGuest, createGuestDisk, type GuestImage, probeAccelerator, type RunningGuest } from '@secondsite/qemu';
import { isoFromMicros, MIB, microsFromIso, type TimeMicros } from '@secondsite/units';
import { describeWithTools } from './host-tools';
import { Random } from './random';

const diskBytes = 128 * MIB;
const randomInstants = 4;
const rowsMin = 300;
const bootMillisMax = 90_000;

describeWithTools('a database on a protected disk', ['qemu-system-x86_64', 'qemu-img', 'mke2fs'], () => {
  const random = Random.announced('database recovery');
  let cluster: TestCluster;
  let guest: GuestImage;
  let accelerator: Accelerator;
  let machine: RunningGuest;
  let writtenFrom: TimeMicros;
  let bookmarkTime: TimeMicros;
  let acknowledgements: Acknowledgement[];

  beforeAll(async () => {
    const cacheFolder = guestCacheFolder();
    await mkdir(cacheFolder, { recursive: true });
    guest = await buildGuest(join(cacheFolder, 'guest'));
    accelerator = await probeAccelerator({ guest, cacheFolder });
    cluster = await TestCluster.start();
    const image = join(cluster.folder, 'disk.img');
    await createGuestDisk({ path: image, sizeBytes: diskBytes, guest });
    const disk = await cluster.addImage('disk', image);
    machine = await bootGuest({ guest, accelerator, disk: disk.uri, mode: 'write', writeIntervalMicros: 5_000 });
    await machine.waitForLine(/^ACK 1$/, bootMillisMax);
    await cluster.cli('plan', 'create', 'plan', '--volume', 'disk');
    await cluster.whenInSync('plan');
    writtenFrom = clockMicros();
  }, 300_000);

  afterAll(async () => {
    await machine?.kill();
    await cluster?.stop();
  }, 60_000);

  it('is written by a real machine, with a bookmark on the way, until the power fails', async () => {
    await whenRows(rowsMin / 2);
    bookmarkTime = microsFromIso((await cluster.cli<{ time: string }>('bookmark', 'create', 'plan', 'middle')).time) as TimeMicros;
    await whenRows(rowsMin);
    await machine.kill();
    acknowledgements = acknowledgementsOf(machine.console.lines());
    const last = acknowledgements.at(-1) as Acknowledgement;
    process.stdout.write(`${acknowledgements.length} commits were acknowledged, ${acknowledgements.filter(({ receivedAt }) => receivedAt > writtenFrom).length} of them in differential sync\n`);
    await cluster.whenInSync('plan', { pointAfter: last.receivedAt });
  }, 120_000);

  it.each(Array.from({ length: randomInstants }, (_, index) => index + 1))('is whole at random instant %i', async () => {
    const last = (acknowledgements.at(-1) as Acknowledgement).receivedAt;
    await judge(['--at', isoFromMicros(writtenFrom + random.below(last - writtenFrom))]);
  }, bootMillisMax);

  it('is whole at a bookmark', async () => {
    const points = await cluster.cli<RecoveryPoints>('points', 'plan');
    expect(points.common.bookmarks).toMatchObject([{ name: 'middle', time: isoFromMicros(bookmarkTime) }]);
    expect(await judge(['--bookmark', 'middle'])).toBe(bookmarkTime);
  }, bootMillisMax);

  it('boots by the command for people, too', async () => {
    const booted = await cluster.cli<{ pointTime: string; secondsToInit: number; console: string[] }>('boot', 'disk', '--bookmark', 'middle', '--check');
    expect(booted.console).toContainEqual(expect.stringMatching(/^CHECK ok /));
    expect(microsFromIso(booted.pointTime)).toBe(bookmarkTime);
    expect(booted.secondsToInit).toBeGreaterThan(0);
  }, bootMillisMax);

  /** Acknowledged commits since differential sync was reached. */
  function whenRows(count: number): Promise<unknown> {
    const first = acknowledgementsOf(machine.console.lines()).filter(({ receivedAt }) => receivedAt <= writtenFrom).length;
    return machine.waitForLine(new RegExp(`^ACK ${first + count}$`), 60_000);
  }

  /** Boots the view, lets it check its data, and holds the result against the record. Returns the time of the view. */
  async function judge(point: readonly string[]): Promise<TimeMicros> {
    const { views } = await cluster.cli<{ views: View[] }>('view', 'open', 'disk', ...point, '--rw');
    const { viewId, nbdUris, pointTime } = views[0] as View;
    const at = microsFromIso(pointTime) as TimeMicros;
    const recovered = await bootGuest({ guest, accelerator, disk: nbdUris[0] as string, mode: 'check' });
    try {
      const check = await recovered.waitForLine(/^(CHECK|SECONDSITE-FAIL) /, bootMillisMax);
      const verdict = judgeRecovery({ acknowledgements, check: readGuestCheck(check.text), at });
      process.stdout.write(`view of ${pointTime}: ${check.text}: ${verdict.words}\n`);
      expect(verdict).toMatchObject({ right: true });
      return at;
    } finally {
      await recovered.kill();
      await cluster.cli('view', 'close', viewId);
    }
  }
});
