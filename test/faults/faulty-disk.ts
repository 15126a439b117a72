// SPDX-License-Identifier: Apache-2.0
/**
 * A mounted file system on a disk that goes wrong on request: ext4 on a loop device on nbdfuse on nbdkit, whose filters fail or slow down what
 * the kernel writes. Needs root, nbdkit, nbdfuse, losetup and mkfs.ext4.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type FileHandle, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '@secondsite/cli/testing';
import { KIB, MIB } from '@secondsite/units';
import { isListening } from '@secondsite/nbd/testing';
import { attachBlockDevice, type BlockDevice, runTool } from '../system/host-tools';

/** The filter keeps the last limit that it was told. */
const unlimitedBitsPerSecond = 1e12;

export const faultyDiskTools = ['nbdkit', 'nbdfuse', 'losetup', 'mkfs.ext4', 'e2fsck'] as const;

export class FaultyDisk {
  readonly #folder: string;
  readonly #mountPoint: string;
  readonly #nbdkit: ChildProcess;
  #blockDevice: BlockDevice | undefined;
  #mounted = false;

  private constructor({ folder, mountPoint, nbdkit }: { folder: string; mountPoint: string; nbdkit: ChildProcess }) {
    this.#folder = folder;
    this.#mountPoint = mountPoint;
    this.#nbdkit = nbdkit;
  }

  /** `folder`: for its sockets and triggers; the file system of `sizeBytes` is mounted at `mountPoint`. */
  static async mount({ folder, mountPoint, sizeBytes }: { folder: string; mountPoint: string; sizeBytes: number }): Promise<FaultyDisk> {
    await mkdir(folder, { recursive: true });
    await mkdir(mountPoint, { recursive: true });
    const socket = join(folder, 'nbd.sock');
    const nbdkit = spawn('nbdkit', [
      '-f', '-U', socket, '--filter=error', '--filter=rate', 'memory', String(sizeBytes),
      'error-pwrite=EIO', 'error-pwrite-rate=100%', `error-pwrite-file=${join(folder, 'fail')}`, `rate-file=${join(folder, 'rate')}`,
    ], { stdio: 'ignore' });
    const disk = new FaultyDisk({ folder, mountPoint, nbdkit });
    await waitFor('nbdkit to serve', 20, async () => isListening(socket));
    disk.#blockDevice = await attachBlockDevice({ uri: `nbd+unix:///?socket=${socket}`, folder, name: 'disk' });
    await runTool('mkfs.ext4', '-q', disk.#device);
    await disk.#mount();
    return disk;
  }

  /** Writes to the disk fail from now on; the file system notices, and lets nobody write any more. */
  async failWrites(): Promise<void> {
    await writeFile(join(this.#folder, 'fail'), '');
  }

  async slowDown(bitsPerSecond: number): Promise<void> {
    await writeFile(join(this.#folder, 'rate'), String(bitsPerSecond));
  }

  /** The disk answers nothing any more. */
  hang(): void {
    this.#nbdkit.kill('SIGSTOP');
  }

  /** Leaves so little room in the file system; 0: none. */
  async fillUp(leaveBytes: number): Promise<void> {
    const filler = await open(this.#filler, 'w');
    try {
      const free = Number(await runTool('stat', '--file-system', '--format=%a', this.#mountPoint)) * Number(await runTool('stat', '--file-system', '--format=%S', this.#mountPoint));
      const block = Buffer.alloc(MIB, 1);
      for (let written = 0; written + leaveBytes + MIB <= free; written += MIB) await filler.write(block);
      await filler.sync();
      if (leaveBytes === 0) await writeUntilFull(filler);
    } finally {
      await filler.close();
    }
  }

  /** Everything is well again; after failed writes only the disk, see `remount`. */
  async heal(): Promise<void> {
    this.#nbdkit.kill('SIGCONT');
    await rm(join(this.#folder, 'fail'), { force: true });
    await this.slowDown(unlimitedBitsPerSecond);
    if (this.#mounted) await rm(this.#filler, { force: true });
  }

  /** After failed writes: checks the file system and mounts it anew. Nobody may use it. */
  async remount(): Promise<void> {
    await runTool('umount', this.#mountPoint);
    this.#mounted = false;
    await this.heal();
    await runTool('sh', '-c', `e2fsck -fy ${this.#device} >/dev/null || [ $? -le 2 ]`);
    await this.#mount();
  }

  async dispose(): Promise<void> {
    await this.heal();
    if (this.#mounted) await runTool('umount', this.#mountPoint);
    await this.#blockDevice?.detach();
    const ended = once(this.#nbdkit, 'exit');
    this.#nbdkit.kill('SIGKILL');
    await ended;
  }

  get #device(): string {
    return this.#blockDevice?.device ?? '';
  }

  get #filler(): string {
    return join(this.#mountPoint, 'filler');
  }

  async #mount(): Promise<void> {
    await runTool('mount', '-o', 'errors=remount-ro', this.#device, this.#mountPoint);
    this.#mounted = true;
  }
}

async function writeUntilFull(filler: FileHandle): Promise<void> {
  try {
    for (const block = Buffer.alloc(4 * KIB, 1); ; ) await filler.write(block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
