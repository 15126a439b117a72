// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';
import { GIB, MIB } from '@secondsite/units';
import type { BenchSite } from '../bench-site';
import { fio, nbdLoad } from '../fio';
import { quantile, summarize } from '../measure';
import type { TableRow } from '../table-row';

const diskBytes = GIB;
const offeredMebibytesPerSecond = 80;
const secondsBetweenSamples = 15;
/** The pools are filled and the journal has begun to drop its oldest part after this share of the time. */
const warmShare = 0.2;
const levels = '▁▂▃▄▅▆▇█';

/** What one process used over the time, in MiB. */
interface Course {
  readonly name: string;
  readonly samples: readonly number[];
}

/**
 * Resident memory of every process under 64 KiB random writes with retention by space, and the RPO meanwhile. The figure is the largest growth of a
 * process: the median of the last fifth of the time beside that of the fifth after the first.
 */
export async function memoryRow(site: BenchSite, minutes: number): Promise<TableRow> {
  const disk = await site.addDisk({ sizeBytes: diskBytes });
  await site.protect(disk, { retention: { windowSeconds: 86_400, spaceBytes: 4 * GIB } });
  const load = fio(nbdLoad({ uri: disk.uri, pattern: 'randwrite', block: '64k', depth: 16, seconds: minutes * 60, sizeBytes: diskBytes, extra: [`--rate=${offeredMebibytesPerSecond}m`] }));
  const { courses, rpoSeconds } = await observe(site, { plan: `plan-${disk.name}`, load });
  await site.remove(disk);
  const growth = courses.map(({ samples }) => growthOf(samples));
  const rpo = `RPO meanwhile: p50 ${quantile(rpoSeconds, 0.5).toFixed(2)} s, p99 ${quantile(rpoSeconds, 0.99).toFixed(2)} s of ${rpoSeconds.length} samples`;
  return {
    title: `growth of resident memory, ${minutes} minutes of 64 KiB writes at ${Math.round((offeredMebibytesPerSecond * MIB) / 1e6)} MB/s`,
    unit: 'MiB, each process',
    ours: summarize('growth', growth),
    peers: [],
    reach: [],
    note: [`every ${secondsBetweenSamples} s, the scale of each line from its least to its most:`, ...courses.map(graphOf), rpo].join('\n    '),
  };
}

async function observe(site: BenchSite, { plan, load }: { plan: string; load: Promise<unknown> }): Promise<{ courses: Course[]; rpoSeconds: number[] }> {
  const samples = new Map<string, number[]>();
  const rpoSeconds: number[] = [];
  let writing = true;
  const ended = load.finally(() => {
    writing = false;
  });
  for (let second = 0; writing; second++) {
    const { rpoSeconds: rpo } = await site.cluster.planStatus(plan);
    if (rpo !== null) rpoSeconds.push(rpo);
    if (second % secondsBetweenSamples === 0) for (const [name, { now }] of Object.entries(await site.residentMebibytes())) samples.set(name, [...(samples.get(name) ?? []), now]);
    await Promise.race([delay(1000), ended]);
  }
  await ended;
  return { courses: [...samples].map(([name, course]) => ({ name, samples: course })), rpoSeconds };
}

function growthOf(samples: readonly number[]): number {
  const part = Math.max(1, Math.floor(samples.length * warmShare));
  return quantile(samples.slice(-part), 0.5) - quantile(samples.slice(part, 2 * part), 0.5);
}

function graphOf({ name, samples }: Course): string {
  const [least, most] = [Math.min(...samples), Math.max(...samples)];
  const bars = samples.map((value) => levels[Math.round(((value - least) / Math.max(1, most - least)) * (levels.length - 1))]).join('');
  return `${name.padEnd(15)} ${bars} ${least}–${most} MiB, last ${samples.at(-1)}, grown by ${growthOf(samples)}`;
}
