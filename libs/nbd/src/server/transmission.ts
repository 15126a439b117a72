// SPDX-License-Identifier: Apache-2.0
// Transmission phase of one connection: joins socket, receiver, dispatcher and writer. Invariants: nothing is read while requests are
// parked; the payload buffer is freed only after the socket is closed, because the kernel may still fill it; `idle` means that neither
// the device nor the socket holds anything of this connection.
import { Socket } from 'node:net';
import type { BlockDevice } from '../block-device';
import type { BufferPool } from './buffer-pool';
import type { ByteBudget } from './byte-budget';
import { descriptorOf, directSocket } from '@secondsite/direct-socket';
import type { Agreement } from './negotiation';
import { ReplyWriter } from './reply-writer';
import { RequestDispatcher } from './request-dispatcher';
import { RequestReceiver } from './request-receiver';

export interface TransmissionLimits {
  readonly pendingRequestsMax: number;
  readonly queuedReplyBytesMax: number;
  readonly gatheredRepliesMax: number;
}

export interface TransmissionParts {
  readonly socket: Socket;
  readonly agreement: Agreement;
  readonly device: BlockDevice;
  readonly limits: TransmissionLimits;
  readonly pool: BufferPool;
  readonly payloadBudget: ByteBudget;
  readonly replyBudget: ByteBudget;
  /** Receive memory that all connections of this thread share: each read is used up before the next begins. */
  readonly receiveBuffer: Buffer;
  readonly now: () => number;
  readonly fault: (error: unknown) => void;
  /** Called once, when the socket is closed and the device holds no request of it. */
  readonly closed: (reason: string) => void;
}

export class Transmission {
  readonly #socket: Socket;
  readonly #writer: ReplyWriter;
  readonly #dispatcher: RequestDispatcher;
  /** Undefined only while the constructor runs; a new Socket asks for memory at once. */
  #receiver: RequestReceiver | undefined;
  #reason = 'the client closed the connection';
  #finishing = false;
  #socketClosed = false;
  #reportedClosed = false;
  #wakeScheduled = false;
  #lastProgress: number;
  readonly #wake = (): void => this.#scheduleWake();

  constructor(private readonly parts: TransmissionParts) {
    const { agreement, device, limits, pool, payloadBudget, replyBudget } = parts;
    this.#lastProgress = parts.now();
    const direct = parts.socket.constructor === Socket ? directSocket(parts.socket, this.#readTarget()) : undefined;
    this.#socket = direct ?? parts.socket;
    this.#writer = new ReplyWriter({
      socket: this.#socket,
      descriptor: () => (direct ? descriptorOf(direct) : -1),
      budget: replyBudget,
      gatheredMax: limits.gatheredRepliesMax,
      onSent: () => this.#sent(),
    });
    this.#dispatcher = new RequestDispatcher({
      device,
      agreement,
      writer: this.#writer,
      pool,
      payloadBudget,
      replyBudget,
      pendingMax: limits.pendingRequestsMax,
      queuedBytesMax: limits.queuedReplyBytesMax,
      wake: this.#wake,
      disconnect: () => this.finish('the client disconnected'),
      violation: (reason) => this.destroy(reason),
      fault: parts.fault,
    });
    this.#receiver = new RequestReceiver(this.#dispatcher);
    this.#listen(direct !== undefined);
  }

  /** Milliseconds without progress although the peer owes us bytes or does not read ours; 0 when all is well. */
  stalledMillis(now: number): number {
    const waitsForPeer = (this.midRequest && !this.#receiver?.parked) || this.#writer.queuedBytes > 0;
    return waitsForPeer ? now - this.#lastProgress : 0;
  }

  /** Unread replies of this peer keep others waiting. */
  get holdsReplyBudget(): boolean {
    return this.#writer.queuedBytes > 0 && this.parts.replyBudget.waiters > 0;
  }

  get midRequest(): boolean {
    return this.#receiver?.midRequest ?? false;
  }

  /** Takes no further request; closes once everything accepted has been answered. */
  finish(reason: string): void {
    if (this.#finishing) return;
    this.#finishing = true;
    this.#reason = reason;
    this.#socket.pause();
    this.#endWhenAnswered();
  }

  destroy(reason: string): void {
    if (!this.#finishing) this.#reason = reason;
    this.#finishing = true;
    this.#socket.destroy();
  }

  #readTarget(): { nextBuffer(): Uint8Array; received(bytes: Uint8Array, length: number): boolean } {
    const shared = this.parts.receiveBuffer;
    return {
      nextBuffer: () => this.#receiver?.nextBuffer(shared) ?? shared,
      received: (bytes, length) => this.#received(bytes, length),
    };
  }

  #listen(direct: boolean): void {
    const socket = this.#socket;
    socket.on('error', (error) => {
      if (!this.#finishing) this.#reason = error.message;
    });
    socket.on('end', () => this.finish('the client closed the connection'));
    socket.on('close', () => {
      this.#socketClosed = true;
      this.#finishing = true;
      this.#receiver?.stop();
      this.#reportWhenIdle();
    });
    if (socket instanceof Socket) socket.setNoDelay(true);
    if (!direct) socket.on('data', (chunk: Buffer) => this.#receivedByEvent(chunk));
    const { rest } = this.parts.agreement;
    // Bytes that came with the last option go first; the socket reads only afterwards.
    if (rest.length === 0 || this.#received(rest, rest.length)) socket.resume();
  }

  #receivedByEvent(chunk: Buffer): void {
    if (!this.#received(chunk, chunk.length)) this.#socket.pause();
  }

  #received(bytes: Uint8Array, length: number): boolean {
    this.#lastProgress = this.parts.now();
    const goOn = this.#receiver?.receive(bytes, length);
    this.#writer.flush();
    return goOn === true && !this.#finishing;
  }

  #sent(): void {
    this.#lastProgress = this.parts.now();
    this.#scheduleWake();
  }

  #scheduleWake(): void {
    if (this.#wakeScheduled || (!this.#finishing && !this.#receiver?.parked)) return;
    this.#wakeScheduled = true;
    queueMicrotask(() => {
      this.#wakeScheduled = false;
      this.#goOn();
    });
  }

  #goOn(): void {
    if (this.#socketClosed) return this.#reportWhenIdle();
    if (this.#finishing) return this.#endWhenAnswered();
    if (!this.#receiver?.parked) return undefined;
    this.#lastProgress = this.parts.now();
    const goOn = this.#receiver?.resume();
    this.#writer.flush();
    if (goOn && !this.#finishing) this.#socket.resume();
    return undefined;
  }

  #endWhenAnswered(): void {
    if (this.#dispatcher.pending > 0 || this.#socket.destroyed) return;
    this.#writer.flush();
    if (this.#writer.queuedBytes > 0) return;
    this.#socket.end(() => this.#socket.destroy());
  }

  #reportWhenIdle(): void {
    if (this.#dispatcher.pending > 0 || this.#reportedClosed) return;
    this.#reportedClosed = true;
    this.parts.payloadBudget.forget(this.#wake);
    this.parts.replyBudget.forget(this.#wake);
    this.parts.closed(this.#reason);
  }
}
