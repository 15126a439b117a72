// SPDX-License-Identifier: Apache-2.0
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LossyLink } from '@secondsite/qemu/testing';
import { GIB } from '@secondsite/units';
import { fio, nbdLoad } from '../fio';
import { quantile, summarize } from '../measure';
import { ResyncSite } from '../resync-site';
import type { TableRow } from '../table-row';

const diskBytes = GIB;
const seconds = 30;
/** What the application writes; it fits through the link. */
const offeredMegabitsPerSecond = 25;
const quality = { delayMillis: 40, lossPercent: 1, megabitsPerSecond: 50 };

/** RPO at the target while 64 KiB writes cross a link on which packets are really lost, sampled while they go on. Needs root (see LossyLink). */
export async function farLinkRow(): Promise<TableRow> {
  const folder = await mkdtemp(join(process.env['SECONDSITE_BENCH_FOLDER'] ?? tmpdir(), 'far-link-'));
  const link = await LossyLink.start(quality);
  try {
    await mkdir(join(folder, 'agent'));
    const image = join(folder, 'source.img');
    const file = await open(image, 'w');
    await file.truncate(diskBytes);
    await file.close();
    const site = await ResyncSite.start({ folder, image, sizeBytes: diskBytes, lead: (url) => link.lead(url) });
    try {
      return rowOf(await rpoWhileWriting(site), (await readFile('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8')).trim());
    } finally {
      await site.stop();
    }
  } finally {
    await link.stop();
    await rm(folder, { recursive: true });
  }
}

async function rpoWhileWriting(site: ResyncSite): Promise<number[]> {
  const rate = `--rate=${Math.round((offeredMegabitsPerSecond * 1e6) / 8)}`;
  let writing = true;
  const load = fio(nbdLoad({ uri: await site.uri(), pattern: 'randwrite', block: '64k', depth: 16, seconds, sizeBytes: diskBytes, extra: [rate] })).finally(() => {
    writing = false;
  });
  const samples: number[] = [];
  await delay(2000);
  while (writing) {
    samples.push(await site.rpoSeconds());
    await delay(100);
  }
  await load;
  return samples;
}

/** Connections that go far choose their congestion control themselves (ADR 26); what the system has by default is told all the same. */
function rowOf(samples: readonly number[], congestionControl: string): TableRow {
  return {
    title: `RPO over 80 ms, 1 % loss, 50 Mbit/s, 64 KiB writes of ${offeredMegabitsPerSecond} Mbit/s, no TLS, no compression`, unit: 's',
    ours: summarize(`p99 over ${seconds - 2} s`, [quantile(samples, 0.99)]), peers: [], reach: [{ kind: 'most', ratio: 5 }],
    note: `p50 ${quantile(samples, 0.5).toFixed(2)} s, most ${Math.max(...samples).toFixed(2)} s of ${samples.length} samples; the system's congestion control: ${congestionControl}`,
  };
}
