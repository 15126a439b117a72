// SPDX-License-Identifier: Apache-2.0
// Purpose: receives change sets over HTTP/1.1 (mutual TLS) and hands each, whole, to a handler.
// Invariants: a body is either complete or never handed over; memory of bodies stays inside the budget (I9); a peer that was not authorised
// costs no body memory; a success is answered only after the handler says that the change set is durable.
import { type PeerIdentity, peerIdentity } from '@secondsite/certificates/peer-identity';
import { isOperationError, MIB, OperationError } from '@secondsite/units';
import assert from 'node:assert';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { createServer as createSecureServer, type SecureContextOptions, type Server as SecureServer, type TlsOptions, type TLSSocket } from 'node:tls';
import type { Authorize } from './authorize';
import { type ChangeSetHandler, type ChangeSetKey, oldestPendingHeader, parseRoute, type Route, sequenceFromHeader, validTraceparent } from './change-set-protocol';
import { answerFromError, answerFromOutcome, type HttpAnswer, type Problem, problemAnswer } from './http-answer';
import { BodyPool } from './body-pool';
import { type ConnectionPeer, HttpConnection, type HttpConnectionHost, type HttpRequest } from './http-connection';
import { lateTracesFromHeader, lateTracesHeader } from './late-traces';
import { ReceiveBudget } from './receive-budget';

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

/** A kept connection without a request is closed after this time; longer than the senders keep theirs. */
const idleMillisMax = 65_000;
const withoutReuse = new BodyPool({ idleBytesMax: 0 });
/** Questions are small; see libs/block-checksums. */
const questionBytesMax = 16 * 1024;
const methods = { position: 'GET', 'change-set': 'PUT', comparison: 'POST', copy: 'POST' } as const satisfies Record<Route['kind'], string>;

export class ChangeSetServer {
  private readonly limits: ServerLimits;
  private readonly budget: ReceiveBudget;
  private readonly server: Server | SecureServer;
  private readonly secureServer: SecureServer | undefined;
  private readonly connections = new Set<HttpConnection>();
  private readonly host: HttpConnectionHost;
  private sweeper: NodeJS.Timeout | undefined;
  private allClosed: (() => void) | undefined;

  constructor(private readonly options: ChangeSetServerOptions) {
    const budgetBytes = options.limits?.budgetBytes ?? defaultLimits.budgetBytes;
    this.limits = { ...defaultLimits, peerBudgetBytes: budgetBytes / 2, ...options.limits };
    assert(this.limits.peerBudgetBytes >= this.limits.bodyBytesMax, 'the budget of a peer must hold at least one body');
    this.budget = new ReceiveBudget({ totalBytes: budgetBytes, peerBytes: this.limits.peerBudgetBytes });
    this.host = {
      limits: { ...this.limits, idleMillisMax },
      now: () => performance.now(),
      serve: (request) => this.serve(request),
      closed: (connection) => this.closed(connection),
    };
    this.secureServer = options.tls === undefined ? undefined : this.createSecureServer(options.tls);
    this.server = this.secureServer ?? createServer({ allowHalfOpen: true }, (socket) => this.accept(socket, undefined));
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
    const { headMillisMax, stallMillisMax } = this.limits;
    this.sweeper = setInterval(() => this.checkTimes(), Math.min(1000, headMillisMax / 4, stallMillisMax / 4));
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
    this.server.close();
    const closed = new Promise<void>((resolve) => (this.allClosed = resolve));
    for (const connection of this.connections) connection.finish();
    if (this.connections.size === 0) this.allClosed?.();
    const timer = setTimeout(() => this.connections.forEach((connection) => connection.destroy()), graceMillisMax);
    await closed;
    clearTimeout(timer);
    clearInterval(this.sweeper);
  }

  private createSecureServer(tls: TlsOptions): SecureServer {
    const secure = { allowHalfOpen: true, ...tls, handshakeTimeout: this.limits.headMillisMax, ALPNProtocols: ['http/1.1'] };
    assert(secure.requestCert === true && secure.rejectUnauthorized !== false, 'the server must verify its clients');
    const server = createSecureServer(secure, (socket) => this.accept(socket, socket));
    server.maxConnections = this.limits.connectionsMax;
    server.on('tlsClientError', (error: Error & { code?: string }, socket) => this.reportTlsFailure(error, socket));
    return server;
  }

  private accept(socket: Socket, secure: TLSSocket | undefined): void {
    socket.on('error', () => socket.destroy());
    if (!this.server.listening || this.connections.size >= this.limits.connectionsMax) return void socket.destroy();
    this.connections.add(new HttpConnection(socket, secure && peerOf(secure), this.host));
  }

  private closed(connection: HttpConnection): void {
    this.connections.delete(connection);
    if (this.connections.size === 0) this.allClosed?.();
  }

  private checkTimes(): void {
    const now = this.host.now();
    for (const connection of this.connections) connection.checkTime(now);
  }

  /** Undefined when the peer has gone. */
  private async serve(request: HttpRequest): Promise<HttpAnswer | undefined> {
    try {
      return await this.answer(request);
    } catch (error) {
      const known = answerFromError(error);
      if (known === undefined) this.reportFault(error);
      return known ?? refusal(500, 'transport/fault', 'the receiver has a fault', 'See the log of the receiver.');
    }
  }

  private async answer(request: HttpRequest): Promise<HttpAnswer | undefined> {
    const route = parseRoute(request.path);
    if (route === undefined) return refusal(404, 'transport/unknown-path', 'no such path', 'Check the version of the sender.');
    const method = methods[route.kind];
    if (request.method !== method) {
      const headers = { allow: method };
      return problemAnswer({ status: 405, code: 'transport/method', detail: `only ${method} is served here`, hint: 'Check the version of the sender.', headers });
    }
    const { peer } = request.connection;
    if (peer && 'foreign' in peer) return this.refusePeer(request, { code: peer.foreign.code, detail: 'the certificate names no component', hint: peer.foreign.hint });
    if (peer && peer.validTo < Date.now()) return expired();
    const decision = this.options.authorize({ peer: peer?.identity, pairId: route.pairId, kind: route.kind });
    if (decision.kind === 'refused') return this.refusePeer(request, decision);
    switch (route.kind) {
      case 'position':
        return answerFromOutcome(await this.options.handler.position({ pairId: route.pairId, peer: peer?.identity }));
      case 'copy':
        return this.copy(request, route.pairId, peer?.identity);
      case 'comparison':
        return this.compare(request, route, peer?.identity);
      case 'change-set':
        return this.store(request, route, peer?.identity);
    }
  }

  private refusePeer(request: HttpRequest, { code, detail, hint }: { readonly code: string; readonly detail: string; readonly hint: string }): HttpAnswer {
    this.options.onRefusedPeer?.({ remoteAddress: request.connection.remoteAddress, code, detail });
    return problemAnswer({ status: 403, code, detail, hint });
  }

  private store(request: HttpRequest, { pairId, epoch, sequence }: ChangeSetKey, peer: PeerIdentity | undefined): Promise<HttpAnswer | undefined> {
    const { headers } = request;
    const traceparent = validTraceparent(headers.get('traceparent'));
    const oldestPending = sequenceFromHeader(headers.get(oldestPendingHeader));
    const lateTraces = lateTracesFromHeader(headers.get(lateTracesHeader));
    return this.withBody(request, peer, { bytesMax: this.limits.bodyBytesMax }, async (body) =>
      answerFromOutcome(await this.options.handler.store({ pairId, epoch, sequence, body, traceparent, oldestPending, lateTraces, peer })));
  }

  private compare(request: HttpRequest, { pairId, epoch, sequence }: ChangeSetKey, peer: PeerIdentity | undefined): Promise<HttpAnswer | undefined> {
    return this.withBody(request, peer, { bytesMax: questionBytesMax }, async (question) =>
      answerFromOutcome(await this.options.handler.compare({ pairId, epoch, sequence, question, peer })));
  }

  private copy(request: HttpRequest, pairId: string, peer: PeerIdentity | undefined): Promise<HttpAnswer | undefined> {
    const { handler } = this.options;
    return this.withBody(request, peer, { bytesMax: questionBytesMax }, async (question) =>
      handler.copy ? answerFromOutcome(await handler.copy({ pairId, question, peer })) : refusal(404, 'transport/unknown-path', 'no pair can be copied from here', 'Ask the master target that holds it.'));
  }

  /** Reads the body into memory of the budget, which is counted until `use` has settled. */
  private async withBody(
    request: HttpRequest, peer: PeerIdentity | undefined, { bytesMax }: { readonly bytesMax: number }, use: (body: Buffer) => Promise<HttpAnswer>,
  ): Promise<HttpAnswer | undefined> {
    const { contentLength: lengthBytes, connection, headers } = request;
    if (lengthBytes === undefined) return refusal(411, 'transport/no-length', 'the body has no known length', 'Send content-length.');
    if (lengthBytes === 0) return refusal(400, 'transport/empty', 'the body is empty', 'Send one change set, or one question, as the body.');
    if (lengthBytes > bytesMax) return refusal(413, 'transport/too-large', `more than ${bytesMax} bytes`, 'Send smaller change sets and questions.');
    const giveBack = this.budget.take(peer?.componentId ?? connection.remoteAddress, lengthBytes);
    if (giveBack === undefined) return this.heldOff();
    try {
      const pool = this.options.pool ?? withoutReuse;
      const body = Buffer.from(pool.take(lengthBytes), 0, lengthBytes);
      if (headers.get('expect')?.toLowerCase() === '100-continue') connection.askForBody();
      if (await connection.readBody(body)) return await use(body);
      pool.giveBack(body.buffer);
      return undefined;
    } finally {
      giveBack();
    }
  }

  private heldOff(): HttpAnswer {
    const { retryAfterMillis } = this.limits;
    return answerFromOutcome({ kind: 'held-off', code: 'transport/busy', detail: 'the memory for bodies is used up', retryAfterMillis });
  }

  private reportFault(error: unknown): void {
    if (this.options.onFault === undefined) setImmediate(() => throwFault(error));
    else this.options.onFault(error);
  }

  private reportTlsFailure(error: Error & { code?: string }, socket: TLSSocket): void {
    // Node tells why it distrusts a certificate only here (a code such as CERT_HAS_EXPIRED); the error itself says "hang up".
    const distrust = socket.authorizationError as Error | string | null | undefined;
    const missing = error.code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';
    const code = distrust || missing ? 'tls/foreign-certificate' : 'tls/handshake-failed';
    const detail = distrust ? (typeof distrust === 'string' ? distrust : distrust.message) : `${error.code ?? 'TLS'}: ${error.message}`;
    this.options.onRefusedPeer?.({ remoteAddress: socket.remoteAddress ?? 'unknown', code, detail });
    socket.destroy();
  }
}

function peerOf(socket: TLSSocket): ConnectionPeer {
  const certificate = socket.getPeerCertificate();
  try {
    return { identity: peerIdentity(certificate), validTo: Date.parse(certificate.valid_to) };
  } catch (error) {
    if (isOperationError(error, 'tls/foreign-certificate')) return { foreign: error };
    throw error;
  }
}

/** A connection can outlive its certificate; the sender has to make a new one with a renewed certificate. */
function expired(): HttpAnswer {
  const hint = 'Connect again with a renewed certificate.';
  const headers = { connection: 'close' };
  return problemAnswer({ status: 503, code: 'tls/certificate-expired', detail: 'the certificate has expired', hint, headers, retryAfterMillis: 1000 });
}

function refusal(status: number, code: string, ...[detail, hint]: [string, string]): HttpAnswer {
  const problem: Problem = { status, code, detail, hint };
  return problemAnswer(problem);
}

function throwFault(error: unknown): never {
  throw error;
}
