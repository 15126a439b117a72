// SPDX-License-Identifier: Apache-2.0
// The guest of a LossyLink: the demonstration guest's kernel and initramfs with network drivers, netem, and this machine's `tc` and `ip` and the libraries
// that they need, in a second archive behind the first. It has no disk.
import { createHash } from 'node:crypto';
import { access, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buildGuest, type GuestImage } from '../guest/build-guest';
import { downloadPackages, publish, unpackPackages } from '../guest/debian-packages';
import { commandChannel, kernelModules } from '../guest/guest-scripts';
import { copyModules, packInitramfs, writeProgram } from '../guest/initramfs';
import { findProgram } from '../host-tools/find-program';
import { runTool } from '../host-tools/run-tool';

/** In the order in which they must be loaded. */
const linkModules = ['failover', 'net_failover', 'virtio_net', 'sch_netem'] as const;

/** Loads drivers and takes commands. */
const linkInit = String.raw`#!/bin/busybox sh
export PATH=/sbin:/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mkdir -p /run
for module in ${[...kernelModules, ...linkModules].join(' ')}; do
  [ -f "/modules/$module.ko" ] && insmod "/modules/$module.ko"
done
command-channel &
echo "SECONDSITE-READY $(cut -d' ' -f1 /proc/uptime)"
while :; do wait; sleep 1; done
`;

/** The guest, built in `folder` on first use (some seconds). */
export async function buildLinkGuest(folder: string): Promise<GuestImage> {
  const guest = await buildGuest(folder);
  const hash = createHash('sha256').update(JSON.stringify([guest.initramfs, linkInit, commandChannel])).digest('hex').slice(0, 12);
  const target = join(folder, `link-${hash}`);
  const initramfs = join(target, 'initramfs');
  if (!(await exists(initramfs))) {
    const partial = `${target}.${process.pid}.partial`;
    await rm(partial, { recursive: true, force: true });
    await assemble({ guest, packages: await downloadPackages(folder), into: partial });
    await publish({ partial, target });
  }
  return { ...guest, initramfs };
}

async function assemble({ guest, packages, into }: { guest: GuestImage; packages: string; into: string }): Promise<void> {
  const [unpacked, tree, addition] = [join(into, 'unpacked'), join(into, 'tree'), join(into, 'addition')];
  for (const folder of [unpacked, join(tree, 'modules'), join(tree, 'sbin')]) await mkdir(folder, { recursive: true });
  await unpackPackages({ packages, into: unpacked });
  await copyModules({ modules: linkModules, from: join(unpacked, 'lib', 'modules', guest.kernelRelease), into: join(tree, 'modules') });
  await writeProgram({ file: join(tree, 'init'), content: linkInit });
  await writeProgram({ file: join(tree, 'sbin', 'command-channel'), content: commandChannel });
  await copyNetworkTools(tree);
  await packInitramfs({ tree, busybox: join(guest.rootTree, 'bin', 'busybox'), into: addition });
  await writeFile(join(into, 'initramfs'), Buffer.concat([await readFile(guest.initramfs), await readFile(addition)]));
  for (const made of [unpacked, tree, addition]) await rm(made, { recursive: true });
}

/** busybox's own ones know neither netem nor how to keep received packets apart. */
async function copyNetworkTools(tree: string): Promise<void> {
  for (const tool of ['tc', 'ip']) {
    const program = (await findProgram(tool)) ?? tool;
    const libraries = await runTool({ command: 'ldd', args: [program], operation: `find the libraries of ${tool}`, hint: 'Install iproute2.' });
    await copyFile(program, join(tree, 'sbin', tool));
    for (const [, library] of libraries.matchAll(/(\/\S+) \(0x/g)) {
      const copy = join(tree, library as string);
      await mkdir(dirname(copy), { recursive: true });
      await copyFile(library as string, copy);
    }
  }
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
