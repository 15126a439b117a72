// SPDX-License-Identifier: Apache-2.0
// Every figure beside its peer from the same run; `usage` says how to ask.
import { cpus, tmpdir, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { humanBytes } from '@secondsite/cli';
import { DiskDirectory } from '@secondsite/disk-files';
import { GIB } from '@secondsite/units';
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
import { sustained4k, sustained64k } from './rows/sustained-load';
import { sustainedRows } from './rows/sustained-row';
import { tapRows, tapSequentialRows } from './rows/tap-row';
import { traceRows } from './rows/trace-row';
import { viewReadsRows } from './rows/view-reads-row';
import { viewRow } from './rows/view-row';
import { rowLines, type TableRow } from './table-row';

const usage = `./secondsite bench [--row NAME] [--rounds N] [--profile DIR] [--trace FILE] [--minutes N]

Prints each figure beside its peer from the same run. All rows take two hours and 30 GiB of temporary files; on a machine with other work the figures say little.
  --row NAME     one row, or all whose names begin with NAME-
  --rounds N     how often each is measured; default 5
  --profile DIR  profiles of the data plane meanwhile, for flame graphs
  --trace FILE   a block trace for the row "trace", which is left out without
  --minutes N    how long the row "memory" takes, which runs only by name; default 10`;

const { values: given } = parseArgs({
  options: { help: { type: 'boolean' }, row: { type: 'string' }, rounds: { type: 'string' }, profile: { type: 'string' }, trace: { type: 'string' }, minutes: { type: 'string' } },
});

const SPACE_BYTES = 30 * GIB;

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
  { name: 'memory', onlyByName: true, run: onTls(async (site) => [await memoryRow(site, Number(given.minutes ?? 10))]) },
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
  const file = given.trace ?? process.env['SECONDSITE_BENCH_TRACE'] ?? '';
  if (file !== '') return traceRows((await sites.only('tls'))[0], { rounds, file });
  console.log('\nrow trace is left out: give a block trace in the format of blkreplay with --trace FILE or SECONDSITE_BENCH_TRACE');
  return [];
}

function wantedRows(): readonly BenchRow[] {
  const only = given.row;
  const wanted = rows.filter(({ name, onlyByName }) => (only === undefined ? onlyByName !== true : name === only || name.startsWith(`${only}-`)));
  if (wanted.length === 0) throw new Error(`there is no row ${only}; the rows are ${rows.map(({ name }) => name).join(', ')}`);
  return wanted;
}

async function main(): Promise<void> {
  if (given.help) return console.log(`${usage}\n\nRows: ${rows.map(({ name }) => name).join(', ')}`);
  const wanted = wantedRows();
  const rounds = Number(given.rounds ?? 5);
  const folder = given.profile;
  const profiles = folder === undefined ? undefined : new Profiles(folder);
  const sites = new BenchSites(profiles);
  // Services of a cluster outlive who started them: not the bench.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void sites.stop().finally(() => process.exit(1)));
  console.log(`${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}, ${humanBytes(totalmem())}, Node ${process.version}; medians of ${rounds} (extremes), ours and peers in turn`);
  await warnOfSpace();
  if (profiles) console.log(`profiles of what is measured go to ${folder}; they slow it down by a few percent`);
  try {
    for (const row of wanted) await measureRow(row, { rounds, sites, profiles });
  } finally {
    await sites.stop();
    await profiles?.close();
  }
}

async function warnOfSpace(): Promise<void> {
  const freeBytes = await new DiskDirectory(tmpdir()).freeBytes();
  if (freeBytes < SPACE_BYTES) console.error(`${tmpdir()} has ${humanBytes(freeBytes)} free, and some rows need up to ${humanBytes(SPACE_BYTES)}: make room, or give TMPDIR`);
}

/** A row that cannot be measured does not take the others with it; the bench fails all the same. */
async function measureRow(row: BenchRow, options: BenchOptions): Promise<void> {
  const started = performance.now();
  try {
    for (const line of await row.run(options)) console.log(`\n${rowLines(line).join('\n')}`);
  } catch (error) {
    console.error(`\nrow ${row.name} could not be measured, the others go on:`, error);
    process.exitCode = 1;
    await options.sites.stop();
  }
  console.log(`\nrow ${row.name}: ${Math.round((performance.now() - started) / 1000)} s in all`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
