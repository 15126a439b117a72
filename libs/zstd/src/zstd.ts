// SPDX-License-Identifier: Apache-2.0
// zstd in the thread pool, for whole change sets.
import { giveBackPages, hugePagesSize, Idle, useHugePages } from '@secondsite/disk-files';
import { Turns } from './turns';
import { compressedBytesMax, Compressor, Decompressor } from './zstd-context';

/** Each takes a thread of the pool that syncs files as well, and memory for a whole change set: two at a time leave room for both. */
const atOnceMax = 2;
const atOnce = new Turns(atOnceMax);
const restMillis = 10_000;
const contexts = { max: atOnceMax, restMillis, close: (context: { close(): void }) => context.close() };
const compressors = new Idle<Compressor>(contexts);
const decompressors = new Idle<Decompressor>(contexts);
/** Results on their way, and those being made. */
const outputs = new Idle<ArrayBuffer>({ max: 2 * atOnceMax, restMillis, close: (memory) => giveBackPages(new Uint8Array(memory)) });
const ownOutputs = new WeakSet<ArrayBufferLike>();

/** Each part is a turn of the pool; more of them are joined first. */
const partsAtOnceMax = 8;
const sampleBytes = 16 * 1024;
const sampleCount = 3;
const worthwhileRatio = 0.95;
const largeBytesMin = 256 * 1024;

/**
 * zstd level 1 over the parts, as one frame; undefined when samples of them say that it would hardly get smaller (encrypted or
 * compressed content), which costs about 0.1 ms instead of 5 ms for 8 MiB. The parts must not change before it resolves. The result lies in memory
 * of its own, which may be given back with `recycleCompressed`.
 */
export function compressZstd(parts: readonly Uint8Array[]): Promise<Uint8Array | undefined> {
  if (parts.length <= partsAtOnceMax) return compressParts(parts);
  const content = Buffer.concat(parts);
  return compressParts([content]).finally(() => {
    if (content.byteLength >= largeBytesMin) giveBackPages(content);
  });
}

function compressParts(parts: readonly Uint8Array[]): Promise<Uint8Array | undefined> {
  return atOnce.run(async () => {
    const compressor = compressors.take() ?? new Compressor();
    try {
      if (!isWorthwhile(parts, compressor)) return undefined;
      const into = outputOf(compressedBytesMax(parts.reduce((sum, { byteLength }) => sum + byteLength, 0)));
      return into.subarray(0, await compressor.compress(parts, into));
    } finally {
      compressors.giveBack(compressor);
    }
  });
}

function outputOf(bytes: number): Uint8Array {
  if (bytes < largeBytesMin) return new Uint8Array(bytes);
  const memory = outputs.take(({ byteLength }) => byteLength >= bytes) ?? newOutput(bytes);
  ownOutputs.add(memory);
  return new Uint8Array(memory, 0, bytes);
}

/** Not shared: what is never given back because a connection may still read it would be collected late. */
function newOutput(bytes: number): ArrayBuffer {
  const memory = new ArrayBuffer(hugePagesSize(bytes));
  useHugePages(memory);
  return memory;
}

/** The memory of a result of `compressZstd`, which nobody reads any more, once. False: it is not from here. What is never given back is collected. */
export function recycleCompressed({ buffer }: Uint8Array): boolean {
  if (!ownOutputs.delete(buffer)) return false;
  outputs.giveBack(buffer as ArrayBuffer);
  return true;
}

/** The reverse; rejects rather than produce more than `bytesMax`. The result lies at the start of memory that `memory` gives, at least `bytesMax` of it. */
export function decompressZstd(stored: Uint8Array, { bytesMax, memory }: { readonly bytesMax: number; readonly memory?: ((bytes: number) => ArrayBufferLike) | undefined }): Promise<Uint8Array> {
  return atOnce.run(async () => {
    const decompressor = decompressors.take() ?? new Decompressor();
    try {
      const into = new Uint8Array(memory ? memory(bytesMax) : new ArrayBuffer(bytesMax), 0, bytesMax);
      return into.subarray(0, await decompressor.decompress(stored, into));
    } finally {
      decompressors.giveBack(decompressor);
    }
  });
}

/** Asks the largest part, from the middle of each third. The others are the entry table of a change set, which always shrinks, and ends of its data. */
function isWorthwhile(parts: readonly Uint8Array[], compressor: Compressor): boolean {
  const content = parts.reduce((largest, part) => (part.byteLength > largest.byteLength ? part : largest), new Uint8Array(0));
  if (content.byteLength <= sampleBytes * sampleCount) return true;
  const stride = Math.floor(content.byteLength / sampleCount);
  const into = new Uint8Array(compressedBytesMax(sampleBytes));
  let smallerBytes = 0;
  for (let sample = 0; sample < sampleCount; sample++) {
    const start = sample * stride + ((stride - sampleBytes) >> 1);
    const part = content.subarray(start, start + sampleBytes);
    smallerBytes += compressor.compressNow(part, into);
  }
  return smallerBytes < worthwhileRatio * sampleBytes * sampleCount;
}
