// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import koffi from 'koffi';
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { giveBackPages, hugePagesSize, sharedMemory } from './system-calls';

const mayBeHuge = existsSync('/sys/kernel/mm/transparent_hugepage') && !readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8').includes('[never]');
const [major = 0, minor = 0] = release().split('.').map(Number);
const collapses = mayBeHuge && (major > 6 || (major === 6 && minor >= 1));

/** What the kernel says of the mapping that holds an address. Source: proc_pid_smaps(5). */
function mappingOf(address: bigint): { readonly flags: string | undefined; readonly hugeKibibytes: number; readonly residentKibibytes: number } {
  const kibibytes = (name: string, mapping: string): number => Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(mapping)?.[1]);
  for (const mapping of readFileSync('/proc/self/smaps', 'utf8').split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)) {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(mapping) ?? [];
    if (start && end && BigInt(`0x${start}`) <= address && address < BigInt(`0x${end}`)) {
      return { flags: /^VmFlags: (.*)$/m.exec(mapping)?.[1], hugeKibibytes: kibibytes('AnonHugePages', mapping), residentKibibytes: kibibytes('Rss', mapping) };
    }
  }
  return { flags: undefined, hugeKibibytes: 0, residentKibibytes: 0 };
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
    for (const offset of [0, 4 << 20, memory.length - 1]) expect(mappingOf(start + BigInt(offset)).flags).toMatch(/\bhg\b/);
  });

  (mayBeHuge ? it : it.skip)(`given back takes no memory any more, nor will the kernel make huge pages of what is left of it${mayBeHuge ? '' : ' (skipped: the system has no transparent huge pages)'}`, () => {
    const memory = new Uint8Array(sharedMemory(hugePagesSize(40 << 20))).fill(1);
    giveBackPages(memory);
    const { flags, residentKibibytes } = mappingOf(koffi.address(memory) + BigInt(memory.length / 2));
    expect(flags).toMatch(/\bnh\b/);
    expect(residentKibibytes).toBeLessThanOrEqual(128);
    expect(memory.subarray(64 << 10, -(64 << 10)).every((byte) => byte === 0)).toBe(true);
  });

  (collapses ? it : it.skip)(`is in huge pages from its first byte on${collapses ? '' : ' (skipped: the system cannot make some of small ones)'}`, () => {
    // More than malloc ever takes from a heap, whose pages were used before.
    const sizeBytes = hugePagesSize(40 << 20);
    const hugeKibibytes = (): number => {
      const memory = new Uint8Array(sharedMemory(sizeBytes)).fill(1);
      return mappingOf(koffi.address(memory)).hugeKibibytes;
    };
    // A machine in use may have no huge page at the moment.
    const seen = Array.from({ length: 10 }, hugeKibibytes);
    expect(Math.max(...seen)).toBeGreaterThanOrEqual((sizeBytes + 4096) / 1024);
  });
});
