// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';
import { GIB } from '@secondsite/units';
import type { BenchSite } from '../bench-site';
import { fio, nbdLoad } from '../fio';
import { quantile, summarize } from '../measure';
import type { TableRow } from '../table-row';

const diskBytes = GIB;
const seconds = 20;
const goals = [{ name: 'p50', quantile: 0.5, secondsMax: 0.7 }, { name: 'p99', quantile: 0.99, secondsMax: 1.2 }] as const;

/** RPO as the configuration server shows it, sampled while 64 KiB writes go on at half of the rate that is sustained. */
export async function rpoRows(site: BenchSite, sustainedMegabytesPerSecond: number): Promise<TableRow[]> {
  const disk = await site.addDisk({ sizeBytes: diskBytes });
  await site.protect(disk);
  const rate = Math.round((sustainedMegabytesPerSecond * 1e6) / 2);
  let writing = true;
  const load = fio(nbdLoad({ uri: disk.uri, pattern: 'randwrite', block: '64k', depth: 16, seconds, sizeBytes: diskBytes, extra: [`--rate=${rate}`] })).finally(() => {
    writing = false;
  });
  const samples: number[] = [];
  await delay(2000);
  while (writing) {
    const { rpoSeconds } = await site.cluster.planStatus(`plan-${disk.name}`);
    if (rpoSeconds !== null) samples.push(rpoSeconds);
    await delay(100);
  }
  await load;
  await site.remove(disk);
  return goals.map(({ name, quantile: q, secondsMax }) => ({
    title: `RPO at half of that rate, ${name}`, unit: 's', ours: summarize(`${name} of ${samples.length} samples`, [quantile(samples, q)]), peers: [], reach: [{ kind: 'most', ratio: secondsMax }],
  }));
}
