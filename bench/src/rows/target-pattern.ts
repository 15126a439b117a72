// SPDX-License-Identifier: Apache-2.0
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MIB } from '@secondsite/units';
import { fio } from '../fio';
import { secondsOf } from '../measure';
import { content, diskBytes, fill, type SustainedLoad, writesTo } from './sustained-load';

/** Bytes of a log between two syncs, as at the target. */
const syncBytes = 8 * MIB;

/** What a target does with each block, one after the other; bytes written over the sum of the times, in MB/s. */
export function targetPattern(folder: string, load: SustainedLoad): Promise<number> {
  return onFilledImage(folder, load, (image) => pattern(folder, image, load));
}

/**
 * Everything that is written of each block when source, process server and target share a disk, at once: the application's write to a disk that
 * nobody replicates, the cache, which is durable before a set is answered, and the target's pattern. In MB/s until the last of them has ended.
 */
export function everyWriteAtOnce(folder: string, load: SustainedLoad, unreplicatedUri: string): Promise<number> {
  return onFilledImage(folder, load, (image) => Promise.all([fio(writesTo(unreplicatedUri, load)), append(join(folder, 'cache.log'), load), pattern(folder, image, load)]));
}

async function onFilledImage(folder: string, { writtenBytes }: SustainedLoad, act: (image: string) => Promise<unknown>): Promise<number> {
  const image = join(folder, 'pattern.img');
  await fill(image);
  const seconds = await secondsOf(() => act(image));
  await rm(image);
  return writtenBytes / 1e6 / seconds;
}

async function pattern(folder: string, image: string, load: SustainedLoad): Promise<void> {
  const onImage = [`--bs=${load.block}`, '--ioengine=psync', `--filename=${image}`, `--size=${diskBytes}`, `--io_size=${load.writtenBytes}`, '--invalidate=0'];
  await fio(['--name=old', ...onImage, '--rw=randread']);
  await append(join(folder, 'pattern.log'), load);
  await fio(['--name=new', ...onImage, '--rw=randwrite', '--end_fsync=1', ...content]);
}

async function append(log: string, { block, blockBytes, writtenBytes }: SustainedLoad): Promise<void> {
  await fio(['--name=append', `--bs=${block}`, '--ioengine=psync', `--filename=${log}`, '--rw=write', `--size=${writtenBytes}`, `--fdatasync=${syncBytes / blockBytes}`, ...content]);
  await rm(log);
}
