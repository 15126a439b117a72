// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { findProgram } from './find-program';
import { runTool } from './run-tool';

export interface QemuPrograms {
  /** Full path of qemu-system-x86_64. */
  readonly system: string;
  /** Full path of qemu-img, used for overlays. */
  readonly image: string;
  /** e.g. `7.2.22`. */
  readonly version: string;
}

/** QEMU on this machine, or undefined when the emulator or qemu-img is missing. */
export async function findQemu(): Promise<QemuPrograms | undefined> {
  const [system, image] = await Promise.all([findProgram('qemu-system-x86_64'), findProgram('qemu-img')]);
  if (system === undefined || image === undefined) return undefined;
  const banner = await runTool({ command: system, args: ['--version'], operation: 'ask QEMU for its version', hint: 'Reinstall QEMU.' });
  return { system, image, version: /version (\d+(?:\.\d+)*)/.exec(banner)?.[1] ?? 'unknown' };
}

/** Like findQemu, but a missing QEMU is the failure `qemu/not-installed`. */
export async function requireQemu(): Promise<QemuPrograms> {
  const found = await findQemu();
  if (found) return found;
  throw new OperationError({
    code: 'qemu/not-installed',
    operation: 'find QEMU',
    retryable: false,
    hint: 'Install it, e.g. apt-get install qemu-system-x86 qemu-utils.',
  });
}
