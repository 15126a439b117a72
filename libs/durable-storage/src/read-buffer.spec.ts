// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import koffi from 'koffi';
import { readBuffer } from './read-buffer';

const kib = 1024;

describe('memory to read files into', () => {
  it('has the size asked for', () => {
    for (const size of [0, 1, 4 * kib, 1024 * kib, 8192 * kib + 1]) expect(readBuffer(size)).toHaveLength(size);
  });

  it('begins with a cache line when it is large, so that the kernel copies pages to it at full speed', () => {
    // As large as malloc gives a mapping of its own, whatever it learns from what is freed.
    for (const size of [33 << 20, 40 << 20]) expect(koffi.address(readBuffer(size)) % 64n).toBe(0n);
  });
});
