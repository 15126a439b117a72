// SPDX-License-Identifier: Apache-2.0
// Purpose: receives change sets over HTTP/1.1 (mutual TLS) and hands each, whole, to a handler.
// Invariants: a body is either complete or never handed over; memory of bodies stays inside the budget (I9); a peer that was not authorised
// costs no body memory; a success is answered only after the handler says that the change set is durable.
import { type PeerIdentity, peerIdentity } from '@secondsite/certificates';
import { isOperationError, MIB, OperationError } from '@secondsite/units';
import assert from 'node:assert';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer, type ServerOptions as SecureServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type SecureContextOptions, type TlsOptions, TLSSocket } from 'node:tls';
import type { Authorize } from './authorize';
import { type ChangeSetHandler, type ChangeSetKey, parseRoute, type Route, validTraceparent } from './change-set-protocol';
import { answerFromError, answerFromOutcome, type HttpAnswer, type Problem, problemAnswer } from './http-answer';
import { BodyPool } from './body-pool';
import { ReceiveBudget } from './receive-budget';
import { receiveBody } from './receive-body';

export interface ChangeSetServerOptions {
  readonly handler: ChangeSetHandler;
  readonly authorize: Authorize;
  /** Undefined: plain HTTP, for the development switch only. Must ask for and verify client certificates. */
  readonly tls?: TlsOptions;
  /** Told about peers that TLS or `authorize` turned away, for the audit. */
  readonly onRefusedPeer?: (refused: RefusedPeer) => void;
  /** Told about a bug in the handler, after the request was answered with 500. Default: the error ends the process. */
  readonly onFault?: (error: unknown) => void;
  readonly limits?: Partial<ServerLimits>;
  /** Where the memory of bodies comes from; the handler gives it back there. Default: one that nobody gives anything back to. */
  readonly pool?: BodyPool;
}

export interface RefusedPeer {
  readonly remoteAddress: string;
  readonly code: string;
  readonly detail: string;
}

export interface ServerLimits {
  /** Longest body; 40 MiB. */
  readonly bodyBytesMax: number;
  /** Memory of all bodies on their way or being stored; 256 MiB. */
  readonly budgetBytes: number;
  /** The part of it that one peer may hold; half of it. */
  readonly peerBudgetBytes: number;
  /** A body must make some progress in this time; 30 s. */
  readonly stallMillisMax: number;
  /** A request must be complete in this time; 10 min. */
  readonly requestMillisMax: number;
  /** TLS handshake and request head must be complete in this time; 10 s. */
  readonly headMillisMax: number;
  /** More connections are closed at once; 1024. */
  readonly connectionsMax: number;
  /** What a held-off sender is told when the budget is used up; 200 ms. */
  readonly retryAfterMillis: number;
}

const defaultLimits: Omit<ServerLimits, 'peerBudgetBytes'> = {
  bodyBytesMax: 40 * MIB,
  budgetBytes: 256 * MIB,
  stallMillisMax: 30_000,
  requestMillisMax: 600_000,
  headMillisMax: 10_000,
  connectionsMax: 1024,
  retryAfterMillis: 200,
};

const withoutReuse = new BodyPool({ idleBytesMax: 0 });

export class ChangeSetServer {
  private readonly limits: ServerLimits;
  private readonly budget: ReceiveBudget;
  private readonly server: Server | SecureServer;
  private readonly secureServer: SecureServer | undefined;
  private closing = false;

  constructor(private readonly options: ChangeSetServerOptions) {
    const budgetBytes = options.limits?.budgetBytes ?? defaultLimits.budgetBytes;
    this.limits = { ...defaultLimits, peerBudgetBytes: budgetBytes / 2, ...options.limits };
    assert(this.limits.peerBudgetBytes >= this.limits.bodyBytesMax, 'the budget of a peer must hold at least one body');
    this.budget = new ReceiveBudget({ totalBytes: budgetBytes, peerBytes: this.limits.peerBudgetBytes });
    this.secureServer = options.tls === undefined ? undefined : this.createSecureServer(options.tls);
    this.server = this.secureServer ?? createServer(this.httpOptions());
    this.server.maxConnections = this.limits.connectionsMax;
    this.server.on('request', (request, response) => void this.serve(request, response));
    this.secureServer?.on('tlsClientError', (error: Error & { code?: string }, socket: TLSSocket) => this.reportTlsFailure(error, socket));
  }

  /** Memory of bodies on their way or being stored, for metrics. */
  get bytesInFlight(): number {
    return this.budget.takenBytes;
  }

  /** Starts to listen (port 0: any free one). Throws `transport/listen` when the address cannot be used. */
  async listen({ host, port }: { host: string; port: number }): Promise<{ readonly port: number; readonly url: string }> {
    try {
      this.server.listen(port, host);
      await once(this.server, 'listening');
    } catch (cause) {
      const hint = 'Choose another address or stop what uses it.';
      throw new OperationError({ code: 'transport/listen', operation: 'listen for change sets', context: { host, port }, retryable: false, hint, cause });
    }
    const address = this.server.address() as AddressInfo;
    const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return { port: address.port, url: `${this.secureServer ? 'https' : 'http'}://${name}:${address.port}` };
  }

  /** Uses a renewed certificate for new connections; those that are open go on. */
  setSecureContext(context: SecureContextOptions): void {
    this.secureServer?.setSecureContext(context);
  }

  /** Takes no new connection, lets requests that are under way finish for `graceMillisMax`, then closes everything. */
  async close({ graceMillisMax }: { readonly graceMillisMax: number } = { graceMillisMax: 10_000 }): Promise<void> {
    if (!this.server.listening) return;
    this.closing = true;
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeIdleConnections();
    const timer = setTimeout(() => this.server.closeAllConnections(), graceMillisMax);
    await closed;
    clearTimeout(timer);
  }

  private httpOptions(): ServerOptions {
    return {
      maxHeaderSize: 8192,
      headersTimeout: this.limits.headMillisMax,
      requestTimeout: this.limits.requestMillisMax,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: Math.min(5000, this.limits.headMillisMax),
    };
  }

  private createSecureServer(tls: TlsOptions): SecureServer {
    const secure: SecureServerOptions = {
      ...this.httpOptions(),
      ...tls,
      handshakeTimeout: this.limits.headMillisMax,
      ALPNProtocols: ['http/1.1'],
    };
    assert(secure.requestCert === true && secure.rejectUnauthorized !== false, 'the server must verify its clients');
    return createSecureServer(secure);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.once('error', () => response.destroy());
    try {
      const answer = await this.answer(request);
      if (answer !== undefined) this.send({ request, response, answer });
    } catch (error) {
      this.fail({ request, response, error });
    }
  }

  /** Undefined when the peer has gone. */
  private async answer(request: IncomingMessage): Promise<HttpAnswer | undefined> {
    const route = parseRoute(request.url ?? '');
    if (route === undefined) return refusal(404, 'transport/unknown-path', 'no such path', 'Check the version of the sender.');
    const method = route.kind === 'position' ? 'GET' : 'PUT';
    if (request.method !== method) {
      const headers = { allow: method };
      return problemAnswer({ status: 405, code: 'transport/method', detail: `only ${method} is served here`, hint: 'Check the version of the sender.', headers });
    }
    const socket = request.socket instanceof TLSSocket ? request.socket : undefined;
    const certificate = socket?.getPeerCertificate();
    if (certificate !== undefined && Date.parse(certificate.valid_to) < Date.now()) return expired();
    const peer = certificate === undefined ? undefined : peerIdentity(certificate);
    const decision = this.options.authorize({ peer, pairId: route.pairId });
    if (decision.kind === 'refused') {
      this.options.onRefusedPeer?.({ remoteAddress: addressOf(request), code: decision.code, detail: decision.detail });
      return problemAnswer({ ...decision, status: 403 });
    }
    return route.kind === 'position' ? this.position(route, peer) : this.store(request, route, peer);
  }

  private async position({ pairId }: Route & { kind: 'position' }, peer: PeerIdentity | undefined): Promise<HttpAnswer> {
    return answerFromOutcome(await this.options.handler.position({ pairId, peer }));
  }

  private async store(request: IncomingMessage, key: Route & ChangeSetKey, peer: PeerIdentity | undefined): Promise<HttpAnswer | undefined> {
    const lengthText = request.headers['content-length'];
    if (lengthText === undefined) return refusal(411, 'transport/no-length', 'the body has no known length', 'Send content-length.');
    const lengthBytes = Number(lengthText);
    if (lengthBytes === 0) return refusal(400, 'transport/empty', 'the body is empty', 'Send one change set as the body.');
    if (!(lengthBytes <= this.limits.bodyBytesMax)) {
      return refusal(413, 'transport/too-large', `more than ${this.limits.bodyBytesMax} bytes`, 'Seal smaller change sets.');
    }
    const giveBack = this.budget.take(peer?.componentId ?? addressOf(request), lengthBytes);
    if (giveBack === undefined) return this.heldOff();
    try {
      const body = await receiveBody(request, { lengthBytes, stallMillisMax: this.limits.stallMillisMax, pool: this.options.pool ?? withoutReuse });
      if (body === undefined) return undefined;
      const { pairId, epoch, sequence } = key;
      const traceparent = validTraceparent(request.headers.traceparent);
      return answerFromOutcome(await this.options.handler.store({ pairId, epoch, sequence, body, traceparent, peer }));
    } finally {
      giveBack();
    }
  }

  private heldOff(): HttpAnswer {
    const { retryAfterMillis } = this.limits;
    return answerFromOutcome({ kind: 'held-off', code: 'transport/busy', detail: 'the memory for bodies is used up', retryAfterMillis });
  }

  private fail({ request, response, error }: { request: IncomingMessage; response: ServerResponse; error: unknown }): void {
    if (isOperationError(error, 'tls/foreign-certificate')) {
      this.options.onRefusedPeer?.({ remoteAddress: addressOf(request), code: error.code, detail: error.message });
      const { code, hint } = error;
      return this.send({ request, response, answer: problemAnswer({ status: 403, code, detail: 'the certificate names no component', hint }) });
    }
    const known = answerFromError(error);
    const answer = known ?? refusal(500, 'transport/fault', 'the receiver has a fault', 'See the log of the receiver.');
    this.send({ request, response, answer });
    if (known === undefined) this.reportFault(error);
  }

  private reportFault(error: unknown): void {
    if (this.options.onFault === undefined) setImmediate(() => throwFault(error));
    else this.options.onFault(error);
  }

  private send({ request, response, answer }: { request: IncomingMessage; response: ServerResponse; answer: HttpAnswer }): void {
    const body = JSON.stringify(answer.body);
    const connection = this.closing ? { connection: 'close' } : {};
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...connection, ...answer.headers };
    response.writeHead(answer.status, headers).end(body);
    if (!request.complete) this.discardRest(request);
  }

  /** The rest of a refused body is read and dropped, so that the answer is not lost in a reset; not for longer than a stall. */
  private discardRest(request: IncomingMessage): void {
    const { socket } = request;
    const timer = setTimeout(() => socket.destroy(), this.limits.stallMillisMax);
    const finish = () => {
      clearTimeout(timer);
      socket.off('close', finish);
    };
    // After the answer Node no longer tells the request that its connection ended, so the connection is watched.
    socket.once('close', finish);
    request.once('end', finish).once('error', finish);
    request.resume();
  }

  private reportTlsFailure(error: Error & { code?: string }, socket: TLSSocket): void {
    // Node tells why it distrusts a certificate only here (a code such as CERT_HAS_EXPIRED); the error itself says "hang up".
    const distrust = socket.authorizationError as Error | string | null | undefined;
    const missing = error.code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';
    const code = distrust || missing ? 'tls/foreign-certificate' : 'tls/handshake-failed';
    const detail = distrust ? (typeof distrust === 'string' ? distrust : distrust.message) : `${error.code ?? 'TLS'}: ${error.message}`;
    this.options.onRefusedPeer?.({ remoteAddress: socket.remoteAddress ?? 'unknown', code, detail });
  }
}

/** A connection can outlive its certificate; the sender has to make a new one with a renewed certificate. */
function expired(): HttpAnswer {
  const hint = 'Connect again with a renewed certificate.';
  const headers = { connection: 'close' };
  return problemAnswer({ status: 503, code: 'tls/certificate-expired', detail: 'the certificate has expired', hint, headers, retryAfterMillis: 1000 });
}

function addressOf(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? 'unknown';
}

function refusal(status: number, code: string, ...[detail, hint]: [string, string]): HttpAnswer {
  const problem: Problem = { status, code, detail, hint };
  return problemAnswer(problem);
}

function throwFault(error: unknown): never {
  throw error;
}
