// SPDX-License-Identifier: Apache-2.0
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { clockMicros } from '@secondsite/disk-files';
import { GIB, MIB } from '@secondsite/units';
import type { BenchSite, ProtectedDisk } from '../bench-site';
import { fio } from '../fio';
import { lowestOf, measureInterleaved } from '../measure';
import { Nbdkit } from '../nbdkit';
import { settleMachine } from '../settle-machine';
import type { TableRow } from '../table-row';
import { diskBytes, fill, type SustainedLoad, writesTo } from './sustained-load';
import { everyWriteAtOnce, targetPattern } from './target-pattern';

/** Of each of the two disks; all runs would leave some 25 GiB. */
const undoBytesMax = 6 * GIB;
/** A slow machine would write for minutes. */
const secondsMax = 20;

/**
 * Random writes from the application to the replica: the time until the last one is applied at the target. Without TLS and compression beside fio
 * doing the target's part alone on the same file system, and beside the same writes to a disk that nobody replicates; then with TLS and zstd on both
 * hops beside that. All write to disks that are full already.
 */
export async function sustainedRows({ plain, secured }: { readonly plain: BenchSite; readonly secured: BenchSite }, rounds: number, load: SustainedLoad): Promise<{ rows: TableRow[]; securedMegabytesPerSecond: number }> {
  const disks = { plain: await protectedDisk(plain, 'none'), secured: await protectedDisk(secured, 'source') };
  const unreplicated = join(plain.folder, 'unreplicated.img');
  await fill(unreplicated);
  const nbdkit = await Nbdkit.serve(unreplicated);
  const interruptions = new InterruptionWatch();
  const offered = { plain: await followedOffer(plain, disks.plain, load, load.offeredMebibytesPerSecond.plain), secured: await followedOffer(secured, disks.secured, load, load.offeredMebibytesPerSecond.secured) };
  const [ofPlain, pattern, alone, together, ofSecured] = await measureInterleaved([
    { name: 'agent to applied', run: () => plain.profiled(`sustained-${load.block}`, () => interruptions.watch(plain, disks.plain, () => writeUntilApplied(plain, disks.plain, { load, offered: offered.plain }))) },
    { name: 'fio: read old, append, write new', run: () => targetPattern(plain.folder, load) },
    { name: 'nbdkit file, not replicated', run: async () => (await fio(writesTo(nbdkit.uri, load))).megabytesPerSecond },
    { name: 'fio: source, cache and pattern at once', run: () => everyWriteAtOnce(plain.folder, load, nbdkit.uri) },
    { name: 'agent to applied, TLS and zstd', run: () => secured.profiled(`sustained-${load.block}-tls-zstd`, () => interruptions.watch(secured, disks.secured, () => writeUntilApplied(secured, disks.secured, { load, offered: offered.secured }))) },
  ], rounds, () => settleMachine({ folder: plain.folder, memoryBytes: 4 * diskBytes }));
  await nbdkit.stop();
  await rm(unreplicated);
  await plain.remove(disks.plain);
  await secured.remove(disks.secured);
  const title = `agent to applied, ${load.blockBytes >> 10} KiB random writes`;
  const note = (rate: number, disk: ProtectedDisk): string => `offered ${Math.round((rate * MIB) / 1e6)} MB/s; the time includes applying the last write; ${interruptions.words(disk)}`;
  return {
    rows: [
      { title: `${title}, no TLS`, unit: 'MB/s', ours: ofPlain, peers: [pattern, alone], limits: [together], reach: [{ kind: 'least', ratio: load.reach.pattern }, { kind: 'least', ratio: load.reach.unreplicated }], note: note(offered.plain, disks.plain) },
      { title: `${title}, TLS and zstd on both hops`, unit: 'MB/s', ours: ofSecured, peers: [{ ...ofPlain, name: 'the same without' }, pattern], reach: [{ kind: 'least', ratio: load.reach.secured }, { kind: 'least', ratio: load.reach.securedPattern }], note: note(offered.secured, disks.secured) },
    ],
    securedMegabytesPerSecond: ofSecured.median,
  };
}

/** Each offer is a tenth less than the one before; the last is a quarter of the first. */
const offers = 14;

/**
 * A tenth less than the highest of falling rates that is followed without interruption in one of two runs as long as those measured, in MiB/s: the machine
 * is not always as fast, and stands still now and then. What runs for the first time is slower: that is not looked at.
 */
async function followedOffer(site: BenchSite, disk: ProtectedDisk, load: SustainedLoad, first: number): Promise<number> {
  const offer = (lowered: number): number => Math.round(first * 0.9 ** lowered);
  const isFollowed = async (offered: number): Promise<boolean> => {
    await settleMachine({ folder: site.folder, memoryBytes: 4 * diskBytes });
    const before = await lastResyncOf(site, disk);
    await writeUntilApplied(site, disk, { load, offered });
    return before === (await lastResyncOf(site, disk));
  };
  await isFollowed(first / 2);
  const lowered = await lowestOf(offers, async (candidate) => (await isFollowed(offer(candidate))) || (await isFollowed(offer(candidate))));
  return offer(lowered + 1);
}

async function lastResyncOf(site: BenchSite, disk: ProtectedDisk): Promise<string | undefined> {
  return (await site.cluster.planStatus(`plan-${disk.name}`)).pairs[0]?.lastResync?.at;
}

/** Counts the runs in which the stream was interrupted: the change buffer was full, and what followed was a resynchronisation. */
class InterruptionWatch {
  readonly #runs = new Map<string, { all: number; interrupted: number }>();

  async watch<Result>(site: BenchSite, disk: ProtectedDisk, act: () => Promise<Result>): Promise<Result> {
    const before = await lastResyncOf(site, disk);
    const result = await act();
    const known = this.#runs.get(disk.uri) ?? { all: 0, interrupted: 0 };
    this.#runs.set(disk.uri, { all: known.all + 1, interrupted: known.interrupted + (before === (await lastResyncOf(site, disk)) ? 0 : 1) });
    return result;
  }

  words(disk: ProtectedDisk): string {
    const { all, interrupted } = this.#runs.get(disk.uri) ?? { all: 0, interrupted: 0 };
    return `in bitmap mode in ${interrupted} of ${all} runs`;
  }
}

async function protectedDisk(site: BenchSite, compression: 'none' | 'source'): Promise<ProtectedDisk> {
  const disk = await site.addDisk({ sizeBytes: diskBytes, fill });
  await site.protect(disk, { compression, retention: { windowSeconds: 86_400, spaceBytes: undoBytesMax } });
  return disk;
}

async function writeUntilApplied(site: BenchSite, disk: ProtectedDisk, { load, offered }: { readonly load: SustainedLoad; readonly offered: number }): Promise<number> {
  const started = clockMicros();
  const writtenBytes = Math.min(load.writtenBytes, offered * MIB * secondsMax);
  await fio([...writesTo(disk.uri, { ...load, writtenBytes }), `--rate=${offered}m`]);
  await site.whenApplied(disk);
  return writtenBytes / ((await site.lastContentAppliedAt(disk)) - started);
}
