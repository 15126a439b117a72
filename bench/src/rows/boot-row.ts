// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { MIB } from '@secondsite/units';
import { bootGuest, buildGuest, createGuestDisk, type GuestImage } from '@secondsite/qemu';
import type { BenchSite } from '../bench-site';
import { fio } from '../fio';
import { measureInterleaved } from '../measure';
import { repositoryRoot } from '../run-program';
import type { TableRow } from '../table-row';
import { copyFile } from 'node:fs/promises';

const diskBytes = 256 * MIB;
const undoExtents = 10_000;

/** Time to init of a guest whose disk is a view 10,000 undo extents back, beside the same disk as a plain raw file. */
export async function bootRow(site: BenchSite, rounds: number): Promise<TableRow> {
  const guest = await buildGuest(join(repositoryRoot, '.cache', 'guest'));
  const raw = join(site.folder, 'boot-raw.img');
  await createGuestDisk({ path: raw, sizeBytes: diskBytes, guest });
  const disk = await site.addDisk({ sizeBytes: diskBytes, fill: (image) => copyFile(raw, image) });
  await site.protect(disk);
  const before = await site.cluster.cli<{ time: string }>('bookmark', 'create', `plan-${disk.name}`, 'before-writes');
  await fio(['--name=undo', '--ioengine=nbd', `--uri=${disk.uri}`, '--rw=randwrite', '--bs=4k', '--iodepth=16', `--size=${diskBytes}`, `--number_ios=${undoExtents}`, '--randrepeat=0']);
  await site.whenApplied(disk);
  const opened = await site.cluster.cli<{ views: { viewId: string; nbdUris: string[] }[] }>('view', 'open', disk.name, '--at', before.time, '--rw');
  const view = opened.views[0];
  if (!view?.nbdUris[0]) throw new Error('no view was opened');
  const uri = view.nbdUris[0];
  const [ours, peer] = await measureInterleaved([
    { name: `view ${undoExtents} undo extents back`, run: () => secondsToInit(guest, uri) },
    { name: 'plain raw file', run: () => secondsToInit(guest, raw) },
  ], rounds);
  await site.cluster.cli('view', 'close', view.viewId);
  await site.remove(disk);
  if (!ours || !peer) throw new Error('a contestant is missing');
  return { title: 'boot, time to init', unit: 's', ours, peers: [peer], reach: [{ kind: 'most', ratio: 1.15 }] };
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
