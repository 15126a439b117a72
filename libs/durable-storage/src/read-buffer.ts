// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';

/** With the 16 bytes that malloc puts before large memory, a cache line. */
const shiftBytes = 48;

/**
 * Memory to read files into, again and again; what it holds is not defined. Large memory of malloc begins 16 bytes after a page, and the kernel's copy from a
 * page to such a place (`rep movsb`) takes five times as long on some processors: 2 instead of 10 GB/s out of the page cache with AMD Zen 3. Here it begins 64
 * bytes after a page; what malloc takes out of memory that was freed before begins anywhere, which is as slow once in 256 times. Source: glibc bug 30994.
 */
export function readBuffer(sizeBytes: ByteCount): Buffer {
  return Buffer.allocUnsafeSlow(shiftBytes + sizeBytes).subarray(shiftBytes);
}
