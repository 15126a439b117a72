// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';

/** In this thread and at once. */
export async function sha256Now(parts: readonly Uint8Array[]): Promise<Uint8Array> {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
