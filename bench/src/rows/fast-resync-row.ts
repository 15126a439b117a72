// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBuffer } from '@secondsite/durable-storage';
import { GIB, KIB, MIB } from '@secondsite/units';
import { measureInterleaved, secondsOf } from '../measure';
import type { Profiles } from '../profile/profiles';
import { ResyncSite } from '../resync-site';
import { runProgram } from '../run-program';
import { settleMachine } from '../settle-machine';
import type { TableRow } from '../table-row';

const diskBytes = 4 * GIB;
const blockBytes = 64 * KIB;
/** As much as a change set. */
const setBytes = 8 * MIB;
const changedBlocks = Math.round(diskBytes / blockBytes / 100);

async function fillRandom(image: string): Promise<void> {
  await runProgram('dd', ['if=/dev/urandom', `of=${image}`, 'bs=1M', `count=${diskBytes / MIB}`, 'status=none']);
}

/** 1 % of the blocks, anywhere, with new content. */
function changes(): { readonly offset: number; readonly bytes: Buffer }[] {
  return Array.from({ length: changedBlocks }, () => ({ offset: Math.floor((Math.random() * diskBytes) / blockBytes) * blockBytes, bytes: randomBytes(blockBytes) }));
}

/** Changes the image behind the back of whoever watches it; tells where. */
async function change(image: string): Promise<number[]> {
  const file = await open(image, 'r+');
  const made = changes();
  for (const { offset, bytes } of made) await file.write(bytes, 0, bytes.length, offset);
  await file.close();
  return made.map(({ offset }) => offset);
}

/** Copies blocks known to differ, what they replace being durable in a log before: what no way can leave out. */
function update({ from, to, log, offsets }: { readonly from: string; readonly to: string; readonly log: string; readonly offsets: readonly number[] }): void {
  const [source, replica, undo] = [openSync(from, 'r'), openSync(to, 'r+'), openSync(log, 'w')];
  const [old, fresh] = [readBuffer(setBytes), readBuffer(setBytes)];
  for (let first = 0; first < offsets.length; first += setBytes / blockBytes) {
    const set = offsets.slice(first, first + setBytes / blockBytes);
    for (const [index, offset] of set.entries()) readSync(source, fresh, index * blockBytes, blockBytes, offset);
    for (const [index, offset] of set.entries()) readSync(replica, old, index * blockBytes, blockBytes, offset);
    writeSync(undo, old, 0, set.length * blockBytes);
    fdatasyncSync(undo);
    for (const [index, offset] of set.entries()) writeSync(replica, fresh, index * blockBytes, blockBytes, offset);
  }
  for (const file of [source, replica, undo]) closeSync(file);
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
    return secondsOf(() => runProgram('rsync', ['--inplace', '--no-whole-file', original, copy]));
  };
  const hash = (): Promise<number> => secondsOf(() => Promise.all([original, copy].map(async (path) => runProgram('xxhsum', ['-H2', path]))));
  const updateKnown = async (): Promise<number> => {
    const offsets = await change(original);
    return secondsOf(async () => update({ from: original, to: copy, log: join(folder, 'undo.log'), offsets }));
  };
  // Some machines take pages back that nobody has read for a minute: a round takes longer.
  const before = async (): Promise<void> => {
    await settleMachine({ folder, memoryBytes: GIB });
    for (const path of [image, site.replicaImage, original, copy]) await runProgram('dd', [`if=${path}`, 'of=/dev/null', 'bs=1M', 'status=none']);
  };
  try {
    const [ofFirst, ofSecond, peer, hashed, updated] = await measureInterleaved([
      { name: 'resync, first time', run: first }, { name: 'resync, second time', run: second }, { name: 'rsync --inplace --no-whole-file', run: rsync },
      { name: 'xxhsum of both images at once, nothing copied', run: hash }, { name: 'only copying what is known to differ, with undo', run: updateKnown },
    ], rounds, before);
    const row = { unit: 's', peers: [peer], note: 'neither side is durable to the last byte at the end' };
    return [
      { ...row, title: 'fast resync of a 4 GiB image, 1 % of the blocks changed, first time, no TLS', ours: ofFirst, limits: [hashed], reach: [{ kind: 'most', ratio: 0.28 }] },
      { ...row, title: 'the same the second time', ours: ofSecond, limits: [updated], reach: [{ kind: 'most', ratio: 0.05 }] },
    ];
  } finally {
    await site.stop();
    await rm(folder, { recursive: true });
  }
}
