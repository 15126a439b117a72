// SPDX-License-Identifier: Apache-2.0
import { NbdClient } from '@secondsite/nbd';
import type { ByteRange } from '@secondsite/write-intent-bitmap';

const DIRTY = 1;
const QUERY_BYTES_MAX = 0xffff0000;

/** The ranges that a dirty bitmap of QEMU names, ascending; `uri` is an export that shows the bitmap. Source: QEMU, docs/interop/nbd.txt. */
export async function readDirtyRanges(uri: string, bitmap: string): Promise<ByteRange[]> {
  const context = `qemu:dirty-bitmap:${bitmap}`;
  const client = await NbdClient.connect(uri, { metaContexts: [context] });
  try {
    const ranges: ByteRange[] = [];
    for (let offset = 0; offset < client.sizeBytes; ) {
      const extents = await client.blockStatus({ offset, length: Math.min(QUERY_BYTES_MAX, client.sizeBytes - offset) }, context);
      for (const { length, flags } of extents) {
        const inside = Math.min(length, client.sizeBytes - offset);
        if ((flags & DIRTY) !== 0 && inside > 0) ranges.push({ offset, length: inside });
        offset += length;
      }
    }
    return ranges;
  } finally {
    client.destroy();
  }
}
