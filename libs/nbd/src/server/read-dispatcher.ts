// SPDX-License-Identifier: Apache-2.0
// Answers READ. Small reads of a device that answers at once go straight into the gathered replies; all others get a pooled buffer that
// goes back when device and socket are done with it. Large structured reads tell holes instead of sending zeros.
import type { BlockDevice, Completion, Extent } from '../block-device';
import { chunkHeaderBytes, type Cookie, encodeChunkHeader, encodeErrorChunk, encodeHoleChunk, encodeSimpleReply, simpleReplyBytes } from '../codec/reply-codec';
import { type RequestHeader, writeUint64 } from '../codec/request-codec';
import { chunkFlag, chunkType, commandFlag } from '../protocol';
import type { BufferPool } from './buffer-pool';
import type { ByteBudget } from './byte-budget';
import type { ReplyWriter } from './reply-writer';

export interface ReadDispatcherParts {
  readonly device: BlockDevice;
  readonly structuredReplies: boolean;
  readonly writer: ReplyWriter;
  readonly pool: BufferPool;
  readonly replyBudget: ByteBudget;
  readonly errnoOf: (error: unknown) => number;
  /** Counts the request as pending until the promise settles, then answers; errno 0 is success. */
  readonly hold: (held: Promise<void>, answer: (errno: number) => void) => void;
}

type ReadRange = Readonly<Pick<RequestHeader, 'cookieHigh' | 'cookieLow' | 'offset' | 'length'>>;

interface Run {
  readonly offset: number;
  length: number;
  readonly zero: boolean;
}

const sparseReadBytesMin = 64 * 1024;
const smallReadBytesMax = 32 * 1024;
const sparseExtentsMax = 64;

export class ReadDispatcher {
  /** The device has answered a read with a promise: give each read a buffer of its own. */
  #readsAreHeld = false;
  readonly #headerBytes: number;

  constructor(private readonly parts: ReadDispatcherParts) {
    this.#headerBytes = parts.structuredReplies ? chunkHeaderBytes + 8 : simpleReplyBytes;
  }

  /** Answers a request that has been checked; `header` is used during the call only. */
  read(header: Readonly<RequestHeader>): void {
    const { structuredReplies, device } = this.parts;
    if (header.length === 0) return this.#empty(header);
    const maySplit = structuredReplies && device.allocation && (header.flags & commandFlag.df) === 0;
    if (maySplit && header.length >= sparseReadBytesMin) return this.#sparse({ ...header });
    return header.length <= smallReadBytesMax && !this.#readsAreHeld ? this.#small(header) : this.#owned(header);
  }

  failed(cookie: Cookie, errno: number): void {
    if (this.parts.structuredReplies) this.parts.writer.copy(encodeErrorChunk(cookie, errno));
    else this.parts.writer.simple(errno, cookie.cookieHigh, cookie.cookieLow);
  }

  #empty(header: Readonly<RequestHeader>): void {
    const { cookieHigh, cookieLow } = header;
    const { writer, structuredReplies } = this.parts;
    if (!structuredReplies) return writer.simple(0, cookieHigh, cookieLow);
    encodeChunkHeader(writer.reserve(chunkHeaderBytes), 0, { flags: chunkFlag.done, type: chunkType.none, cookieHigh, cookieLow, length: 0 });
    return writer.commit(chunkHeaderBytes);
  }

  #small(header: Readonly<RequestHeader>): void {
    const { writer, device } = this.parts;
    const bytes = this.#headerBytes + header.length;
    const reply = writer.reserve(bytes);
    let held: Completion;
    try {
      held = device.read(new Uint8Array(reply.buffer, reply.byteOffset + this.#headerBytes, header.length), header.offset);
    } catch (error) {
      return this.failed(header, this.parts.errnoOf(error));
    }
    if (held === undefined) {
      this.#encodeHeader(reply, header);
      return writer.commit(bytes);
    }
    this.#readsAreHeld = true;
    writer.abandonReservation();
    const range = rangeOf(header);
    return this.parts.hold(held, (errno) => {
      if (errno !== 0) return this.failed(range, errno);
      this.#encodeHeader(reply, range);
      return writer.copy(reply);
    });
  }

  #owned(header: Readonly<RequestHeader>): void {
    const range = rangeOf(header);
    const bytes = this.#headerBytes + range.length;
    const buffer = this.#take(bytes);
    let held: Completion;
    try {
      held = this.parts.device.read(new Uint8Array(buffer.buffer, buffer.byteOffset + this.#headerBytes, range.length), range.offset);
    } catch (error) {
      return this.#ownedDone({ range, buffer, bytes }, this.parts.errnoOf(error));
    }
    if (held === undefined) return this.#ownedDone({ range, buffer, bytes }, 0);
    this.#readsAreHeld = true;
    return this.parts.hold(held, (errno) => this.#ownedDone({ range, buffer, bytes }, errno));
  }

  #ownedDone(reply: { range: ReadRange; buffer: Buffer; bytes: number }, errno: number): void {
    const { range, buffer, bytes } = reply;
    if (errno === 0 && range.length > smallReadBytesMax) {
      this.#encodeHeader(buffer, range);
      return this.parts.writer.owned(buffer.subarray(0, bytes), () => this.#give(buffer, bytes));
    }
    if (errno === 0) {
      this.#encodeHeader(buffer, range);
      this.parts.writer.copy(buffer.subarray(0, bytes));
    } else this.failed(range, errno);
    return this.#give(buffer, bytes);
  }

  #sparse(header: RequestHeader): void {
    const { device, hold, errnoOf } = this.parts;
    const answer = (errno: number): void => {
      if (errno !== 0) this.failed(header, errno);
    };
    let extents: readonly Extent[] | Promise<readonly Extent[]>;
    try {
      extents = device.allocation?.(header.offset, header.length) ?? [];
    } catch (error) {
      return answer(errnoOf(error));
    }
    if ('then' in extents) return hold(this.#readRuns(header, extents), answer);
    if (!extents.some((extent) => extent.zero)) return this.#owned(header);
    return hold(this.#readRuns(header, extents), answer);
  }

  /** Reads all data, then sends the chunks; nothing is sent when a read fails. */
  async #readRuns(range: ReadRange, extents: readonly Extent[] | Promise<readonly Extent[]>): Promise<void> {
    const runs = zeroRuns(await extents, range);
    const bytes = runs.reduce((sum, run) => sum + (run.zero ? 0 : chunkHeaderBytes + 8 + run.length), 0);
    const buffer = this.#take(bytes);
    try {
      await this.#readInto(runs, { range, buffer });
    } catch (error) {
      this.#give(buffer, bytes);
      throw error;
    }
    this.#sendRuns(runs, { range, buffer, bytes });
  }

  /** Every read is waited for even when one fails, because all of them write to the same buffer. */
  async #readInto(runs: readonly Run[], reply: { range: ReadRange; buffer: Buffer }): Promise<void> {
    const { cookieHigh, cookieLow } = reply.range;
    const reads: Completion[] = [];
    let at = 0;
    let failure: { readonly error: unknown } | undefined;
    for (const run of runs) {
      if (run.zero) continue;
      const flags = run === runs.at(-1) ? chunkFlag.done : 0;
      encodeChunkHeader(reply.buffer, at, { flags, type: chunkType.offsetData, cookieHigh, cookieLow, length: 8 + run.length });
      writeUint64(reply.buffer, at + chunkHeaderBytes, run.offset);
      const content = at + chunkHeaderBytes + 8;
      at = content + run.length;
      try {
        reads.push(this.parts.device.read(reply.buffer.subarray(content, at), run.offset));
      } catch (error) {
        failure = { error };
        break;
      }
    }
    const settled = await Promise.allSettled(reads.filter((read) => read !== undefined));
    for (const result of settled) if (result.status === 'rejected') failure ??= { error: result.reason };
    if (failure) throw failure.error;
  }

  #sendRuns(runs: readonly Run[], reply: { range: ReadRange; buffer: Buffer; bytes: number }): void {
    const { writer } = this.parts;
    let unsent = 1;
    const sent = (): void => {
      unsent -= 1;
      if (unsent === 0) this.#give(reply.buffer, reply.bytes);
    };
    let at = 0;
    for (const run of runs) {
      if (run.zero) {
        writer.copy(encodeHoleChunk(reply.range, { offset: run.offset, length: run.length, done: run === runs.at(-1) }));
        continue;
      }
      const end = at + chunkHeaderBytes + 8 + run.length;
      unsent += 1;
      writer.owned(reply.buffer.subarray(at, end), sent);
      at = end;
    }
    sent();
  }

  #encodeHeader(reply: Uint8Array, range: ReadRange): void {
    const { cookieHigh, cookieLow } = range;
    if (!this.parts.structuredReplies) return encodeSimpleReply(reply, 0, { error: 0, cookieHigh, cookieLow });
    encodeChunkHeader(reply, 0, { flags: chunkFlag.done, type: chunkType.offsetData, cookieHigh, cookieLow, length: 8 + range.length });
    return writeUint64(reply, chunkHeaderBytes, range.offset);
  }

  #take(bytes: number): Buffer {
    this.parts.replyBudget.take(bytes);
    return this.parts.pool.take(bytes);
  }

  #give(buffer: Buffer, bytes: number): void {
    this.parts.pool.give(buffer);
    this.parts.replyBudget.release(bytes);
  }
}

function rangeOf(header: Readonly<RequestHeader>): ReadRange {
  return { cookieHigh: header.cookieHigh, cookieLow: header.cookieLow, offset: header.offset, length: header.length };
}

/** Joins neighbours that are alike, cut or filled up with data to exactly the range; many small ones become one run of data. */
function zeroRuns(extents: readonly Extent[], range: ReadRange): Run[] {
  const runs: Run[] = [];
  const end = range.offset + range.length;
  let at = range.offset;
  const add = (length: number, zero: boolean): void => {
    const last = runs.at(-1);
    if (length === 0) return;
    if (last && last.zero === zero) last.length += length;
    else runs.push({ offset: at, length, zero });
    at += length;
  };
  for (const extent of extents) add(Math.min(extent.length, end - at), extent.zero);
  add(end - at, false);
  return runs.length > sparseExtentsMax ? [{ offset: range.offset, length: range.length, zero: false }] : runs;
}
