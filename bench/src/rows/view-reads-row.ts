// SPDX-License-Identifier: Apache-2.0
import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GIB, KIB, MIB } from '@secondsite/units';
import type { BenchSite } from '../bench-site';
import { fio, nbdLoad } from '../fio';
import { measureInterleaved } from '../measure';
import { Nbdkit } from '../nbdkit';
import { runProgram } from '../run-program';
import { settleMachine } from '../settle-machine';
import type { TableRow } from '../table-row';

const diskBytes = GIB;
const blockBytes = 4 * KIB;
const overwrittenBlocks = diskBytes / blockBytes / 2;
const secondsPerRun = 10;
/** What the target keeps up with, so that each write leaves its undo extent. */
const writtenMebibytesPerSecond = 60;

/**
 * Random 4 KiB reads through views beside nbdkit with a plain image of the same content: of a point after which half of the blocks were overwritten,
 * each by a write of its own, and of the newest state. Everything is in the page cache.
 */
export async function viewReadsRows(site: BenchSite, rounds: number): Promise<TableRow[]> {
  const disk = await site.addDisk({ sizeBytes: diskBytes, fill: async (image) => void (await runProgram('dd', ['if=/dev/urandom', `of=${image}`, 'bs=1M', `count=${diskBytes / MIB}`, 'status=none'])) });
  await site.protect(disk);
  const before = await site.cluster.cli<{ time: string }>('bookmark', 'create', `plan-${disk.name}`, 'before-writes');
  const extra = [`--io_size=${overwrittenBlocks * blockBytes}`, `--rate=${writtenMebibytesPerSecond}m`];
  await fio(nbdLoad({ uri: disk.uri, pattern: 'randwrite', block: '4k', depth: 16, sizeBytes: diskBytes, extra }));
  await site.whenInSync(disk);
  const image = join(site.folder, 'plain.img');
  await copyFile(disk.image, image);
  const nbdkit = await Nbdkit.serve(image);
  const old = await site.openView(disk, '--at', before.time);
  const newest = await site.openView(disk, '--latest');
  const iops = async (uri: string): Promise<number> => (await fio(nbdLoad({ uri, pattern: 'randread', block: '4k', depth: 32, seconds: secondsPerRun, sizeBytes: diskBytes }))).iops;
  const [ofOld, ofNewest, peer] = await measureInterleaved([
    { name: `view ${overwrittenBlocks} undo extents back`, run: () => site.profiled('view-reads', () => iops(old.uri)) },
    { name: 'view of the newest state', run: () => site.profiled('view-reads-newest', () => iops(newest.uri)) },
    { name: 'nbdkit file, plain image', run: () => iops(nbdkit.uri) },
  ], rounds, () => settleMachine({ folder: site.folder, memoryBytes: diskBytes }));
  for (const view of [old, newest]) await view.close();
  await nbdkit.stop();
  await rm(image);
  await site.remove(disk);
  const row = { unit: 'IOPS', peers: [peer] };
  return [
    { ...row, title: 'random 4 KiB reads through a view, depth 32', ours: ofOld, reach: [{ kind: 'least', ratio: 0.7 }] },
    { ...row, title: 'random 4 KiB reads of the newest state, depth 32', ours: ofNewest, reach: [{ kind: 'least', ratio: 0.9 }] },
  ];
}
