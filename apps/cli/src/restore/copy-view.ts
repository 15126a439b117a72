// SPDX-License-Identifier: Apache-2.0
import { type FileHandle, open, stat } from 'node:fs/promises';
import { NbdClient } from '@secondsite/nbd';
import { MIB, OperationError } from '@secondsite/units';

export interface CopyResult {
  readonly sizeBytes: number;
  /** Bytes that were not holes. */
  readonly copiedBytes: number;
  readonly seconds: number;
}

const chunkBytes = 2 * MIB;
const chunksInFlight = 4;

/**
 * Copies an NBD export to a new sparse file or over a device; on return everything is on stable storage. An existing file is refused
 * (`restore/target-exists`), so is a device that is too small.
 */
export async function copyView({ uri, to }: { uri: string; to: string }): Promise<CopyResult> {
  const started = performance.now();
  const client = await NbdClient.connect(uri);
  try {
    const target = await openTarget(to, client.sizeBytes);
    try {
      const copiedBytes = await copyData(client, target);
      await target.file.sync();
      return { sizeBytes: client.sizeBytes, copiedBytes, seconds: (performance.now() - started) / 1000 };
    } finally {
      await target.file.close();
    }
  } finally {
    await client.disconnect();
  }
}

interface Target {
  readonly file: FileHandle;
  /** A device keeps what it held where nothing is written, so zeros must be written too. */
  readonly keepsOldContent: boolean;
}

async function openTarget(to: string, sizeBytes: number): Promise<Target> {
  const existing = await stat(to).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (existing?.isBlockDevice()) return { file: await openDevice(to, sizeBytes), keepsOldContent: true };
  if (existing) {
    throw new OperationError({ code: 'restore/target-exists', operation: 'restore', context: { to }, retryable: false, hint: 'Give the path of a new file; nothing was overwritten.' });
  }
  const file = await open(to, 'wx');
  await file.truncate(sizeBytes);
  return { file, keepsOldContent: false };
}

async function openDevice(to: string, sizeBytes: number): Promise<FileHandle> {
  const file = await open(to, 'r+');
  const probe = await file.read(Buffer.alloc(1), 0, 1, sizeBytes - 1);
  if (probe.bytesRead === 1) return file;
  await file.close();
  throw new OperationError({ code: 'restore/target-too-small', operation: 'restore', context: { to, sizeBytes }, retryable: false, hint: 'The device is smaller than the disk; nothing was written.' });
}

async function copyData(client: NbdClient, target: Target): Promise<number> {
  const extents = await client.allocation({ offset: 0, length: client.sizeBytes });
  const chunks: { offset: number; length: number }[] = [];
  let offset = 0;
  for (const { length, zero } of extents) {
    if (!zero || target.keepsOldContent) for (let done = 0; done < length; done += chunkBytes) chunks.push({ offset: offset + done, length: Math.min(chunkBytes, length - done) });
    offset += length;
  }
  const copyNext = async (): Promise<void> => {
    const buffer = Buffer.alloc(chunkBytes);
    for (let chunk = chunks.shift(); chunk; chunk = chunks.shift()) {
      const data = buffer.subarray(0, chunk.length);
      await client.read(chunk.offset, data);
      await target.file.write(data, 0, data.length, chunk.offset);
    }
  };
  const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  await Promise.all(Array.from({ length: chunksInFlight }, copyNext));
  return total;
}
