// SPDX-License-Identifier: Apache-2.0
import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GIB, KIB, MIB } from '@secondsite/units';
import { bootGuest, buildGuest, createGuestDisk, type GuestImage } from '@secondsite/qemu';
import type { BenchSite } from '../bench-site';
import { fio, nbdLoad } from '../fio';
import { measureInterleaved } from '../measure';
import { repositoryRoot, runProgram } from '../run-program';
import { settleMachine } from '../settle-machine';
import type { TableRow } from '../table-row';

const guestBytes = 256 * MIB;
const blockBytes = 4 * KIB;
/** What the target keeps up with, so that each write leaves its undo extent; a resynchronisation would leave them all in one. */
const writtenMebibytesPerSecond = 60;

export interface BootCase {
  readonly undoExtents: number;
  /** More than the extents, because old zeros leave none of their own. */
  readonly writes: number;
  /** Data behind the guest's file system: room for the extents. */
  readonly dataBytes: number;
}

export const boot10k: BootCase = { undoExtents: 10_000, writes: 10_000, dataBytes: 0 };
export const boot1m: BootCase = { undoExtents: 1_000_000, writes: 1_065_000, dataBytes: 4 * GIB };

/** Time to init of a guest whose disk is a view some undo extents back, beside the same disk as a plain raw file. */
export async function bootRow(site: BenchSite, rounds: number, { undoExtents, writes, dataBytes }: BootCase): Promise<TableRow> {
  const guest = await buildGuest(join(repositoryRoot, '.cache', 'guest'));
  const raw = join(site.folder, 'boot-raw.img');
  const sizeBytes = guestBytes + dataBytes;
  await createGuestDisk({ path: raw, sizeBytes: guestBytes, guest });
  if (dataBytes > 0) await runProgram('dd', ['if=/dev/urandom', `of=${raw}`, 'bs=1M', `seek=${guestBytes / MIB}`, `count=${dataBytes / MIB}`, 'conv=notrunc', 'status=none']);
  const disk = await site.addDisk({ sizeBytes, fill: (image) => copyFile(raw, image) });
  await site.protect(disk);
  const before = await site.cluster.cli<{ time: string }>('bookmark', 'create', `plan-${disk.name}`, 'before-writes');
  const extra = [`--io_size=${writes * blockBytes}`, `--rate=${writtenMebibytesPerSecond}m`];
  await fio(nbdLoad({ uri: disk.uri, pattern: 'randwrite', block: '4k', depth: 16, sizeBytes, extra }));
  await site.whenApplied(disk);
  const view = await site.openView(disk, '--at', before.time, '--rw');
  const [ours, peer] = await measureInterleaved([
    { name: `view ${undoExtents} undo extents back`, run: () => site.profiled(`boot-${undoExtents}`, () => secondsToInit(guest, view.uri)) },
    { name: 'plain raw file', run: () => secondsToInit(guest, raw) },
  ], rounds, () => settleMachine({ folder: site.folder, memoryBytes: guestBytes }));
  await view.close();
  await site.remove(disk);
  await rm(raw);
  return { title: `boot from a view, ${undoExtents} undo extents, time to init`, unit: 's', ours, peers: [peer], reach: [{ kind: 'most', ratio: 1.08 }] };
}

async function secondsToInit(guest: GuestImage, disk: string): Promise<number> {
  const machine = await bootGuest({ guest, disk, mode: 'idle', overlay: false });
  try {
    const init = await machine.waitForLine(/^SECONDSITE-INIT /, 120_000);
    return (init.receivedMicros - machine.startedMicros) / 1e6;
  } finally {
    await machine.kill();
  }
}
