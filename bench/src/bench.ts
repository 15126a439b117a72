// SPDX-License-Identifier: Apache-2.0
// `./secondsite bench [--rounds N] [--row NAME] [--profile DIR] [--trace FILE]`: every figure beside its peer from the same run.
// `--row memory [--minutes N]`, which takes ten minutes, only when asked for.
import { cpus, totalmem } from 'node:os';
import { humanBytes } from '@secondsite/cli';
import type { BenchSite } from './bench-site';
import { BenchSites } from './bench-sites';
import { Profiles } from './profile/profiles';
import { agentlessRow } from './rows/agentless-row';
import { baselineRow } from './rows/baseline-row';
import { boot10k, boot1m, bootRow } from './rows/boot-row';
import { farLinkRow } from './rows/far-link-row';
import { fastResyncRows } from './rows/fast-resync-row';
import { memoryRow } from './rows/memory-row';
import { rpoRows } from './rows/rpo-row';
import { sustained4k, sustained64k, sustainedRows } from './rows/sustained-row';
import { tapRows, tapSequentialRows } from './rows/tap-row';
import { traceRows } from './rows/trace-row';
import { viewReadsRows } from './rows/view-reads-row';
import { viewRow } from './rows/view-row';
import { rowLines, type TableRow } from './table-row';

interface BenchOptions {
  readonly rounds: number;
  readonly sites: BenchSites;
  readonly profiles: Profiles | undefined;
}

/** Named as it is, or by the part before the dash together with others. */
interface BenchRow {
  readonly name: string;
  /** Runs only when it is named. */
  readonly onlyByName?: boolean;
  readonly run: (options: BenchOptions) => Promise<readonly TableRow[]>;
}

/** In the order in which they run: those that share a cluster follow each other. */
const rows: readonly BenchRow[] = [
  { name: 'tap-4k', run: onTls(tapRows) },
  { name: 'tap-sequential', run: onTls(tapSequentialRows) },
  { name: 'agentless', run: onTls(async (site, rounds) => [await agentlessRow(site, rounds)]) },
  { name: 'memory', onlyByName: true, run: onTls(async (site) => [await memoryRow(site, Number(optionValue('--minutes', '10')))]) },
  { name: 'boot-10k', run: onTls(async (site, rounds) => [await bootRow(site, rounds, boot10k)]) },
  { name: 'boot-1m', run: onTls(async (site, rounds) => [await bootRow(site, rounds, boot1m)]) },
  { name: 'view-reads', run: onTls(viewReadsRows) },
  { name: 'trace', run: traceIfThere },
  { name: 'sustained-64k', run: sustainedAndRpo },
  { name: 'sustained-4k', run: async ({ sites, rounds }) => (await sustainedRows(await bothSites(sites), rounds, sustained4k)).rows },
  { name: 'baseline', run: async ({ sites, rounds }) => [await baselineRow((await sites.only('plain'))[0], rounds)] },
  { name: 'view-open', run: async ({ sites, rounds, profiles }) => (await sites.stop(), [await viewRow(rounds, profiles)]) },
  { name: 'far-link', run: async ({ sites }) => (await sites.stop(), [await farLinkRow()]) },
  { name: 'fast-resync', run: async ({ sites, rounds, profiles }) => (await sites.stop(), fastResyncRows(rounds, profiles)) },
];

function onTls(run: (site: BenchSite, rounds: number) => Promise<readonly TableRow[]>): BenchRow['run'] {
  return async ({ sites, rounds }) => run((await sites.only('tls'))[0], rounds);
}

async function bothSites(sites: BenchSites): Promise<{ readonly secured: BenchSite; readonly plain: BenchSite }> {
  const [secured, plain] = await sites.only('tls', 'plain');
  return { secured, plain };
}

async function sustainedAndRpo({ sites, rounds }: BenchOptions): Promise<TableRow[]> {
  const { rows: lines, securedMegabytesPerSecond } = await sustainedRows(await bothSites(sites), rounds, sustained64k);
  return [...lines, ...(await rpoRows((await sites.only('tls'))[0], securedMegabytesPerSecond))];
}

async function traceIfThere({ sites, rounds }: BenchOptions): Promise<readonly TableRow[]> {
  const file = optionValue('--trace', process.env['SECONDSITE_BENCH_TRACE'] ?? '');
  if (file !== '') return traceRows((await sites.only('tls'))[0], { rounds, file });
  console.log('\nrow trace is left out: give a block trace in the format of blkreplay with --trace FILE or SECONDSITE_BENCH_TRACE');
  return [];
}

function optionValue(name: string, fallback: string): string {
  const index = process.argv.indexOf(name);
  return index < 0 ? fallback : (process.argv[index + 1] ?? fallback);
}

function wantedRows(): readonly BenchRow[] {
  const only = optionValue('--row', '');
  const wanted = rows.filter(({ name, onlyByName }) => (only === '' ? onlyByName !== true : name === only || name.startsWith(`${only}-`)));
  if (wanted.length === 0) throw new Error(`there is no row ${only}; the rows are ${rows.map(({ name }) => name).join(', ')}`);
  return wanted;
}

async function main(): Promise<void> {
  const wanted = wantedRows();
  const rounds = Number(optionValue('--rounds', '5'));
  const folder = optionValue('--profile', '');
  const profiles = folder === '' ? undefined : new Profiles(folder);
  const sites = new BenchSites(profiles);
  console.log(`${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}, ${humanBytes(totalmem())}, Node ${process.version}; medians of ${rounds} (extremes), ours and peers in turn`);
  if (profiles) console.log(`profiles of what is measured go to ${folder}; they slow it down by a few percent`);
  try {
    for (const row of wanted) for (const line of await row.run({ rounds, sites, profiles })) console.log(`\n${rowLines(line).join('\n')}`);
  } finally {
    await sites.stop();
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
