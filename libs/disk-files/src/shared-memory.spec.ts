// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import koffi from 'koffi';
import { existsSync, readFileSync } from 'node:fs';
import { hugePagesSize, sharedMemory } from './system-calls';

const mayBeHuge = existsSync('/sys/kernel/mm/transparent_hugepage');

/** What the kernel was told about the mapping that holds an address, two letters each. Source: proc_pid_smaps(5). */
function mappingFlags(address: bigint): string | undefined {
  for (const mapping of readFileSync('/proc/self/smaps', 'utf8').split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)) {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(mapping) ?? [];
    if (start && end && BigInt(`0x${start}`) <= address && address < BigInt(`0x${end}`)) return /^VmFlags: (.*)$/m.exec(mapping)?.[1];
  }
  return undefined;
}

describe('shared memory', () => {
  it('is zeros of the size asked for, large or small', () => {
    for (const size of [0, 1, 4096, (2 << 20) - 1, (8 << 20) + 1]) {
      const memory = Buffer.from(sharedMemory(size));
      expect(memory.length === size && memory.every((byte) => byte === 0)).toBe(true);
    }
  });

  it('fills huge pages, together with what malloc puts before it, at sizes made for that', () => {
    const huge = 2 << 20;
    expect([1, huge - 4096, huge - 4095, 7 << 20].map(hugePagesSize)).toEqual([huge - 4096, huge - 4096, 2 * huge - 4096, 4 * huge - 4096]);
  });

  (mayBeHuge ? it : it.skip)(`may use huge pages from its first byte to its last when it is large${mayBeHuge ? '' : ' (skipped: the system has no transparent huge pages)'}`, () => {
    const memory = new Uint8Array(sharedMemory(8 << 20));
    const start = koffi.address(memory);
    for (const offset of [0, 4 << 20, memory.length - 1]) expect(mappingFlags(start + BigInt(offset))).toMatch(/\bhg\b/);
  });
});
