// SPDX-License-Identifier: Apache-2.0
import { XXHash3 } from 'xxhash-addon';

/** XXH3-64 of the parts one after another, as 8 bytes (big-endian, the canonical form of xxHash). */
export function checksum(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only) return XXHash3.hash(asBuffer(only));
  const hash = new XXHash3(Buffer.alloc(4));
  for (const part of parts) if (part.byteLength > 0) hash.update(asBuffer(part));
  return hash.digest();
}

/** True when both checksums are the same 8 bytes. */
export function sameChecksum(left: Uint8Array, right: Uint8Array): boolean {
  return asBuffer(left).equals(right);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
