// SPDX-License-Identifier: Apache-2.0
// Runs the requests of one connection against its device and answers them. Source: NBD protocol, "Transmission phase", "Command types".
// Invariants: a request is checked before the device sees it; no promise is made for a device that answers at once; every request that
// reached the device is answered or the connection is gone.
import type { BlockDevice, Completion, Extent } from '../block-device';
import { type Cookie, encodeStatusChunk } from '../codec/reply-codec';
import type { RequestHeader } from '../codec/request-codec';
import { command, commandFlag } from '../protocol';
import type { BufferPool } from './buffer-pool';
import type { ByteBudget } from './byte-budget';
import { checkRequest, type RequestLimits } from './check-request';
import { errnoOf, failureCodeOf } from './errno-of';
import { type Agreement, allocationContextId } from './negotiation';
import { ReadDispatcher } from './read-dispatcher';
import type { ReplyWriter } from './reply-writer';
import type { PayloadPlan, RequestSink } from './request-receiver';
import { statusExtents } from './status-extents';

export interface DispatcherParts {
  readonly device: BlockDevice;
  readonly agreement: Agreement;
  readonly writer: ReplyWriter;
  readonly pool: BufferPool;
  readonly payloadBudget: ByteBudget;
  readonly replyBudget: ByteBudget;
  /** Requests of this connection that the device may hold at once. */
  readonly pendingMax: number;
  /** Unread replies of this connection after which no further request is taken, in bytes. */
  readonly queuedBytesMax: number;
  /** What kept the receiver from going on may be over. */
  readonly wake: () => void;
  readonly disconnect: () => void;
  readonly violation: (reason: string) => void;
  /** A failure that is no operating failure but a fault of the device's code. The request is answered with EIO. */
  readonly fault: (error: unknown) => void;
}

const plainWrite = Object.freeze({ fua: false });
const fuaWrite = Object.freeze({ fua: true });

export class RequestDispatcher implements RequestSink {
  #pending = 0;
  readonly #reads: ReadDispatcher;
  readonly #limits: RequestLimits;

  constructor(private readonly parts: DispatcherParts) {
    const { device, agreement, writer, pool, replyBudget } = parts;
    const { structuredReplies, allocation, export: offered } = agreement;
    this.#limits = { sizeBytes: offered.sizeBytes, readOnly: device.readOnly, blockSizes: offered.blockSizes, structuredReplies, allocation };
    this.#reads = new ReadDispatcher({
      device,
      structuredReplies,
      writer,
      pool,
      replyBudget,
      errnoOf: (error) => this.#errno(error),
      hold: (held, answer) => this.#hold(held, answer),
    });
  }

  /** Requests that the device holds. */
  get pending(): number {
    return this.#pending;
  }

  ready(header: Readonly<RequestHeader>): boolean {
    const { writer, replyBudget, pendingMax, queuedBytesMax, wake } = this.parts;
    if (this.#pending >= pendingMax || writer.queuedBytes > queuedBytesMax) return false;
    if (header.type !== command.read || replyBudget.fits(header.length)) return true;
    replyBudget.wait(wake);
    return false;
  }

  payloadPlan(header: Readonly<RequestHeader>): PayloadPlan {
    if (header.type !== command.write) return 'none';
    if (header.length > this.parts.agreement.export.blockSizes.maximum) return 'violation';
    return this.#check(header) === 0 ? 'take' : 'skip';
  }

  takeBuffer(bytes: number): Buffer | undefined {
    const { payloadBudget, pool, wake } = this.parts;
    if (!payloadBudget.fits(bytes)) {
      payloadBudget.wait(wake);
      return undefined;
    }
    payloadBudget.take(bytes);
    return pool.take(bytes);
  }

  giveBuffer(buffer: Buffer, bytes: number): void {
    this.parts.pool.give(buffer);
    this.parts.payloadBudget.release(bytes);
  }

  skipped(header: Readonly<RequestHeader>): void {
    this.#simple(header, this.#check(header));
  }

  violation(reason: string): void {
    this.parts.violation(reason);
  }

  request(header: Readonly<RequestHeader>, parts: readonly Uint8Array[]): void {
    if (header.type === command.write) return this.#change(header, parts);
    const error = this.#check(header);
    if (header.type === command.read) return error === 0 ? this.#reads.read(header) : this.#reads.failed(header, error);
    if (header.type === command.disconnect) return this.parts.disconnect();
    if (error !== 0) return this.#simple(header, error);
    return header.type === command.blockStatus ? this.#blockStatus(header) : this.#change(header, parts);
  }

  #check(header: Readonly<RequestHeader>): number {
    return checkRequest(header, this.#limits);
  }

  /** Everything that is answered with a simple reply without data. */
  #change(header: Readonly<RequestHeader>, parts: readonly Uint8Array[]): void {
    let held: Completion;
    try {
      held = header.length === 0 && header.type !== command.flush ? undefined : this.#callDevice(header, parts);
    } catch (error) {
      return this.#simple(header, this.#errno(error));
    }
    if (held === undefined) return this.#simple(header, 0);
    const cookie = { cookieHigh: header.cookieHigh, cookieLow: header.cookieLow };
    return this.#hold(held, (errno) => this.#simple(cookie, errno));
  }

  #callDevice(header: Readonly<RequestHeader>, parts: readonly Uint8Array[]): Completion {
    const { device } = this.parts;
    const { type, flags, offset, length } = header;
    const durability = (flags & commandFlag.fua) !== 0 ? fuaWrite : plainWrite;
    if (type === command.write) return device.write(offset, parts, durability);
    if (type === command.flush) return device.flush();
    if (type === command.trim) return device.trim(offset, length, durability);
    if (type === command.cache) return device.cache?.(offset, length);
    return device.zero(offset, length, { fua: durability.fua, mayPunch: (flags & commandFlag.noHole) === 0, fast: (flags & commandFlag.fastZero) !== 0 });
  }

  #hold(held: Promise<void>, answer: (errno: number) => void): void {
    this.#pending += 1;
    const settled = (errno: number): void => {
      this.#pending -= 1;
      answer(errno);
      this.parts.writer.flushSoon();
      this.parts.wake();
    };
    held.then(
      () => settled(0),
      (error: unknown) => settled(this.#errno(error)),
    );
  }

  #blockStatus(header: Readonly<RequestHeader>): void {
    const { device, writer } = this.parts;
    const { cookieHigh, cookieLow, offset, length } = header;
    const kept = { cookieHigh, cookieLow, length, reqOne: (header.flags & commandFlag.reqOne) !== 0 };
    const send = (extents: readonly Extent[]): void => {
      writer.copy(encodeStatusChunk(kept, { contextId: allocationContextId, extents: statusExtents(extents, kept) }));
    };
    try {
      const extents = device.allocation?.(offset, length) ?? [];
      if (!('then' in extents)) return send(extents);
      return this.#hold(extents.then(send), (errno) => {
        if (errno !== 0) this.#simple(kept, errno);
      });
    } catch (error) {
      return this.#simple(kept, this.#errno(error));
    }
  }

  #simple(cookie: Cookie, errno: number): void {
    this.parts.writer.simple(errno, cookie.cookieHigh, cookie.cookieLow);
  }

  #errno(error: unknown): number {
    if (failureCodeOf(error) === undefined) this.parts.fault(error);
    return errnoOf(error);
  }
}
