// SPDX-License-Identifier: Apache-2.0
// `./secondsite bench [--rounds N] [--row NAME]`: every figure beside its peer from the same run. `--row memory [--minutes N]`, which takes
// ten minutes, only when asked for.
import { cpus, totalmem } from 'node:os';
import { humanBytes } from '@secondsite/cli';
import { BenchSite } from './bench-site';
import { baselineRow } from './rows/baseline-row';
import { bootRow } from './rows/boot-row';
import { farLinkRow } from './rows/far-link-row';
import { fastResyncRows } from './rows/fast-resync-row';
import { memoryRow } from './rows/memory-row';
import { rpoRow, sustainedRow } from './rows/sustained-row';
import { tapRows } from './rows/tap-row';
import { viewRow } from './rows/view-row';
import { rowLines, type TableRow } from './table-row';

const rowNames = ['tap', 'sustained', 'baseline', 'fast-resync', 'boot', 'view', 'far-link'];

function optionValue(name: string, fallback: string): string {
  const index = process.argv.indexOf(name);
  return index < 0 ? fallback : (process.argv[index + 1] ?? fallback);
}

function print(rows: readonly TableRow[]): void {
  for (const row of rows) console.log(`\n${rowLines(row).join('\n')}`);
}

async function printMemory(site: BenchSite, when: string): Promise<void> {
  const sizes = await site.residentMebibytes();
  const texts = Object.entries(sizes).map(([name, { now, peak }]) => `${name} ${now} MiB (peak ${peak})`);
  console.log(`\nresident memory ${when}: ${texts.join(', ')}`);
}

async function withTls(rounds: number, wanted: ReadonlySet<string>): Promise<void> {
  const site = await BenchSite.start();
  try {
    if (wanted.has('tap')) print(await tapRows(site, rounds));
    if (wanted.has('sustained')) {
      const { row, megabytesPerSecond } = await sustainedRow(site, { rounds, title: 'agent to applied, 64 KiB random writes, TLS', leastRatio: 0.35, offeredMebibytesPerSecond: 240 });
      print([row, await rpoRow(site, megabytesPerSecond)]);
    }
    if (wanted.has('memory')) print([await memoryRow(site, Number(optionValue('--minutes', '10')))]);
    await printMemory(site, 'after these rows');
    if (wanted.has('boot')) print([await bootRow(site, rounds)]);
    await printMemory(site, 'at the end (limit 400 MiB each)');
  } finally {
    await site.stop();
  }
}

async function withoutTls(rounds: number, wanted: ReadonlySet<string>): Promise<void> {
  const site = await BenchSite.start({ SECONDSITE_DATA_TLS: '0' });
  try {
    if (wanted.has('sustained')) {
      const title = 'agent to applied, 64 KiB random writes, no TLS';
      print([(await sustainedRow(site, { rounds, title, leastRatio: 0.6, offeredMebibytesPerSecond: 290 })).row]);
    }
    if (wanted.has('baseline')) print([await baselineRow(site, rounds)]);
    await printMemory(site, 'without TLS, after these rows (limit 400 MiB each)');
  } finally {
    await site.stop();
  }
}

async function main(): Promise<void> {
  const rounds = Number(optionValue('--rounds', '5'));
  const only = optionValue('--row', '');
  const wanted = new Set(only === '' ? rowNames : [only]);
  console.log(`${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}, ${humanBytes(totalmem())}, Node ${process.version}; medians of ${rounds} (extremes), ours and peers in turn`);
  if (['tap', 'sustained', 'memory', 'boot'].some((row) => wanted.has(row))) await withTls(rounds, wanted);
  if (wanted.has('sustained') || wanted.has('baseline')) await withoutTls(rounds, wanted);
  if (wanted.has('view')) print([await viewRow(rounds)]);
  if (wanted.has('far-link')) print([await farLinkRow()]);
  if (wanted.has('fast-resync')) print(await fastResyncRows(rounds));
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
