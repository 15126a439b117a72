// SPDX-License-Identifier: Apache-2.0
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { clockMicros } from '@secondsite/disk-files';
import { GIB, MIB } from '@secondsite/units';
import type { BenchSite, ProtectedDisk } from '../bench-site';
import { fio, nbdWrites } from '../fio';
import { measureInterleaved, quantile, summarize } from '../measure';
import { settleMachine } from '../settle-machine';
import type { TableRow } from '../table-row';

const diskBytes = GIB;
const writtenBytes = 1536 * MIB;
export interface SustainedOptions {
  readonly rounds: number;
  readonly title: string;
  readonly leastRatio: number;
  readonly offeredMebibytesPerSecond: number;
}

/**
 * 64 KiB random writes from the application to the replica: the time until the last one is applied at the target, beside fio doing the
 * target's part alone on the same file system: read the old block, append it to a log synced every 8 MiB, write the new block. Both write to
 * disks that are full already. The rate offered is a little above what is asked for: without a limit the writer outruns the change buffer, and
 * bitmap mode with its resynchronisation is measured instead.
 */
export async function sustainedRow(site: BenchSite, { rounds, title, leastRatio, offeredMebibytesPerSecond }: SustainedOptions): Promise<{ row: TableRow; megabytesPerSecond: number }> {
  const disk = await site.addDisk({ sizeBytes: diskBytes, fill });
  await site.protect(disk);
  const [ours, peer] = await measureInterleaved([
    { name: 'agent to applied', run: () => writeUntilApplied(site, disk, offeredMebibytesPerSecond) },
    { name: 'fio: read old, append, write new', run: () => targetPattern(site.folder) },
  ], rounds, () => settleMachine({ folder: site.folder, memoryBytes: 4 * diskBytes }));
  await site.remove(disk);
  if (!ours || !peer) throw new Error('a contestant is missing');
  const note = `offered ${Math.round((offeredMebibytesPerSecond * MIB) / 1e6)} MB/s; the time includes applying the last write`;
  return { row: { title, unit: 'MB/s', ours, peers: [peer], reach: [{ kind: 'least', ratio: leastRatio }], note }, megabytesPerSecond: ours.median };
}

async function writeUntilApplied(site: BenchSite, disk: ProtectedDisk, offeredMebibytesPerSecond: number): Promise<number> {
  const started = clockMicros();
  await fio([
    '--name=writes', '--ioengine=nbd', `--uri=${disk.uri}`, '--rw=randwrite', '--bs=64k', '--iodepth=16', `--size=${diskBytes}`, `--io_size=${writtenBytes}`,
    '--randrepeat=0', '--refill_buffers=1', `--rate=${offeredMebibytesPerSecond}m`,
  ]);
  await site.whenApplied(disk);
  return writtenBytes / ((await site.lastContentAppliedAt(disk)) - started);
}

async function fill(image: string): Promise<void> {
  await fio(['--name=fill', `--filename=${image}`, '--rw=write', '--bs=1m', `--size=${diskBytes}`, '--ioengine=psync', '--refill_buffers=1']);
}

/** The three parts one after the other, as each block needs them; the rate is the bytes written over the sum of the times. */
async function targetPattern(folder: string): Promise<number> {
  const image = join(folder, 'pattern.img');
  const log = join(folder, 'pattern.log');
  const size = `--size=${diskBytes}`;
  await fill(image);
  const started = performance.now();
  await fio(['--name=old', `--filename=${image}`, '--rw=randread', '--bs=64k', size, `--io_size=${writtenBytes}`, '--ioengine=psync', '--invalidate=0']);
  await fio(['--name=append', `--filename=${log}`, '--rw=write', '--bs=64k', `--size=${writtenBytes}`, '--ioengine=psync', '--fdatasync=128', '--refill_buffers=1']);
  await fio(['--name=new', `--filename=${image}`, '--rw=randwrite', '--bs=64k', size, `--io_size=${writtenBytes}`, '--ioengine=psync', '--end_fsync=1', '--invalidate=0', '--refill_buffers=1']);
  const rate = writtenBytes / 1e3 / (performance.now() - started);
  await rm(image);
  await rm(log);
  return rate;
}

/** RPO as the configuration server shows it, sampled while 64 KiB writes go on at half of the sustained rate. */
export async function rpoRow(site: BenchSite, megabytesPerSecond: number): Promise<TableRow> {
  const disk = await site.addDisk({ sizeBytes: diskBytes });
  await site.protect(disk);
  const rate = `--rate=${Math.round((megabytesPerSecond * 1e6) / 2)}`;
  let writing = true;
  const load = fio(nbdWrites({ uri: disk.uri, block: '64k', depth: 16, seconds: 20, sizeBytes: diskBytes, extra: [rate] })).finally(() => {
    writing = false;
  });
  const samples: number[] = [];
  await delay(2000);
  while (writing) {
    const status = await site.cluster.planStatus(`plan-${disk.name}`);
    if (status.rpoSeconds !== null) samples.push(status.rpoSeconds);
    await delay(100);
  }
  await load;
  await site.remove(disk);
  const p99 = summarize('p99 over 18 s', [quantile(samples, 0.99)]);
  return { title: 'RPO at half of that rate', unit: 's', ours: p99, peers: [], reach: [{ kind: 'most', ratio: 1.5 }], note: `p50 ${quantile(samples, 0.5).toFixed(2)} s of ${samples.length} samples` };
}
