// SPDX-License-Identifier: Apache-2.0
/** Whole contents of disks, byte by byte: a digest of an export, and its comparison with a file. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { NbdClient } from '@secondsite/nbd';
import { MIB } from '@secondsite/units';

const chunkBytes = 4 * MIB;

/** SHA-256 of everything an export shows. */
export async function digestOf(client: NbdClient): Promise<string> {
  const hash = createHash('sha256');
  await eachChunk(client, async (data) => void hash.update(data));
  return hash.digest('hex');
}

/** Offset of the first byte in which an export and a file differ (a difference in size counts at the end of the shorter); undefined when they are equal. */
export async function firstDifference(client: NbdClient, path: string): Promise<number | undefined> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    let difference: number | undefined;
    await eachChunk(client, async (data, offset) => {
      if (difference !== undefined || offset >= size) return;
      const other = Buffer.alloc(data.length);
      await file.read(other, 0, other.length, offset);
      if (!other.equals(data)) difference = offset + data.findIndex((byte, index) => byte !== other[index]);
    });
    return difference ?? (size === client.sizeBytes ? undefined : Math.min(size, client.sizeBytes));
  } finally {
    await file.close();
  }
}

async function eachChunk(client: NbdClient, take: (data: Buffer, offset: number) => Promise<void>): Promise<void> {
  for (let offset = 0; offset < client.sizeBytes; offset += chunkBytes) {
    const data = Buffer.alloc(Math.min(chunkBytes, client.sizeBytes - offset));
    await client.read(offset, data);
    await take(data, offset);
  }
}
