// SPDX-License-Identifier: Apache-2.0
// zstd in the thread pool, for whole change sets. Node's default output chunk of 16 KiB costs a turn of the event loop and a buffer for each;
// one chunk that holds the whole result is three times faster for data that does not shrink and leaves nothing to collect.
import { giveBackPages } from '@secondsite/disk-files';
import { promisify } from 'node:util';
import { constants, createZstdCompress, createZstdDecompress, zstdCompressSync, zstdDecompress } from 'node:zlib';
import { Turns } from './turns';

const decompress = promisify(zstdDecompress);
const params = { [constants.ZSTD_c_compressionLevel]: 1 };

/** Each takes a thread of the pool that syncs files as well, and memory for a whole change set: two at a time leave room for both. */
const atOnce = new Turns(2);

/** Of output that is copied on; a turn of the pool each. */
const pieceBytes = 256 * 1024;
/** Each part is a turn of the pool; more of them are joined first. */
const partsAtOnceMax = 8;
const sampleBytes = 16 * 1024;
const sampleCount = 3;
const worthwhileRatio = 0.95;
const chunkBytesMin = 1024;
/** Smaller results may share their memory with others. */
const ownMemoryBytesMin = 256 * 1024;

/**
 * zstd level 1 over the parts, as one frame; undefined when samples of them say that it would hardly get smaller (encrypted or
 * compressed content), which costs about 0.1 ms instead of 8 ms for 8 MiB. The parts must not change before it resolves. The result lies in memory
 * of its own, of the size of the content, of which only what it fills was ever touched.
 */
export async function compressZstd(parts: readonly Uint8Array[]): Promise<Uint8Array | undefined> {
  if (parts.length <= partsAtOnceMax) return isWorthwhile(parts) ? atOnce.run(() => compressParts(parts)) : undefined;
  return atOnce.run(async () => {
    const content = Buffer.concat(parts);
    try {
      return isWorthwhile([content]) ? await compressParts([content]) : undefined;
    } finally {
      if (content.buffer.byteLength >= ownMemoryBytesMin) giveBackPages(new Uint8Array(content.buffer));
    }
  });
}

/** One after the other into one chunk that holds everything: joining them first would be a copy into fresh memory. */
async function compressParts(parts: readonly Uint8Array[]): Promise<Uint8Array> {
  const contentBytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const chunkSize = contentBytes + (contentBytes >> 7) + chunkBytesMin;
  const compressor = createZstdCompress({ params, chunkSize, pledgedSrcSize: contentBytes });
  for (const part of parts) compressor.write(part);
  compressor.end();
  const pieces: Buffer[] = [];
  for await (const piece of compressor) pieces.push(piece as Buffer);
  return inOnePiece(pieces);
}

/** Pieces of the same chunk follow each other in its memory. */
function inOnePiece(pieces: readonly Buffer[]): Uint8Array {
  const [first] = pieces;
  const bytes = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const isWhole = first !== undefined && pieces.every(({ buffer }) => buffer === first.buffer) && pieces.at(-1)!.byteOffset + pieces.at(-1)!.byteLength === first.byteOffset + bytes;
  return isWhole ? new Uint8Array(first.buffer, first.byteOffset, bytes) : Buffer.concat(pieces);
}

/**
 * The reverse; rejects rather than produce more than `bytesMax`. The result lies in memory that `memory` gives, at least `bytesMax` of it: a large one
 * is copied there from small chunks, for fresh memory of its size costs several times as much as all the rest where page faults are dear.
 */
export async function decompressZstd(stored: Uint8Array, { bytesMax, memory }: { readonly bytesMax: number; readonly memory?: ((bytes: number) => ArrayBufferLike) | undefined }): Promise<Uint8Array> {
  const takeMemory = memory ?? ((bytes: number) => new ArrayBuffer(bytes));
  return atOnce.run(() => (bytesMax > pieceBytes ? decompressInto(Buffer.from(takeMemory(bytesMax), 0, bytesMax), stored) : decompress(stored, { maxOutputLength: Math.max(1, bytesMax), chunkSize: Math.max(chunkBytesMin, bytesMax) })));
}

async function decompressInto(into: Buffer, stored: Uint8Array): Promise<Uint8Array> {
  const decompressor = createZstdDecompress({ chunkSize: pieceBytes });
  decompressor.end(stored);
  let bytes = 0;
  for await (const piece of decompressor) {
    const { byteLength } = piece as Buffer;
    if (bytes + byteLength > into.byteLength) throw new RangeError(`the content has more than ${into.byteLength} bytes`);
    bytes += (piece as Buffer).copy(into, bytes);
  }
  return into.subarray(0, bytes);
}

/** Asks the largest part, from the middle of each third. The others are the entry table of a change set, which always shrinks, and ends of its data. */
function isWorthwhile(parts: readonly Uint8Array[]): boolean {
  const content = parts.reduce((largest, part) => (part.byteLength > largest.byteLength ? part : largest), new Uint8Array(0));
  if (content.byteLength <= sampleBytes * sampleCount) return true;
  const stride = Math.floor(content.byteLength / sampleCount);
  let smallerBytes = 0;
  for (let sample = 0; sample < sampleCount; sample++) {
    const start = sample * stride + ((stride - sampleBytes) >> 1);
    const part = content.subarray(start, start + sampleBytes);
    smallerBytes += zstdCompressSync(part, { params, chunkSize: 2 * sampleBytes }).byteLength;
  }
  return smallerBytes < worthwhileRatio * sampleBytes * sampleCount;
}
