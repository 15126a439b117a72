// SPDX-License-Identifier: Apache-2.0
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { NbdClient } from '@secondsite/nbd';
import { waitFor } from '@secondsite/cli/testing';
import { MIB } from '@secondsite/units';
import type { BenchSite, ProtectedDisk } from '../bench-site';
import { prepareDisk, readTrace, replayTrace, traceDiskBytes, type TraceRequest } from '../block-trace';
import { secondsOf, summarize } from '../measure';
import { Nbdkit } from '../nbdkit';
import { settleMachine } from '../settle-machine';
import { sparseImage } from '../sparse-image';
import type { TableRow } from '../table-row';

const speed = 20;
/** A trace of an hour takes three minutes each time; its slowest request is no figure of which more rounds make a better median. */
const roundsMax = 2;
const rpoSecondsMax = 1;

/**
 * A block trace of a production server, faster than it was recorded: the slowest request beside nbdkit without any capture, and the seconds after the
 * last request until the RPO is below one. Both disks have the blocks that the trace writes before it begins.
 */
export async function traceRows(site: BenchSite, { rounds, file }: { readonly rounds: number; readonly file: string }): Promise<TableRow[]> {
  const trace = await readTrace(file);
  const sizeBytes = Math.ceil(traceDiskBytes(trace) / MIB) * MIB;
  const disk = await site.addDisk({ sizeBytes });
  await site.protect(disk);
  const plainImage = await sparseImage(join(site.folder, 'plain.img'), sizeBytes);
  const nbdkit = await Nbdkit.serve(plainImage);
  for (const { uri } of [disk, nbdkit]) await onDisk(uri, (client) => prepareDisk(trace, client));
  await site.whenInSync(disk);
  const slowest = { ours: [] as number[], peer: [] as number[] };
  const secondsToRpo: number[] = [];
  for (let round = 0; round < Math.min(rounds, roundsMax); round++) {
    await settleMachine({ folder: site.folder, memoryBytes: 512 * MIB });
    slowest.ours.push(await site.profiled('trace', () => replay(disk.uri, trace)));
    secondsToRpo.push(await secondsUntilRpo(site, disk));
    await settleMachine({ folder: site.folder, memoryBytes: 512 * MIB });
    slowest.peer.push(await replay(nbdkit.uri, trace));
  }
  await nbdkit.stop();
  await rm(plainImage);
  await site.remove(disk);
  const title = `replay of ${basename(file)} at ${speed} x speed`;
  return [
    {
      title: `${title}, slowest of ${trace.length} requests`, unit: 'ms', ours: summarize('tap, captured and replicated', slowest.ours), peers: [summarize('nbdkit file, no capture', slowest.peer)],
      reach: [{ kind: 'most', ratio: 3 }], note: `rounds: ${slowest.ours.length}`,
    },
    { title: `${title}, after its end until the RPO is below ${rpoSecondsMax} s`, unit: 's', ours: summarize('RPO', secondsToRpo), peers: [], reach: [{ kind: 'most', ratio: 2 }] },
  ];
}

async function onDisk<Result>(uri: string, act: (client: NbdClient) => Promise<Result>): Promise<Result> {
  const client = await NbdClient.connect(uri);
  try {
    return await act(client);
  } finally {
    await client.disconnect();
  }
}

const replay = async (uri: string, trace: readonly TraceRequest[]): Promise<number> => (await onDisk(uri, (client) => replayTrace(trace, client, { speed }))).slowestMillis;

function secondsUntilRpo(site: BenchSite, disk: ProtectedDisk): Promise<number> {
  const isBelow = async (): Promise<boolean> => ((await site.cluster.planStatus(`plan-${disk.name}`)).rpoSeconds ?? Infinity) < rpoSecondsMax;
  return secondsOf(() => waitFor(`the RPO of ${disk.name} to be below ${rpoSecondsMax} s`, 120, isBelow));
}
