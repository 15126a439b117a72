// SPDX-License-Identifier: Apache-2.0
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MIB } from '@secondsite/units';
import { runProgram } from './run-program';

/**
 * Leaves no dirty pages behind, and memory for so many bytes that was used a moment ago: a virtual machine gives free memory back to its
 * host, and what it gets anew costs several times as much as the copy into it. Whoever runs second would find the first one's memory warm.
 */
export async function settleMachine({ folder, memoryBytes }: { readonly folder: string; readonly memoryBytes: number }): Promise<void> {
  await runProgram('sync', []);
  const path = join(folder, 'warm-memory');
  const file = await open(path, 'w');
  try {
    const block = Buffer.alloc(8 * MIB);
    for (let offset = 0; offset < memoryBytes; offset += block.length) await file.write(block, 0, block.length, offset);
  } finally {
    await file.close();
    await rm(path);
  }
}
