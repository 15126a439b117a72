// SPDX-License-Identifier: Apache-2.0
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GIB } from '@secondsite/units';
import type { BenchSite, ProtectedDisk } from '../bench-site';
import { fio, nbdLoad } from '../fio';
import { measureInterleaved } from '../measure';
import { machineDisk, MirroredMachine } from '../mirrored-machine';
import { Nbdkit } from '../nbdkit';
import { settleMachine } from '../settle-machine';
import { sparseImage } from '../sparse-image';
import type { TableRow } from '../table-row';

const diskBytes = GIB;
const secondsPerRun = 10;

/**
 * 4 KiB random writes to a disk in QEMU that is mirrored, write-blocking, to our agent, beside one that is mirrored to nbdkit. Every block of the
 * disks was written before.
 */
export async function agentlessRow(site: BenchSite, rounds: number): Promise<TableRow> {
  const protectedMachine = await startMachine(site, 'protected');
  const peerMachine = await startMachine(site, 'peer');
  const mirror = await sparseImage(join(site.folder, 'mirror.img'), diskBytes);
  const nbdkit = await Nbdkit.serve(mirror);
  const peerSocket = join(site.folder, 'peer-nbd.sock');
  await peerMachine.mirrorTo(nbdkit.uri, peerSocket);
  const disk = await protectMachine(site, protectedMachine);
  const [uri, peerUri] = [await protectedMachine.exportMirror(await agentsSocket(site)), await peerMachine.exportMirror(peerSocket)];
  const load = { pattern: 'randwrite', block: '4k', depth: 32, sizeBytes: diskBytes } as const;
  for (const each of [uri, peerUri]) await fio(nbdLoad({ ...load, uri: each }));
  await site.whenInSync(disk);
  const iops = async (of: string): Promise<number> => (await fio(nbdLoad({ ...load, uri: of, seconds: secondsPerRun }))).iops;
  const [ours, peer] = await measureInterleaved([
    {
      name: 'mirror to the agent, replicated',
      run: async () => {
        const figure = await site.profiled('agentless', () => iops(uri));
        await site.whenInSync(disk);
        return figure;
      },
    },
    { name: 'mirror to nbdkit', run: () => iops(peerUri) },
  ], rounds, () => settleMachine({ folder: site.folder, memoryBytes: 2 * diskBytes }));
  await protectedMachine.withdraw();
  await site.remove(disk);
  for (const machine of [protectedMachine, peerMachine]) await machine.stop();
  await nbdkit.stop();
  for (const image of ['peer.img', 'mirror.img']) await rm(join(site.folder, image));
  return { title: 'agentless tap, 4 KiB random writes, depth 32', unit: 'IOPS', ours, peers: [peer], reach: [{ kind: 'least', ratio: 0.9 }] };
}

async function startMachine(site: BenchSite, name: string): Promise<MirroredMachine> {
  return MirroredMachine.start({ folder: site.folder, name, image: await sparseImage(join(site.folder, `${name}.img`), diskBytes) });
}

async function protectMachine(site: BenchSite, { qmpSocket }: MirroredMachine): Promise<ProtectedDisk> {
  const name = 'agentless';
  await site.cluster.cli('volume', 'add', name, '--host', 'local', '--qmp', qmpSocket, '--device', machineDisk);
  const disk = { name, image: join(site.folder, 'protected.img'), uri: '', sizeBytes: diskBytes };
  await site.protect(disk);
  return disk;
}

/** QEMU has one NBD server; the agent started it, to read the disk. */
async function agentsSocket(site: BenchSite): Promise<string> {
  const folder = join(site.cluster.folderOf('agent'), 'nbd');
  const name = (await readdir(folder)).find((candidate) => /^qemu-.*\.sock$/.test(candidate));
  if (name === undefined) throw new Error(`the agent serves no disk of QEMU in ${folder}`);
  return join(folder, name);
}
