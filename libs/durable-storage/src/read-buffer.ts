// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';

/** What malloc puts before large memory, filled up to a cache line of 64 bytes. */
const shiftBytes = 48;

/**
 * Memory to read files into, again and again; what it holds is not defined. Large memory of malloc begins 16 bytes after a page, and a copy from a page to such
 * a place takes five times as long on some processors (AMD Zen 3: 2 instead of 10 GB/s out of the page cache), because its short `rep movsb` takes the two for
 * overlapping. Here it begins with a cache line. Source: glibc bug 30994.
 */
export function readBuffer(sizeBytes: ByteCount): Buffer {
  return Buffer.allocUnsafeSlow(shiftBytes + sizeBytes).subarray(shiftBytes);
}
