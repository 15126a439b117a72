// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import { readBuffer } from './read-buffer';

const kib = 1024;

describe('memory to read files into', () => {
  it('has the size asked for', () => {
    for (const size of [0, 1, 4 * kib, 1024 * kib, 8192 * kib + 1]) expect(readBuffer(size)).toHaveLength(size);
  });

  it('begins with a cache line when malloc maps it, so that the kernel copies pages to it at full speed', () => {
    // In a process of its own: in one that has freed much, malloc gives also large memory out of that, and it may begin anywhere.
    const address = `require('koffi').address(require('@secondsite/durable-storage').readBuffer(${33 << 20}))`;
    expect(execFileSync(process.execPath, ['--print', `${address} % 64n`], { cwd: __dirname, encoding: 'utf8' }).trim()).toBe('0n');
  });
});
