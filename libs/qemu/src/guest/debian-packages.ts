// SPDX-License-Identifier: Apache-2.0
// Packages come through apt alone (its signatures are the check of what we boot) and are unpacked without root.
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OperationError } from '@secondsite/units';
import { errorCode } from '../host-tools/error-code';
import { readFolderIfPresent } from '../host-tools/read-folder-if-present';
import { runTool } from '../host-tools/run-tool';

/** Debian's and then Ubuntu's names of a kernel for virtual machines; the first that exists is taken. */
const kernelMetaPackages = ['linux-image-cloud-amd64', 'linux-image-virtual', 'linux-image-generic', 'linux-image-amd64'];
const libraryPattern = /^(libc6|libsqlite3-0|libreadline8|libtinfo6|zlib1g)(t64)?$/;
const networkHint = 'apt must be able to reach its mirrors; run apt-get update and try again.';
const dependsOptions = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances', 'pre-depends'].map((kind) => `--no-${kind}`);

type AptOptions = readonly string[];

/** Downloads the guest's packages into `folder` once; returns the folder of .deb files. Needs the network only the first time. */
export async function downloadPackages(folder: string): Promise<string> {
  const target = join(folder, 'packages');
  if (await hasPackages(target)) return target;
  const partial = join(folder, `packages.${process.pid}.partial`);
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  const options = await usableApt(folder);
  const names = ['busybox-static', 'sqlite3', await kernelPackage(options), ...(await libraryPackages(options))];
  await apt({ program: 'apt-get', args: [...options, 'download', ...names], cwd: partial });
  await publish({ partial, target });
  return target;
}

/** Unpacks every .deb of a folder into one tree. */
export async function unpackPackages(folders: { packages: string; into: string }): Promise<void> {
  for (const file of await readdir(folders.packages)) {
    await runTool({
      command: 'dpkg-deb',
      args: ['-x', join(folders.packages, file), folders.into],
      operation: 'unpack a package of the guest',
      hint: `Delete ${folders.packages} to download it again.`,
    });
  }
}

/** Moves a finished folder into its place; when another process was faster, theirs is as good. */
export async function publish(move: { partial: string; target: string }): Promise<void> {
  try {
    await rename(move.partial, move.target);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes(errorCode(error) ?? '')) throw error;
    await rm(move.partial, { recursive: true, force: true });
  }
}

async function hasPackages(folder: string): Promise<boolean> {
  const files = await readFolderIfPresent(folder);
  return files.some((file) => file.startsWith('linux-image-'));
}

/** The system's package lists when they are filled, else lists of our own, which need no root. */
async function usableApt(folder: string): Promise<AptOptions> {
  const sandbox = ['-o', 'APT::Sandbox::User=root'];
  if (await knowsKernel(sandbox)) return sandbox;
  const own = join(folder, 'apt');
  await mkdir(join(own, 'lists', 'partial'), { recursive: true });
  await mkdir(join(own, 'cache', 'archives', 'partial'), { recursive: true });
  const options = [...sandbox, '-o', `Dir::State::Lists=${join(own, 'lists')}`, '-o', `Dir::Cache=${join(own, 'cache')}`];
  await apt({ program: 'apt-get', args: [...options, 'update'], cwd: own });
  return options;
}

async function knowsKernel(options: AptOptions): Promise<boolean> {
  return (await concreteKernels({ options, meta: kernelMetaPackages })).length > 0;
}

async function kernelPackage(options: AptOptions): Promise<string> {
  const [kernel] = await concreteKernels({ options, meta: kernelMetaPackages });
  if (kernel !== undefined) return kernel;
  throw new OperationError({
    code: 'qemu/no-kernel-package',
    operation: 'find a kernel package for the guest',
    retryable: false,
    hint: `apt knows none of ${kernelMetaPackages.join(', ')} on this machine.`,
  });
}

/** Names such as linux-image-6.1.0-56-cloud-amd64 behind the meta packages, in the order of preference. */
async function concreteKernels(search: { options: AptOptions; meta: readonly string[] }): Promise<string[]> {
  const found: string[] = [];
  for (const meta of search.meta) {
    const known = await apt({ program: 'apt-cache', args: [...search.options, 'pkgnames', meta] });
    if (!known.split('\n').includes(meta)) continue;
    const depends = await apt({ program: 'apt-cache', args: [...search.options, 'depends', '--recurse', ...dependsOptions, meta] });
    const names = depends.split('\n').map((line) => line.replace(/^[ |]*Depends: /, '').trim());
    found.push(...names.filter((name) => /^linux-image-(unsigned-)?\d/.test(name)));
  }
  return found;
}

async function libraryPackages(options: AptOptions): Promise<string[]> {
  const text = await apt({ program: 'apt-cache', args: [...options, 'depends', '--recurse', ...dependsOptions, 'sqlite3'] });
  return [...new Set(text.split('\n').filter((line) => libraryPattern.test(line)))];
}

function apt(call: { program: string; args: readonly string[]; cwd?: string }): Promise<string> {
  const { program, args, cwd } = call;
  return runTool({
    command: program, args, operation: 'get the packages of the guest', hint: networkHint, timeLimitMillis: 300_000,
    environment: { LC_ALL: 'C' }, ...(cwd === undefined ? {} : { cwd }),
  });
}
