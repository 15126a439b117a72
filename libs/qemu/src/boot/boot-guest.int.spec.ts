// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB } from '@secondsite/units';
import { buildGuest, type GuestImage } from '../guest/build-guest';
import { createGuestDisk } from '../guest/create-guest-disk';
import { sharedGuestFolder } from '../testing/shared-guest';
import { bootGuest } from './boot-guest';

describe('a guest booted from its own disk', () => {
  let folder: string;
  let guest: GuestImage;
  let disk: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secondsite-boot-'));
    guest = await buildGuest(sharedGuestFolder());
    disk = join(folder, 'disk.img');
    await createGuestDisk({ path: disk, sizeBytes: 64 * MIB, guest });
  }, 300_000);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('acknowledges what it committed; a power cut and a check later every acknowledged row and line is there', async () => {
    const running = await bootGuest({ guest, disk, mode: 'write' });
    await running.waitForLine(/^SECONDSITE-READY \d/, 60_000);
    await running.waitForLine(/^ACK [2-9]\d$/, 30_000);
    await running.waitForLine(/^ACKFILE 3$/, 30_000);
    await expect(running.run('echo hello; ls /data/app.db; exit 3')).resolves.toEqual({ exitCode: 3, output: 'hello\n/data/app.db\n' });
    await expect(running.kill()).resolves.toEqual({ code: null, signal: 'SIGKILL' });
    const acknowledged = lastNumber(running.console.lines().map((line) => line.text), /^ACK (\d+)$/);
    const lines = lastNumber(running.console.lines().map((line) => line.text), /^ACKFILE (\d+)$/);

    const check = await bootGuest({ guest, disk, mode: 'check', overlay: true });
    const result = await check.waitForLine(/^CHECK /, 60_000);
    const file = await check.waitForLine(/^CHECK-FILE /, 10_000);
    await expect(check.exited).resolves.toMatchObject({ code: 0 });
    const [, rows, max, wrong] = /^CHECK ok rows=(\d+) max=(\d+) wrong=(\d+)$/.exec(result.text) ?? [];
    expect(Number(rows)).toBe(Number(max));
    expect(Number(max)).toBeGreaterThanOrEqual(acknowledged);
    expect(Number(max)).toBeLessThanOrEqual(acknowledged + 1);
    expect(wrong).toBe('0');
    expect(Number(/lines=(\d+)/.exec(file.text)?.[1])).toBeGreaterThanOrEqual(lines);
  }, 120_000);
});

function lastNumber(lines: string[], pattern: RegExp): number {
  return Math.max(0, ...lines.map((line) => Number(pattern.exec(line)?.[1] ?? 0)));
}
