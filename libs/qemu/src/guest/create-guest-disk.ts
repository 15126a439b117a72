// SPDX-License-Identifier: Apache-2.0
import { open, rm } from 'node:fs/promises';
import { type ByteCount, MIB, OperationError } from '@secondsite/units';
import { findProgram } from '../host-tools/find-program';
import { runTool } from '../host-tools/run-tool';
import type { GuestImage } from './build-guest';

const diskBytesMin = 32 * MIB;

export interface GuestDiskOptions {
  /** Raw image to create; an existing file is replaced. */
  readonly path: string;
  readonly sizeBytes: ByteCount | number;
  readonly guest: GuestImage;
}

/** Makes a sparse raw disk with an ext4 file system holding the guest's system, ready for bootGuest. Needs mke2fs, no root. */
export async function createGuestDisk(options: GuestDiskOptions): Promise<void> {
  if (options.sizeBytes < diskBytesMin) throw tooSmall(options.sizeBytes);
  const mke2fs = await findProgram('mke2fs');
  if (mke2fs === undefined) throw noMke2fs();
  await rm(options.path, { force: true });
  const file = await open(options.path, 'wx');
  try {
    await file.truncate(options.sizeBytes);
  } finally {
    await file.close();
  }
  await runTool({
    command: mke2fs,
    args: ['-q', '-F', '-t', 'ext4', '-L', 'secondsite', '-E', 'root_owner=0:0', '-d', options.guest.rootTree, options.path],
    operation: 'make the file system of the guest disk',
    hint: 'Check the free space.',
  });
}

function tooSmall(sizeBytes: number): OperationError {
  const hint = `A guest disk needs at least ${diskBytesMin} bytes.`;
  return new OperationError({ code: 'qemu/disk-too-small', operation: 'create a guest disk', context: { sizeBytes }, retryable: false, hint });
}

function noMke2fs(): OperationError {
  const hint = 'Install e2fsprogs.';
  return new OperationError({ code: 'qemu/tool-missing', operation: 'create a guest disk', retryable: false, hint });
}
