// SPDX-License-Identifier: Apache-2.0
// /dev/kvm proves nothing: there are machines where it exists and guests hang under it. So a guest is booted, with a time limit.
import { access, constants, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { hostname, release } from 'node:os';
import { join } from 'node:path';
import { isOperationError } from '@secondsite/units';
import { errorCode } from '../host-tools/error-code';
import { bootGuest } from '../boot/boot-guest';
import type { GuestImage } from '../guest/build-guest';
import type { Accelerator } from './accelerator';

export interface ProbeOptions {
  readonly guest: GuestImage;
  /** Folder that keeps the result for this machine and host kernel. */
  readonly cacheFolder: string;
  /** For the probe guest to come up under KVM; it needs about 1 s where KVM works. Default 10 s. */
  readonly timeLimitMillis?: number;
}

/** `kvm` only when a guest came up under it within the time limit, else `tcg`. The answer is kept per machine and host kernel. */
export async function probeAccelerator(options: ProbeOptions): Promise<Accelerator> {
  const file = join(options.cacheFolder, `accelerator-${hostname()}-${release()}`.replaceAll('/', '_'));
  const known = await readKnown(file);
  if (known) return known;
  const found: Accelerator = (await mayOpenKvm()) && (await guestComesUp({ ...options, accelerator: 'kvm' })) ? 'kvm' : 'tcg';
  await mkdir(options.cacheFolder, { recursive: true });
  await writeFile(`${file}.${process.pid}`, `${found}\n`);
  await rename(`${file}.${process.pid}`, file);
  return found;
}

/** Whether the probe guest says it is ready within the time limit. Leaves no process behind. */
export async function guestComesUp(options: { guest: GuestImage; accelerator: Accelerator; timeLimitMillis?: number }): Promise<boolean> {
  const { guest, accelerator, timeLimitMillis = 10_000 } = options;
  const machine = await bootGuest({ guest, mode: 'probe', accelerator, connectQmp: false });
  try {
    await machine.waitForLine(/^SECONDSITE-READY/, timeLimitMillis);
    return true;
  } catch (error) {
    if (isOperationError(error, 'qemu/time-limit')) return false;
    throw error;
  } finally {
    await machine.kill();
  }
}

async function readKnown(file: string): Promise<Accelerator | undefined> {
  try {
    const text = (await readFile(file, 'utf8')).trim();
    return text === 'kvm' || text === 'tcg' ? text : undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function mayOpenKvm(): Promise<boolean> {
  return access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
}
