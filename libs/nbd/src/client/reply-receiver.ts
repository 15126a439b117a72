// SPDX-License-Identifier: Apache-2.0
// Cuts the server's byte stream into replies and completes requests, without sockets. Data of reads goes straight to the caller's memory.
// Invariants: a request completes once; a read succeeds only when exactly its bytes came; anything else breaks the connection.
import { chunkHeaderBytes, decodeErrorPayload, decodeHolePayload, decodeReplyHeader, decodeStatusPayload, replyHeaderBytes, type ReplyHeader, type StatusExtent } from '../codec/reply-codec';
import { readUint64 } from '../codec/request-codec';
import { chunkFlag, chunkType } from '../protocol';
import { protocolBroken, requestFailed } from './client-errors';

/** A request that waits for its reply. */
export interface PendingRequest {
  readonly operation: string;
  readonly offset: number;
  readonly length: number;
  /** Set for reads: `length` bytes. */
  readonly into?: Uint8Array;
  /** Extents of block status by context number. */
  readonly status?: Map<number, StatusExtent[]>;
  receivedBytes: number;
  failure?: Error;
  readonly done: (failure: Error | undefined) => void;
}

const chunkPayloadBytesMax = 1024 * 1024;
const directReadBytesMin = 32 * 1024;

type State = 'header' | 'data-offset' | 'data' | 'payload';

export class ReplyReceiver {
  readonly #pending = new Map<number, PendingRequest>();
  #gathered: Buffer = Buffer.alloc(chunkHeaderBytes);
  #fill = 0;
  #state: State = 'header';
  #header: ReplyHeader | undefined;
  #request: PendingRequest | undefined;
  #target: Uint8Array = new Uint8Array(0);
  #targetFill = 0;

  constructor(private readonly structuredReplies: boolean) {}

  get pending(): number {
    return this.#pending.size;
  }

  /** `cookie` is a number of 32 bits that is not in use. */
  add(cookie: number, request: PendingRequest): void {
    this.#pending.set(cookie, request);
  }

  has(cookie: number): boolean {
    return this.#pending.has(cookie);
  }

  /** Completes everything with the failure. */
  failAll(failure: Error): void {
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const request of waiting) request.done(failure);
  }

  /** Where the socket should put the next bytes: the rest of a read's memory, or `shared`. */
  nextBuffer(shared: Uint8Array): Uint8Array {
    if (this.#state !== 'data' || this.#target.length - this.#targetFill < directReadBytesMin) return shared;
    return this.#target.subarray(this.#targetFill);
  }

  /** Takes `length` bytes. Throws OperationError `nbd/protocol` when they are not what the protocol allows. */
  receive(bytes: Uint8Array, length: number): void {
    if (this.#state === 'data' && this.#target.length > 0 && bytes.buffer === this.#target.buffer) {
      this.#targetFill += length;
      return this.#dataReceived();
    }
    let at = 0;
    while (at < length) at = this.#state === 'data' ? this.#takeData(bytes, at, length) : this.#gather(bytes, at, length);
    return undefined;
  }

  #takeData(bytes: Uint8Array, at: number, end: number): number {
    const count = Math.min(end - at, this.#target.length - this.#targetFill);
    this.#target.set(bytes.subarray(at, at + count), this.#targetFill);
    this.#targetFill += count;
    this.#dataReceived();
    return at + count;
  }

  #dataReceived(): void {
    if (this.#targetFill < this.#target.length) return;
    this.#target = new Uint8Array(0);
    this.#endChunk();
  }

  /** Collects a header, an offset or a small payload until it is whole. */
  #gather(bytes: Uint8Array, at: number, end: number): number {
    const count = Math.min(end - at, this.#wanted() - this.#fill);
    this.#gathered.set(bytes.subarray(at, at + count), this.#fill);
    this.#fill += count;
    if (this.#fill < this.#wanted()) return at + count;
    const whole = this.#gathered.subarray(0, this.#fill);
    this.#fill = 0;
    if (this.#state === 'header') this.#headerReceived(whole);
    else if (this.#state === 'data-offset') this.#dataOffsetReceived(whole);
    else this.#payloadReceived(whole);
    return at + count;
  }

  #wanted(): number {
    if (this.#state === 'data-offset') return 8;
    if (this.#state === 'payload') return (this.#header as ReplyHeader & { kind: 'chunk' }).length;
    if (this.#fill < 4) return 4;
    const bytes = replyHeaderBytes(this.#gathered, 0);
    if (bytes === undefined) throw protocolBroken('The server sent something that is no NBD reply.');
    return bytes;
  }

  #headerReceived(bytes: Buffer): void {
    if (bytes.length === 4) {
      this.#fill = 4;
      this.#wanted();
      return;
    }
    const header = decodeReplyHeader(bytes, 0);
    const request = header && header.cookieHigh === 0 ? this.#pending.get(header.cookieLow) : undefined;
    if (!header || !request) throw protocolBroken('The server answered a request that was not made.');
    this.#header = header;
    this.#request = request;
    if (header.kind === 'simple') return this.#simpleReply(header.error, request);
    if (!this.structuredReplies) throw protocolBroken('The server sent a structured reply that was not agreed.');
    return this.#chunkHeader(header);
  }

  #simpleReply(errno: number, request: PendingRequest): void {
    if (errno !== 0) {
      request.failure ??= requestFailed(request.operation, { errno, offset: request.offset, length: request.length });
      return this.#complete();
    }
    if (!request.into || request.length === 0) return this.#complete();
    if (this.structuredReplies) throw protocolBroken('The server answered a read with a simple reply.');
    return this.#beginData({ offset: request.offset, length: request.length });
  }

  #chunkHeader(header: ReplyHeader & { kind: 'chunk' }): void {
    if (header.type === chunkType.offsetData) {
      if (header.length < 9) throw protocolBroken('The server sent an empty piece of data.');
      this.#state = 'data-offset';
      return;
    }
    if (header.length > chunkPayloadBytesMax) throw protocolBroken('The server sent a reply that is too long.');
    if (header.length > this.#gathered.length) this.#gathered = Buffer.alloc(header.length);
    this.#state = 'payload';
    if (header.length === 0) this.#payloadReceived(Buffer.alloc(0));
  }

  #dataOffsetReceived(bytes: Buffer): void {
    const header = this.#header as ReplyHeader & { kind: 'chunk' };
    this.#beginData({ offset: readUint64(bytes, 0), length: header.length - 8 });
  }

  #beginData(range: { offset: number; length: number }): void {
    this.#target = this.#rangeOfRead(range);
    this.#targetFill = 0;
    this.#state = 'data';
  }

  /** The part of the read's memory for a range of the disk, which is counted as received. */
  #rangeOfRead(range: { offset: number; length: number }): Uint8Array {
    const request = this.#request as PendingRequest;
    const start = range.offset - request.offset;
    if (!request.into || !(start >= 0) || start + range.length > request.length) throw protocolBroken('The server sent data outside of the range that was asked for.');
    request.receivedBytes += range.length;
    return request.into.subarray(start, start + range.length);
  }

  #payloadReceived(payload: Buffer): void {
    const header = this.#header as ReplyHeader & { kind: 'chunk' };
    const request = this.#request as PendingRequest;
    if (header.type === chunkType.offsetHole) {
      const hole = decodeHolePayload(payload);
      if (!hole) throw protocolBroken('The server sent a malformed hole.');
      this.#rangeOfRead(hole).fill(0);
    } else if (header.type === chunkType.blockStatus) {
      const status = decodeStatusPayload(payload);
      if (!status || !request.status) throw protocolBroken('The server sent a malformed block status.');
      request.status.set(status.contextId, status.extents);
    } else if (header.type >= chunkType.error) {
      const error = decodeErrorPayload(payload);
      if (!error) throw protocolBroken('The server sent a malformed error.');
      request.failure ??= requestFailed(request.operation, { errno: error.error, offset: request.offset, length: request.length });
    } else if (header.type !== chunkType.none) throw protocolBroken(`The server sent an unknown kind of reply (${header.type}).`);
    this.#endChunk();
  }

  #endChunk(): void {
    const header = this.#header as ReplyHeader;
    this.#state = 'header';
    if (header.kind === 'simple' || (header.flags & chunkFlag.done) !== 0) this.#complete();
  }

  #complete(): void {
    const header = this.#header as ReplyHeader;
    const request = this.#request as PendingRequest;
    this.#state = 'header';
    this.#pending.delete(header.cookieLow);
    if (!request.failure && request.into && request.receivedBytes !== request.length) {
      request.done(protocolBroken('The server did not send all bytes of a read.'));
      throw protocolBroken('The server did not send all bytes of a read.');
    }
    request.done(request.failure);
  }
}
