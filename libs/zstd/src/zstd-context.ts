// SPDX-License-Identifier: Apache-2.0
// The zstd that Node itself contains, by koffi, in the thread pool. Node's own interface makes a context and output buffers for every call: fresh memory for each
// byte, which costs several times as much as compressing where page faults are dear. Here a context lives in memory that is used again, and output
// goes where the caller says. Invariant: what a call under way reads or writes is reachable from `underWay`, so the collector cannot take it.
// Source: zstd.h of zstd 1.5, "Streaming compression" and "Static allocation".
import { giveBackPages, sharedMemory } from '@secondsite/disk-files';
import koffi from 'koffi';

const library = koffi.load(null);

/** Those that are errors are the largest numbers of size_t. */
type Result = number | bigint;
interface PoolCall {
  readonly async: (...values: unknown[]) => void;
}

const compressorBytes = library.func('size_t ZSTD_estimateCStreamSize(int level)') as (level: number) => number;
const initCompressor = library.func('void *ZSTD_initStaticCStream(void *memory, size_t bytes)') as (memory: Uint8Array, bytes: number) => unknown;
const setParameter = library.func('size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)') as (context: unknown, parameter: number, value: number) => Result;
const reset = library.func('size_t ZSTD_CCtx_reset(void *context, int what)') as (context: unknown, what: number) => Result;
const setContentBytes = library.func('size_t ZSTD_CCtx_setPledgedSrcSize(void *context, uint64_t bytes)') as (context: unknown, bytes: number) => Result;
const compressFrame = library.func('size_t ZSTD_compress2(void *context, void *to, size_t capacity, const void *from, size_t bytes)') as (...values: unknown[]) => Result;
const compressStream = library.func('size_t ZSTD_compressStream2(void *context, void *output, void *input, int directive)') as PoolCall;
const decompressorBytes = library.func('size_t ZSTD_estimateDCtxSize()') as () => number;
const initDecompressor = library.func('void *ZSTD_initStaticDCtx(void *memory, size_t bytes)') as (memory: Uint8Array, bytes: number) => unknown;
const decompressFrame = library.func('size_t ZSTD_decompressDCtx(void *context, void *to, size_t capacity, const void *from, size_t bytes)') as PoolCall;
const isError = library.func('unsigned int ZSTD_isError(size_t result)') as (result: Result) => number;
const errorName = library.func('const char *ZSTD_getErrorName(size_t result)') as (result: Result) => string;

/** Space that suffices for compressed content, whatever it is. */
export const compressedBytesMax = library.func('size_t ZSTD_compressBound(size_t bytes)') as (contentBytes: number) => number;

const level = 1;
const compressionLevel = 100;
const sessionOnly = 1;
const goOn = 0;
const endFrame = 2;

const underWay = new Set<object>();

/** In the thread pool. `held`: what the call reaches by address only. */
function inPool(call: PoolCall, held: readonly unknown[], ...values: readonly unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const all = [held, values];
    underWay.add(all);
    call.async(...values, (error: Error | null, result: Result) => {
      underWay.delete(all);
      const failure = error ?? failureOf(result);
      if (failure) reject(failure);
      else resolve(Number(result));
    });
  });
}

function failureOf(result: Result): Error | undefined {
  return isError(result) === 0 ? undefined : new RangeError(`zstd: ${errorName(result)}`);
}

function checked(result: Result): number {
  const failure = failureOf(result);
  if (failure) throw failure;
  return Number(result);
}

/** Memory as zstd streams from or to it: address, bytes, and how many of them are done. */
class Stream {
  readonly struct = Buffer.from(new ArrayBuffer(24));

  constructor(readonly memory: Uint8Array) {
    this.struct.writeBigUInt64LE(koffi.address(memory), 0);
    this.struct.writeBigUInt64LE(BigInt(memory.byteLength), 8);
  }

  get doneBytes(): number {
    return Number(this.struct.readBigUInt64LE(16));
  }
}

/** One call at a time. */
export class Compressor {
  readonly #memory = new Uint8Array(sharedMemory(compressorBytes(level)));
  readonly #context: unknown = initCompressor(this.#memory, this.#memory.byteLength);

  constructor() {
    checked(setParameter(this.#context, compressionLevel, level));
  }

  /** One frame of all parts, one after another, to the start of `into`, which needs room for `compressedBytesMax`. Resolves to its size. */
  async compress(parts: readonly Uint8Array[], into: Uint8Array): Promise<number> {
    checked(reset(this.#context, sessionOnly));
    checked(setContentBytes(this.#context, parts.reduce((sum, { byteLength }) => sum + byteLength, 0)));
    const output = new Stream(into);
    for (const part of parts.slice(0, -1)) {
      const input = new Stream(part);
      while (input.doneBytes < part.byteLength) await this.#stream(input, output, goOn);
    }
    const last = new Stream(parts.at(-1) ?? new Uint8Array(0));
    while ((await this.#stream(last, output, endFrame)) > 0);
    return output.doneBytes;
  }

  #stream(input: Stream, output: Stream, directive: number): Promise<number> {
    return inPool(compressStream, [this.#memory, input.memory, output.memory], this.#context, output.struct, input.struct, directive);
  }

  /** The same of one small part, at once. */
  compressNow(part: Uint8Array, into: Uint8Array): number {
    return checked(compressFrame(this.#context, into, into.byteLength, part, part.byteLength));
  }

  close(): void {
    giveBackPages(this.#memory);
  }
}

/** One call at a time. */
export class Decompressor {
  readonly #memory = new Uint8Array(sharedMemory(decompressorBytes()));
  readonly #context: unknown = initDecompressor(this.#memory, this.#memory.byteLength);

  /** To the start of `into`. Resolves to the size; rejects when there is no room for all of it, or it is damaged. */
  decompress(stored: Uint8Array, into: Uint8Array): Promise<number> {
    return inPool(decompressFrame, [this.#memory], this.#context, into, into.byteLength, stored, stored.byteLength);
  }

  close(): void {
    giveBackPages(this.#memory);
  }
}
