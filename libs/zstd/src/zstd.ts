// SPDX-License-Identifier: Apache-2.0
// zstd in the thread pool, for whole change sets. Node's default output chunk of 16 KiB costs a turn of the event loop and a buffer for each;
// one chunk that holds the whole result is three times faster for data that does not shrink and leaves nothing to collect.
import { giveBackPages } from '@secondsite/disk-files';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdCompressSync, zstdDecompress } from 'node:zlib';
import { Turns } from './turns';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
const params = { [constants.ZSTD_c_compressionLevel]: 1 };

/** Each takes a thread of the pool that syncs files as well, and memory for a whole change set: two at a time leave room for both. */
const atOnce = new Turns(2);

const sampleBytes = 16 * 1024;
const sampleCount = 3;
const worthwhileRatio = 0.95;
const chunkBytesMin = 1024;
/** Smaller results may share their memory with others. */
const ownMemoryBytesMin = 256 * 1024;

/**
 * zstd level 1 over the parts, as one frame; undefined when samples of them say that it would hardly get smaller (encrypted or
 * compressed content), which costs about 0.1 ms instead of 8 ms for 8 MiB. The parts must not change before it resolves.
 */
export async function compressZstd(parts: readonly Uint8Array[]): Promise<Uint8Array | undefined> {
  const [only] = parts;
  if (parts.length === 1 && only) return isWorthwhile(only) ? atOnce.run(() => compressWhole(only)) : undefined;
  return atOnce.run(async () => {
    const content = Buffer.concat(parts);
    try {
      return isWorthwhile(content) ? await compressWhole(content) : undefined;
    } finally {
      giveBackOwn(content);
    }
  });
}

async function compressWhole(content: Uint8Array): Promise<Uint8Array> {
  const boundBytes = content.byteLength + (content.byteLength >> 7) + chunkBytesMin;
  return inMemoryOfItsSize(await compress(content, { params, chunkSize: boundBytes, pledgedSrcSize: content.byteLength }));
}

/** It lies in memory of the bound's size, which would be kept with it, and the collector comes late to what is left. */
function inMemoryOfItsSize(result: Buffer): Uint8Array {
  const copy = new Uint8Array(result);
  giveBackOwn(result);
  return copy;
}

function giveBackOwn(bytes: Buffer): void {
  if (bytes.buffer.byteLength >= ownMemoryBytesMin) giveBackPages(new Uint8Array(bytes.buffer));
}

/** The reverse; rejects rather than produce more than `bytesMax`. */
export async function decompressZstd(stored: Uint8Array, { bytesMax }: { readonly bytesMax: number }): Promise<Uint8Array> {
  return atOnce.run(() => decompress(stored, { maxOutputLength: Math.max(1, bytesMax), chunkSize: Math.max(chunkBytesMin, bytesMax) }));
}

function isWorthwhile(content: Uint8Array): boolean {
  if (content.byteLength <= sampleBytes * sampleCount) return true;
  // From the middle of each third: the beginning of a change set is its entry table, which always shrinks and says nothing of the data.
  const stride = Math.floor(content.byteLength / sampleCount);
  let smallerBytes = 0;
  for (let sample = 0; sample < sampleCount; sample++) {
    const start = sample * stride + ((stride - sampleBytes) >> 1);
    const part = content.subarray(start, start + sampleBytes);
    smallerBytes += zstdCompressSync(part, { params, chunkSize: 2 * sampleBytes }).byteLength;
  }
  return smallerBytes < worthwhileRatio * sampleBytes * sampleCount;
}
