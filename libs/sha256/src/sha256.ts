// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

const turnBytes = 1024 * 1024;

/** 32 bytes, of the parts one after another, which must not change before it resolves. Others have their turn after every MiB. */
export async function sha256(parts: readonly Uint8Array[]): Promise<Uint8Array> {
  const hash = createHash('sha256');
  let bytes = 0;
  for (const part of parts) {
    hash.update(part);
    bytes += part.byteLength;
    if (bytes < turnBytes) continue;
    bytes = 0;
    await setImmediate();
  }
  return hash.digest();
}
