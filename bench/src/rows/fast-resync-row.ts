// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GIB, KIB, MIB } from '@secondsite/units';
import { measureInterleaved } from '../measure';
import type { Profiles } from '../profile/profiles';
import { ResyncSite } from '../resync-site';
import { runProgram } from '../run-program';
import { settleMachine } from '../settle-machine';
import type { TableRow } from '../table-row';

const diskBytes = 4 * GIB;
const blockBytes = 64 * KIB;
const changedBlocks = Math.round(diskBytes / blockBytes / 100);

async function fillRandom(image: string): Promise<void> {
  await runProgram('dd', ['if=/dev/urandom', `of=${image}`, 'bs=1M', `count=${diskBytes / MIB}`, 'status=none']);
}

/** 1 % of the blocks, anywhere, with new content. */
function changes(): { readonly offset: number; readonly bytes: Buffer }[] {
  return Array.from({ length: changedBlocks }, () => ({ offset: Math.floor((Math.random() * diskBytes) / blockBytes) * blockBytes, bytes: randomBytes(blockBytes) }));
}

/** Changes the image behind the back of whoever watches it. */
async function change(image: string): Promise<void> {
  const file = await open(image, 'r+');
  for (const { offset, bytes } of changes()) await file.write(bytes, 0, bytes.length, offset);
  await file.close();
}

/**
 * From the request to the fact that the replica is consistent, with 1 % of the blocks changed: the first time neither side knows a checksum, the
 * second time both know those of what was not written since. The peer compares an image with a copy on the same disk.
 */
export async function fastResyncRows(rounds: number, profiles: Profiles | undefined): Promise<TableRow[]> {
  const folder = await mkdtemp(join(process.env['SECONDSITE_BENCH_FOLDER'] ?? tmpdir(), 'fast-resync-'));
  const [image, original, copy] = [join(folder, 'source.img'), join(folder, 'original.img'), join(folder, 'copy.img')];
  await mkdir(join(folder, 'agent'), { recursive: true });
  await fillRandom(image);
  await runProgram('cp', [image, original]);
  await runProgram('cp', [original, copy]);
  const site = await ResyncSite.start({ folder, image, sizeBytes: diskBytes });
  const profiled = (name: string, act: () => Promise<number>): Promise<number> => profiles?.ofOwnProcess(name, act) ?? act();
  const first = async (): Promise<number> => {
    await site.forgetChecksums();
    await change(image);
    return profiled('fast-resync-first', () => site.secondsToResync());
  };
  const second = async (): Promise<number> => {
    await site.writeUnshipped(changes());
    return profiled('fast-resync-second', () => site.secondsToResync());
  };
  const rsync = async (): Promise<number> => {
    await change(original);
    const started = performance.now();
    await runProgram('rsync', ['--inplace', '--no-whole-file', original, copy]);
    return (performance.now() - started) / 1000;
  };
  try {
    const [ofFirst, ofSecond, peer] = await measureInterleaved([
      { name: 'resync, first time', run: first }, { name: 'resync, second time', run: second }, { name: 'rsync --inplace --no-whole-file', run: rsync },
    ], rounds, () => settleMachine({ folder, memoryBytes: GIB }));
    const row = { unit: 's', peers: [peer], note: 'neither side is durable to the last byte at the end' };
    return [
      { ...row, title: 'fast resync of a 4 GiB image, 1 % of the blocks changed, first time, no TLS', ours: ofFirst, reach: [{ kind: 'most', ratio: 0.28 }] },
      { ...row, title: 'the same the second time', ours: ofSecond, reach: [{ kind: 'most', ratio: 0.05 }] },
    ];
  } finally {
    await site.stop();
    await rm(folder, { recursive: true });
  }
}
