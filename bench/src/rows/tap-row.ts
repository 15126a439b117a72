// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { GIB } from '@secondsite/units';
import type { BenchSite, ProtectedDisk } from '../bench-site';
import { type DiskLoad, fio, type FioFigures, nbdLoad } from '../fio';
import { measureInterleaved, quantile } from '../measure';
import { Nbdkit } from '../nbdkit';
import { settleMachine } from '../settle-machine';
import { sparseImage } from '../sparse-image';
import type { TableRow } from '../table-row';

const diskBytes = GIB;
const secondsPerRun = 10;

interface TapLoad {
  readonly title: string;
  /** Name of its profile. */
  readonly name: string;
  readonly load: Pick<DiskLoad, 'pattern' | 'block' | 'depth'>;
  readonly unit: 'IOPS' | 'MB/s';
  readonly leastRatio: number;
}

const randomLoads: readonly TapLoad[] = [
  { title: '4 KiB random writes, depth 32', name: 'tap-4k-depth-32', load: { pattern: 'randwrite', block: '4k', depth: 32 }, unit: 'IOPS', leastRatio: 1 },
  { title: '4 KiB random writes, depth 1', name: 'tap-4k-depth-1', load: { pattern: 'randwrite', block: '4k', depth: 1 }, unit: 'IOPS', leastRatio: 0.9 },
];

const sequentialLoads: readonly TapLoad[] = [
  { title: '64 KiB sequential writes, depth 8', name: 'tap-64k-sequential', load: { pattern: 'write', block: '64k', depth: 8 }, unit: 'MB/s', leastRatio: 0.7 },
  { title: '1 MiB sequential writes, depth 8', name: 'tap-1m-sequential', load: { pattern: 'write', block: '1m', depth: 8 }, unit: 'MB/s', leastRatio: 0.7 },
];

/** Random writes of 4 KiB on the tap, deep and one by one. */
export const tapRows = (site: BenchSite, rounds: number): Promise<TableRow[]> => rowsOf(site, rounds, randomLoads);

/** Sequential writes of large blocks on the tap. */
export const tapSequentialRows = (site: BenchSite, rounds: number): Promise<TableRow[]> => rowsOf(site, rounds, sequentialLoads);

/**
 * Writes on the tap, captured and replicated, beside nbdkit without any capture; our pair is in sync again before the peer's turn. Every block of
 * both disks was written once before, in the same way, so that neither pays for allocation. Deep, and with large blocks, the application writes
 * faster than this machine can replicate: the pair goes to bitmap mode, as it shall.
 */
async function rowsOf(site: BenchSite, rounds: number, loads: readonly TapLoad[]): Promise<TableRow[]> {
  const disk = await site.addDisk({ sizeBytes: diskBytes });
  await site.protect(disk);
  const nbdkit = await Nbdkit.serve(await sparseImage(join(site.folder, 'plain.img'), diskBytes));
  for (const uri of [disk.uri, nbdkit.uri]) await fio(nbdLoad({ uri, pattern: 'randwrite', block: '4k', depth: 32, sizeBytes: diskBytes }));
  await site.whenInSync(disk);
  const rows: TableRow[] = [];
  for (const load of loads) rows.push(await rowOf(site, { ...load, rounds, disk, peerUri: nbdkit.uri }));
  await nbdkit.stop();
  await site.remove(disk);
  return rows;
}

async function rowOf(site: BenchSite, { title, name, load, unit, leastRatio, rounds, disk, peerUri }: TapLoad & { readonly rounds: number; readonly disk: ProtectedDisk; readonly peerUri: string }): Promise<TableRow> {
  const run = (uri: string): Promise<FioFigures> => fio(nbdLoad({ ...load, uri, seconds: secondsPerRun, sizeBytes: diskBytes }));
  const latencies: { readonly ours: number[]; readonly peer: number[] } = { ours: [], peer: [] };
  const figureOf = (figures: FioFigures, into: number[]): number => {
    into.push(figures.p50Micros);
    return unit === 'IOPS' ? figures.iops : figures.megabytesPerSecond;
  };
  const [ours, peer] = await measureInterleaved([
    {
      name: 'tap, captured and replicated',
      run: async () => {
        const figures = await site.profiled(name, () => run(disk.uri));
        await site.whenInSync(disk);
        return figureOf(figures, latencies.ours);
      },
    },
    { name: 'nbdkit file, no capture', run: async () => figureOf(await run(peerUri), latencies.peer) },
  ], rounds, () => settleMachine({ folder: site.folder, memoryBytes: 2 * diskBytes }));
  const note = `p50 latency ${quantile(latencies.ours, 0.5).toFixed(1)} µs, nbdkit ${quantile(latencies.peer, 0.5).toFixed(1)} µs`;
  return { title: `tap, ${title}`, unit, ours, peers: [peer], reach: [{ kind: 'least', ratio: leastRatio }], note };
}
