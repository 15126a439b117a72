// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { GIB } from '@secondsite/units';
import { open } from 'node:fs/promises';
import type { BenchSite } from '../bench-site';
import { fio, nbdWrites } from '../fio';
import { measureInterleaved } from '../measure';
import { Nbdkit } from '../nbdkit';
import { settleMachine } from '../settle-machine';
import type { TableRow } from '../table-row';

const diskBytes = GIB;
const secondsPerRun = 10;

/**
 * 4 KiB random writes on the tap, captured and replicated, beside nbdkit without any capture; our pair is in sync again before the peer's turn.
 * Every block of both disks was written once before, in the same way, so that neither pays for allocation. At depth 32 the application writes
 * faster than this machine can replicate: the pair goes to bitmap mode, as it shall.
 */
export async function tapRows(site: BenchSite, rounds: number): Promise<TableRow[]> {
  const disk = await site.addDisk({ sizeBytes: diskBytes });
  await site.protect(disk);
  const plainImage = join(site.folder, 'plain.img');
  const plain = await open(plainImage, 'w');
  await plain.truncate(diskBytes);
  await plain.close();
  const nbdkit = await Nbdkit.serve(plainImage);
  for (const uri of [disk.uri, nbdkit.uri]) await fio(nbdWrites({ uri, block: '4k', depth: 32, sizeBytes: diskBytes }));
  await site.whenInSync(disk);
  const run = async (uri: string, depth: number) => fio(nbdWrites({ uri, block: '4k', depth, seconds: secondsPerRun, sizeBytes: diskBytes }));
  const settle = () => settleMachine({ folder: site.folder, memoryBytes: 2 * diskBytes });
  const ours = async (depth: number) => {
    const figures = await run(disk.uri, depth);
    await site.whenInSync(disk);
    return figures;
  };
  const [deepOurs, deepPeer] = await measureInterleaved([
    { name: 'tap, captured and replicated', run: async () => (await ours(32)).iops },
    { name: 'nbdkit file, no capture', run: async () => (await run(nbdkit.uri, 32)).iops },
  ], rounds, settle);
  const [shallowOurs, shallowPeer] = await measureInterleaved([
    { name: 'tap, captured and replicated', run: async () => (await ours(1)).p50Micros },
    { name: 'nbdkit file, no capture', run: async () => (await run(nbdkit.uri, 1)).p50Micros },
  ], rounds, settle);
  await nbdkit.stop();
  await site.remove(disk);
  if (!deepOurs || !deepPeer || !shallowOurs || !shallowPeer) throw new Error('a contestant is missing');
  return [
    { title: '4 KiB random writes, depth 32', unit: 'IOPS', ours: deepOurs, peers: [deepPeer], reach: [{ kind: 'least', ratio: 0.8 }] },
    { title: '4 KiB random writes, depth 1, p50 latency', unit: 'µs', ours: shallowOurs, peers: [shallowPeer], reach: [{ kind: 'most', ratio: 1.3 }] },
  ];
}
