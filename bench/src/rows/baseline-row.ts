// SPDX-License-Identifier: Apache-2.0
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GIB, MIB } from '@secondsite/units';
import type { BenchSite } from '../bench-site';
import { measureInterleaved, secondsOf } from '../measure';
import { settleMachine } from '../settle-machine';
import { sparseImage } from '../sparse-image';
import { Nbdkit } from '../nbdkit';
import { runProgram } from '../run-program';
import type { TableRow } from '../table-row';

const diskBytes = 4 * GIB;
const stepBytes = GIB / 4;

/** Every other 256 MiB holds incompressible data, the rest are holes. */
async function fillHalf(image: string): Promise<void> {
  for (let offset = 0; offset < diskBytes; offset += 2 * stepBytes) {
    await runProgram('dd', ['if=/dev/urandom', `of=${image}`, 'bs=1M', `count=${stepBytes / MIB}`, `seek=${offset / MIB}`, 'conv=notrunc', 'status=none']);
  }
}

/**
 * From "protect this disk" to differential sync for a half-full image, beside copies of the same image over NBD. Ours is durable then; of the
 * peers only the last one is. The limits are: the same way over three programs without checksums, and what the disk takes to have the bytes durably.
 */
export async function baselineRow(site: BenchSite, rounds: number): Promise<TableRow> {
  const source = join(site.folder, 'baseline-source.img');
  await sparseImage(source, diskBytes);
  await fillHalf(source);
  const target = join(site.folder, 'baseline-copy.img');
  const copyWith = async (command: string, args: (from: string, to: string) => readonly string[], { isRelayed = false } = {}): Promise<number> => {
    await sparseImage(target, diskBytes);
    const [from, to] = [await Nbdkit.serve(source), await Nbdkit.serve(target)];
    const relay = isRelayed ? await to.relay() : undefined;
    const seconds = await secondsOf(() => runProgram(command, args(from.uri, (relay ?? to).uri)));
    await Promise.all([from.stop(), relay?.stop(), to.stop()]);
    await rm(target);
    return seconds;
  };
  const copyDurably = async (): Promise<number> => {
    await sparseImage(target, diskBytes);
    const seconds = await secondsOf(() => runProgram('dd', [`if=${source}`, `of=${target}`, 'bs=1M', 'conv=notrunc,sparse,fsync', 'status=none']));
    await rm(target);
    return seconds;
  };
  const [ours, nbdcopy, convert, durable, relayed, dd] = await measureInterleaved([
    { name: 'plan created to differential sync', run: () => protectOnce(site, source) },
    { name: 'nbdcopy NBD to NBD', run: () => copyWith('nbdcopy', (from, to) => [from, to]) },
    { name: 'qemu-img convert -n NBD to NBD', run: () => copyWith('qemu-img', (from, to) => ['convert', '-n', '-f', 'raw', '-O', 'raw', from, to]) },
    { name: 'nbdcopy --flush NBD to NBD', run: () => copyWith('nbdcopy', (from, to) => ['--flush', from, to]) },
    { name: 'the same through a third nbdkit', run: () => copyWith('nbdcopy', (from, to) => ['--flush', from, to], { isRelayed: true }) },
    { name: 'dd with fsync', run: copyDurably },
  ], rounds, () => settle(site));
  await rm(source);
  const reach = [{ kind: 'most', ratio: 0.75 }, { kind: 'most', ratio: 0.9 }] as const;
  return { title: 'baseline of a half-full 4 GiB image, no TLS', unit: 's', ours, peers: [nbdcopy, convert, durable], limits: [relayed, dd], reach, note: 'only ours and those with a flush or fsync are durable at the end' };
}

function settle(site: BenchSite): Promise<void> {
  return settleMachine({ folder: site.folder, memoryBytes: diskBytes + GIB });
}

async function protectOnce(site: BenchSite, source: string): Promise<number> {
  const disk = await site.addDisk({ sizeBytes: diskBytes, fill: async (image) => void (await runProgram('cp', ['--sparse=always', source, image])) });
  await settle(site);
  const seconds = await site.profiled('baseline', () => site.secondsToProtect(disk));
  await site.remove(disk);
  return seconds;
}
