// SPDX-License-Identifier: Apache-2.0
// Sends replies of one connection in the transmission phase. Small replies are gathered and sent with one system call straight to the
// socket (a stream write costs several times as much); what the kernel does not take at once goes through the socket's own queue, and
// while that queue is not empty everything does, so that order holds.
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { encodeSimpleReply, simpleReplyBytes } from '../codec/reply-codec';
import type { ByteBudget } from './byte-budget';
import { failureCodeOf } from './errno-of';

const arenaBytes = 64 * 1024;

export interface ReplyWriterParts {
  readonly socket: Socket;
  /** The descriptor to write to directly, asked for each time; -1: there is none (TLS, closed). */
  readonly descriptor: () => number;
  /** Counts what waits in sockets because peers do not read. */
  readonly budget: ByteBudget;
  /** Replies gathered before they are sent although more requests are at hand. */
  readonly gatheredMax: number;
  /** Something that waited has been sent. */
  readonly onSent: () => void;
}

export class ReplyWriter {
  #arena = Buffer.allocUnsafeSlow(arenaBytes);
  readonly #reply = { error: 0, cookieHigh: 0, cookieLow: 0 };
  #used = 0;
  #gathered = 0;
  #queuedBytes = 0;
  #flushScheduled = false;

  constructor(private readonly parts: ReplyWriterParts) {}

  /** Bytes that wait because the peer does not read. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  simple(error: number, cookieHigh: number, cookieLow: number): void {
    if (this.#used + simpleReplyBytes > arenaBytes) this.flush();
    this.#reply.error = error;
    this.#reply.cookieHigh = cookieHigh;
    this.#reply.cookieLow = cookieLow;
    encodeSimpleReply(this.#arena, this.#used, this.#reply);
    this.#used += simpleReplyBytes;
    this.#added();
  }

  /** Room for a reply of up to 64 KiB, to be filled and committed before anything else is sent. */
  reserve(bytes: number): Uint8Array {
    if (this.#used + bytes > arenaBytes) this.flush();
    return new Uint8Array(this.#arena.buffer, this.#arena.byteOffset + this.#used, bytes);
  }

  commit(bytes: number): void {
    this.#used += bytes;
    this.#added();
  }

  /** Leaves the memory of the last reservation to whoever has it. */
  abandonReservation(): void {
    this.flush();
    this.#arena = Buffer.allocUnsafeSlow(arenaBytes);
  }

  /** Copies a small whole reply. */
  copy(bytes: Uint8Array): void {
    if (bytes.length > arenaBytes) return this.owned(bytes, () => undefined);
    this.reserve(bytes.length).set(bytes);
    return this.commit(bytes.length);
  }

  /** Sends bytes that nobody changes until `done` is called; that is also when the connection is lost. */
  owned(bytes: Uint8Array, done: () => void): void {
    this.flush();
    const sent = this.#sendNow(bytes);
    if (sent === bytes.length) done();
    else this.#queue(bytes.subarray(sent), done);
  }

  /** Sends what is gathered. */
  flush(): void {
    if (this.#used === 0) return;
    const bytes = this.#arena.subarray(0, this.#used);
    this.#used = 0;
    this.#gathered = 0;
    const sent = this.#sendNow(bytes);
    if (sent < bytes.length) this.#queue(Buffer.from(bytes.subarray(sent)), () => undefined);
  }

  /** Sends what is gathered once the work at hand (all promises that have settled) is done. */
  flushSoon(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.flush();
    });
  }

  #added(): void {
    this.#gathered += 1;
    if (this.#gathered >= this.parts.gatheredMax) this.flush();
  }

  /** How many bytes the kernel took. */
  #sendNow(bytes: Uint8Array): number {
    if (this.#queuedBytes > 0) return 0;
    const descriptor = this.parts.descriptor();
    if (descriptor < 0) return 0;
    try {
      return writeSync(descriptor, bytes, 0, bytes.length);
    } catch (error) {
      // EAGAIN: the kernel's buffer is full. Any other failure comes back from the socket itself when it writes the same bytes.
      if (failureCodeOf(error) !== undefined) return 0;
      throw error;
    }
  }

  #queue(bytes: Uint8Array, done: () => void): void {
    const { socket, budget } = this.parts;
    if (socket.destroyed) return done();
    this.#queuedBytes += bytes.length;
    budget.take(bytes.length);
    socket.write(bytes, () => {
      this.#queuedBytes -= bytes.length;
      budget.release(bytes.length);
      done();
      this.parts.onSent();
    });
  }
}
