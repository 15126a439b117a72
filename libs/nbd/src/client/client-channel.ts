// SPDX-License-Identifier: Apache-2.0
// The socket of an NbdClient: runs the handshake, then hands every byte to the receiver. Plain sockets read straight into the memory the
// receiver names; TLS delivers by events. Invariant: with TLS wanted no byte that came before it is believed.
import { Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { isOperationError, OperationError } from '@secondsite/units';
import { connectionLost, protocolBroken } from './client-errors';
import type { HandshakeStep } from './handshake';
import type { NbdTarget } from './nbd-uri';
import type { ReplyReceiver } from './reply-receiver';

export interface NbdClientOptions {
  /** For `nbds://`: `ca`, `cert`, `key`, and `servername` when the certificate has another name than the address. The server is verified. */
  readonly tls?: ConnectionOptions;
  /** Default `['base:allocation']`. Others, e.g. `qemu:dirty-bitmap:NAME`, are read with `blockStatus`. */
  readonly metaContexts?: readonly string[];
  /** Milliseconds until the export is open; default 10 000. */
  readonly connectMillisMax?: number;
}

const receiveBufferBytes = 256 * 1024;

/** The socket of a client: plain with direct reads, or TLS. */
export class ClientChannel {
  readonly closed: Promise<Error | undefined>;
  #socket: Socket;
  #unread: Buffer = Buffer.alloc(0);
  #receiver: ReplyReceiver | undefined;
  #notify: () => void = () => undefined;
  #failure: Error | undefined;
  #isClosed = false;
  #reportClosed: (failure: Error | undefined) => void = () => undefined;
  readonly #receiveBuffer = Buffer.allocUnsafeSlow(receiveBufferBytes);

  constructor(
    private readonly target: NbdTarget,
    private readonly options: NbdClientOptions,
  ) {
    this.closed = new Promise((resolve) => {
      this.#reportClosed = resolve;
    });
    this.#socket = target.tls ? new Socket() : new Socket(this.#directReads());
    this.#listen(this.#socket);
    if ('unixSocket' in target.address) this.#socket.connect(target.address.unixSocket);
    else this.#socket.setNoDelay(true).setKeepAlive(true, 10_000).connect(target.address);
  }

  send(header: Uint8Array, data?: Uint8Array): void {
    if (!data) return void this.#socket.write(header);
    this.#socket.cork();
    this.#socket.write(header);
    this.#socket.write(data);
    return this.#socket.uncork();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  receiveWith(receiver: ReplyReceiver): void {
    this.#receiver = receiver;
    const early = this.#unread;
    this.#unread = Buffer.alloc(0);
    if (early.length > 0) this.#received(early, early.length);
  }

  /** Runs a handshake to its end within the time limit; the connection is dropped when it fails. */
  async run<Result>(steps: Generator<HandshakeStep, Result, Buffer>): Promise<Result> {
    const millis = this.options.connectMillisMax ?? 10_000;
    const timer = setTimeout(() => this.#fail(connectFailed(this.target, new Error(`no answer within ${millis} ms`))), millis);
    try {
      let step = steps.next(Buffer.alloc(0));
      while (!step.done) step = steps.next(await this.#perform(step.value));
      return step.value;
    } catch (error) {
      this.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #perform(step: HandshakeStep): Promise<Buffer> {
    if ('send' in step) this.#socket.write(step.send);
    else if ('startTls' in step) await this.#startTls();
    else return this.#take(step.need);
    return Buffer.alloc(0);
  }

  async #take(bytes: number): Promise<Buffer> {
    while (this.#unread.length < bytes) {
      if (this.#isClosed || this.#failure) throw connectFailed(this.target, this.#failure ?? new Error('the server closed the connection'));
      await new Promise<void>((resolve) => {
        this.#notify = resolve;
      });
    }
    const taken = this.#unread.subarray(0, bytes);
    this.#unread = this.#unread.subarray(bytes);
    return taken;
  }

  async #startTls(): Promise<void> {
    if (this.#unread.length > 0) throw protocolBroken('The server sent bytes before TLS began.');
    const plain = this.#socket;
    plain.removeAllListeners('data').removeAllListeners('close');
    const { address } = this.target;
    const servername = 'host' in address ? address.host : 'localhost';
    const isIp = /^[\d.]+$|:/.test(servername);
    const secure = connectTls({ ...(isIp ? { host: servername } : { servername }), rejectUnauthorized: true, ...this.options.tls, socket: plain });
    let secured = false;
    this.#socket = secure;
    this.#listen(secure);
    secure.once('secureConnect', () => {
      secured = true;
      this.#notify();
    });
    while (!secured) {
      if (this.#isClosed || this.#failure) throw tlsFailed(this.#failure ?? new Error('the server closed the connection'));
      await new Promise<void>((resolve) => {
        this.#notify = resolve;
      });
    }
  }

  #directReads(): ConstructorParameters<typeof Socket>[0] {
    const onread = {
      buffer: () => this.#receiver?.nextBuffer(this.#receiveBuffer) ?? this.#receiveBuffer,
      callback: (length: number, bytes: Uint8Array) => this.#received(bytes, length),
    };
    return { onread };
  }

  #listen(socket: Socket): void {
    if (this.target.tls) socket.on('data', (bytes: Buffer) => this.#received(bytes, bytes.length));
    socket.on('error', (error) => {
      this.#failure ??= error;
      this.#notify();
    });
    socket.on('close', () => {
      this.#isClosed = true;
      this.#notify();
      const failure = this.#failure;
      this.#reportClosed(failure && !isOperationError(failure) ? connectionLost('The connection broke.', failure) : failure);
    });
    socket.resume();
  }

  /** True: go on reading. */
  #received(bytes: Uint8Array, length: number): boolean {
    if (!this.#receiver) {
      this.#unread = Buffer.concat([this.#unread, bytes.subarray(0, length)]);
      this.#notify();
      return true;
    }
    try {
      this.#receiver.receive(bytes, length);
      return true;
    } catch (error) {
      this.#fail(error as Error);
      return false;
    }
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
    this.#notify();
    this.#socket.destroy();
  }
}

function connectFailed(target: NbdTarget, cause: unknown): OperationError {
  if (isOperationError(cause)) return cause;
  const where = 'host' in target.address ? `${target.address.host}:${target.address.port}` : target.address.unixSocket;
  const hint = 'Check that the server runs and that the address is right.';
  return new OperationError({ code: 'nbd/connect-failed', operation: 'connect to NBD server', context: { where }, retryable: true, hint, cause });
}

function tlsFailed(cause: unknown): OperationError {
  const hint = 'Check the certificates of both sides and the name the server is known by.';
  return new OperationError({ code: 'nbd/tls-failed', operation: 'start TLS with NBD server', retryable: false, hint, cause });
}
