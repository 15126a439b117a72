// SPDX-License-Identifier: Apache-2.0
// One client of an NbdServer from accept to close: handshake, TLS when asked for, then transmission. A client that says nothing, or goes
// on negotiating, is dropped when its time is up.
import type { Socket } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { stopReading } from '@secondsite/direct-socket';
import { type Agreement, Negotiation, type NegotiationOutcome, type OfferedExport } from './negotiation';
import type { Transmission } from './transmission';

export interface ConnectionHost {
  readonly tlsMode: 'off' | 'allowed' | 'required';
  tlsOptions(): TlsOptions;
  /** The exports this client may see; `peer` is set once TLS is in use. */
  offered(peer: TLSSocket | undefined): readonly OfferedExport[];
  transmission(socket: Socket, agreement: Agreement, closed: (reason: string) => void): Transmission | undefined;
  now(): number;
  closed(connection: Connection, reason: string): void;
}

const negotiationOutputBytesMax = 1024 * 1024;

export class Connection {
  readonly startedAt: number;
  readonly #negotiation: Negotiation;
  #socket: Socket;
  #secure: TLSSocket | undefined;
  #transmission: Transmission | undefined;
  #exportName: string | undefined;
  #reason = 'the client closed the connection';
  #closed = false;
  readonly #onData = (bytes: Buffer): void => this.#negotiate(bytes);
  readonly #onClose = (): void => this.#close(this.#reason);
  readonly #onEnd = (): void => this.destroy('the client closed the connection while negotiating');
  readonly #onError = (error: Error): void => {
    this.#reason = error.message;
  };

  constructor(
    accepted: Socket,
    private readonly host: ConnectionHost,
  ) {
    this.startedAt = host.now();
    this.#socket = accepted;
    this.#negotiation = new Negotiation({
      tls: host.tlsMode,
      list: () => host.offered(this.#secure),
      find: (name) => host.offered(this.#secure).find((offered) => offered.name === name),
    });
    this.#attach(accepted);
    accepted.write(this.#negotiation.takeOutput());
  }

  /** Set once the client has chosen. */
  get exportName(): string | undefined {
    return this.#exportName;
  }

  get transmission(): Transmission | undefined {
    return this.#transmission;
  }

  finish(reason: string): void {
    if (this.#transmission) this.#transmission.finish(reason);
    else this.destroy(reason);
  }

  destroy(reason: string): void {
    if (this.#transmission) return this.#transmission.destroy(reason);
    this.#reason = reason;
    return void this.#socket.destroy();
  }

  #attach(socket: Socket): void {
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onClose);
    socket.on('error', this.#onError);
  }

  #detach(socket: Socket): void {
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    socket.off('close', this.#onClose);
    socket.off('error', this.#onError);
  }

  #negotiate(bytes: Buffer): void {
    const outcome = this.#negotiation.receive(bytes);
    const output = this.#negotiation.takeOutput();
    if (outcome.kind === 'transmission') return this.#leaveNegotiation(output, () => this.#transmit(outcome.agreement));
    if (outcome.kind === 'starttls') return this.#leaveNegotiation(output, () => this.#startTls());
    if (output.length > 0) this.#socket.write(output);
    if (this.#socket.writableLength > negotiationOutputBytesMax) return this.destroy('the client does not read the answers to its options');
    if (outcome.kind === 'close') this.#endNegotiation(outcome);
    return undefined;
  }

  #endNegotiation(outcome: NegotiationOutcome & { kind: 'close' }): void {
    this.#reason = outcome.reason;
    this.#socket.off('data', this.#onData);
    this.#socket.end(() => this.#socket.destroy());
  }

  /** Sends the last answer, and goes on when it is out: what follows belongs to another reader of the socket. */
  #leaveNegotiation(output: Buffer, next: () => void): void {
    this.#socket.off('data', this.#onData);
    this.#socket.off('end', this.#onEnd);
    stopReading(this.#socket);
    this.#socket.write(output, (error) => {
      if (!error && !this.#socket.destroyed) setImmediate(() => !this.#socket.destroyed && next());
    });
  }

  #startTls(): void {
    const plain = this.#socket;
    const layer = createServer(this.host.tlsOptions());
    layer.on('secureConnection', (secure) => {
      this.#detach(plain);
      plain.on('error', this.#onError);
      this.#secure = secure;
      this.#socket = secure;
      this.#negotiation.secured();
      this.#attach(secure);
    });
    layer.on('tlsClientError', (error) => {
      this.#reason = `TLS failed: ${error.message}`;
      plain.destroy();
    });
    layer.emit('connection', plain);
  }

  #transmit(agreement: Agreement): void {
    this.#detach(this.#socket);
    this.#exportName = agreement.export.name;
    this.#transmission = this.host.transmission(this.#socket, agreement, (reason) => this.#close(reason));
    if (!this.#transmission) {
      this.#socket.destroy();
      this.#close('the export was removed');
    }
  }

  #close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.host.closed(this, reason);
  }
}
