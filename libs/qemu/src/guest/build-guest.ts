// SPDX-License-Identifier: Apache-2.0
// Builds the demonstration guest: a kernel, an initramfs that only finds the disk, and the tree of a small system (busybox,
// sqlite3, its libraries) that goes on the protected disk itself. Built once per folder and version of the scripts; safe with
// several builders at once (each works in its own folder and renames it into place).
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OperationError } from '@secondsite/units';
import { errorCode } from '../host-tools/error-code';
import { readFolderIfPresent } from '../host-tools/read-folder-if-present';
import { runTool } from '../host-tools/run-tool';
import { downloadPackages, publish, unpackPackages } from './debian-packages';
import { initramfsInit, kernelModules, systemPrograms } from './guest-scripts';
import { copyModules, packInitramfs, writeProgram } from './initramfs';

const buildVersion = 1;

export interface GuestImage {
  /** Kernel for QEMU's -kernel. */
  readonly kernel: string;
  /** Initramfs for QEMU's -initrd. */
  readonly initramfs: string;
  /** Tree of the small system that createGuestDisk puts on a disk. */
  readonly rootTree: string;
  readonly kernelRelease: string;
}

/** The guest in `folder`, built on first use (about 5 s and 33 MB of downloads; then milliseconds). Needs no root. */
export async function buildGuest(folder: string): Promise<GuestImage> {
  const target = join(folder, `guest-${scriptsHash()}`);
  const finished = await readGuest(target);
  if (finished) return finished;
  await mkdir(folder, { recursive: true });
  const packages = await downloadPackages(folder);
  const partial = `${target}.${process.pid}.partial`;
  await rm(partial, { recursive: true, force: true });
  await assemble({ packages, into: partial });
  await publish({ partial, target });
  const guest = await readGuest(target);
  if (guest) return guest;
  throw incomplete(folder);
}

function incomplete(folder: string): OperationError {
  const hint = `Delete ${folder} and try again.`;
  return new OperationError({ code: 'qemu/guest-incomplete', operation: 'build the guest', retryable: false, hint });
}

function scriptsHash(): string {
  const content = JSON.stringify([buildVersion, kernelModules, initramfsInit, systemPrograms]);
  return createHash('sha256').update(content).digest('hex').slice(0, 12);
}

async function readGuest(folder: string): Promise<GuestImage | undefined> {
  try {
    const kernelRelease = (await readFile(join(folder, 'kernel-release'), 'utf8')).trim();
    return { kernel: join(folder, 'kernel'), initramfs: join(folder, 'initramfs'), rootTree: join(folder, 'root'), kernelRelease };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function assemble(folders: { packages: string; into: string }): Promise<void> {
  const unpacked = join(folders.into, 'unpacked');
  await mkdir(unpacked, { recursive: true });
  await unpackPackages({ packages: folders.packages, into: unpacked });
  const kernelRelease = await takeKernel({ unpacked, into: folders.into });
  await buildInitramfs({ unpacked, into: folders.into, kernelRelease });
  await buildRootTree({ unpacked, root: join(folders.into, 'root') });
  await rm(unpacked, { recursive: true });
  await writeFile(join(folders.into, 'kernel-release'), `${kernelRelease}\n`);
}

async function takeKernel(folders: { unpacked: string; into: string }): Promise<string> {
  const boot = join(folders.unpacked, 'boot');
  const name = (await readdir(boot)).find((file) => file.startsWith('vmlinuz-'));
  if (name === undefined) throw incomplete(folders.into);
  await copyFile(join(boot, name), join(folders.into, 'kernel'));
  return name.slice('vmlinuz-'.length);
}

async function buildInitramfs(build: { unpacked: string; into: string; kernelRelease: string }): Promise<void> {
  const tree = join(build.into, 'initramfs-tree');
  for (const folder of ['bin', 'dev', 'proc', 'root', 'modules']) await mkdir(join(tree, folder), { recursive: true });
  await installBusybox({ unpacked: build.unpacked, bin: join(tree, 'bin') });
  await copyModules({ modules: kernelModules, from: join(build.unpacked, 'lib', 'modules', build.kernelRelease), into: join(tree, 'modules') });
  await writeProgram({ file: join(tree, 'init'), content: initramfsInit });
  await packInitramfs({ tree, busybox: join(tree, 'bin', 'busybox'), into: join(build.into, 'initramfs') });
  await rm(tree, { recursive: true });
}

async function buildRootTree(build: { unpacked: string; root: string }): Promise<void> {
  const { unpacked, root } = build;
  const folders = ['bin', 'sbin', 'usr/bin', 'dev', 'proc', 'run', 'tmp', 'data', 'root', 'etc'];
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true });
  await installBusybox({ unpacked, bin: join(root, 'bin') });
  await copyFile(join(unpacked, 'usr/bin/sqlite3'), join(root, 'usr/bin/sqlite3'));
  await copyLibraries(build);
  for (const [name, content] of Object.entries(systemPrograms)) await writeProgram({ file: join(root, name), content });
  await writeFile(join(root, 'etc/hostname'), 'secondsite-guest\n');
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await writeFile(join(root, 'etc/os-release'), 'NAME="Secondsite demonstration guest"\nID=secondsite-guest\n');
}

/** The loader and the libraries sqlite3 needs, from wherever the distribution puts them (/lib or /usr/lib). */
async function copyLibraries(build: { unpacked: string; root: string }): Promise<void> {
  const into = join(build.root, 'lib/x86_64-linux-gnu');
  await mkdir(into, { recursive: true });
  const libraryName = /^(ld-linux-x86-64|libc|libm|libsqlite3|libreadline|libtinfo|libz)\.so\.\d+/;
  for (const folder of ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu']) {
    const from = join(build.unpacked, folder);
    const names = await readFolderIfPresent(from);
    for (const name of names.filter((file) => libraryName.test(file))) {
      await copyFile(join(from, name), join(into, name));
    }
  }
  await mkdir(join(build.root, 'lib64'), { recursive: true });
  await copyFile(join(into, 'ld-linux-x86-64.so.2'), join(build.root, 'lib64/ld-linux-x86-64.so.2'));
}

async function installBusybox(install: { unpacked: string; bin: string }): Promise<void> {
  const inBin = (await readFolderIfPresent(join(install.unpacked, 'bin'))).includes('busybox');
  const target = join(install.bin, 'busybox');
  await copyFile(join(install.unpacked, inBin ? 'bin/busybox' : 'usr/bin/busybox'), target);
  await chmod(target, 0o755);
  const applets = await runTool({ command: target, args: ['--list'], operation: 'list busybox programs', hint: 'Rebuild the guest.' });
  const script = 'for name in "$@"; do [ "$name" = busybox ] || [ -e "$name" ] || ./busybox ln -s busybox "$name"; done';
  const names = applets.split('\n').filter(Boolean);
  const args = ['sh', '-c', script, 'links', ...names];
  await runTool({ command: target, args, cwd: install.bin, operation: 'link busybox programs', hint: 'Rebuild the guest.' });
}
