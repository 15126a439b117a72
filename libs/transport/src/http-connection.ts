// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 connection at the receiver. Bodies are read from the socket straight into the memory that the request's handler chose.
// Invariants: one request at a time, in order; not more than PENDING_BYTES_MAX wait unread behind it; a peer that owes bytes and sends none
// in its time is disconnected; a body is resolved once, whole or not at all.
import { directSocket } from '@secondsite/direct-socket';
import type { PeerIdentity } from '@secondsite/certificates';
import type { OperationError } from '@secondsite/units';
import type { Socket } from 'node:net';
import { bodyBytesOf, type HttpAnswer, problemAnswer } from './http-answer';
import { parseRequestHead, type RequestHead } from './http-head';

/** One request as the server sees it. */
export interface HttpRequest extends RequestHead {
  readonly connection: HttpConnection;
}

/** Who is at the other end, and when its certificate ends (milliseconds since 1970); or why its certificate names nobody. */
export type ConnectionPeer = { readonly identity: PeerIdentity; readonly validTo: number } | { readonly foreign: OperationError };

export interface HttpConnectionHost {
  readonly limits: { readonly headMillisMax: number; readonly stallMillisMax: number; readonly requestMillisMax: number; readonly idleMillisMax: number };
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** Answers a request; undefined: nobody waits for the answer any more. Never rejects. */
  readonly serve: (request: HttpRequest) => Promise<HttpAnswer | undefined>;
  readonly closed: (connection: HttpConnection) => void;
}

interface Body {
  readonly memory: Buffer;
  filledBytes: number;
  readonly resolve: (whole: boolean) => void;
}

const PENDING_BYTES_MAX = 64 * 1024;
const none = Buffer.alloc(0);

/** What is no body lands here: each read is used up before the next one, of whatever connection of the thread. */
const scratch = Buffer.allocUnsafeSlow(PENDING_BYTES_MAX);

const reasons: Readonly<Record<number, string>> = {
  200: 'OK', 400: 'Bad Request', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 409: 'Conflict', 411: 'Length Required',
  413: 'Content Too Large', 422: 'Unprocessable Content', 429: 'Too Many Requests', 431: 'Request Header Fields Too Large',
  500: 'Internal Server Error', 503: 'Service Unavailable', 507: 'Insufficient Storage',
};

export class HttpConnection {
  readonly remoteAddress: string;
  readonly #host: HttpConnectionHost;
  readonly #socket: Socket;
  /** `head`: between requests or in a head. `answering`: the handler has the request. `rest`: of a body that nobody wants. */
  #state: 'head' | 'answering' | 'body' | 'rest' = 'head';
  /** Came, and belongs to what follows. */
  #pending: Buffer = none;
  #body: Body | undefined;
  /** Bytes of this request's body that have not been taken from the stream. */
  #bodyLeft = 0;
  /** When the state or the body last went on, or a head began. */
  #progressAt: number;
  /** When the head of the request under way was complete. */
  #requestAt = 0;
  #served = false;
  #keepAlive = true;
  #peerEnded = false;

  /** `peer` is undefined without TLS. */
  constructor(accepted: Socket, readonly peer: ConnectionPeer | undefined, host: HttpConnectionHost) {
    this.#host = host;
    this.remoteAddress = accepted.remoteAddress ?? 'unknown';
    this.#progressAt = host.now();
    const direct = directSocket(accepted, { nextBuffer: () => this.#nextBuffer(), received: (bytes, length) => this.#received(bytes, length) });
    this.#socket = direct ?? accepted;
    this.#listen(direct !== undefined);
  }

  /** No request is under way and none has begun. */
  get isIdle(): boolean {
    return this.#state === 'head' && this.#pending.length === 0;
  }

  /** After the answer to the request under way, if there is one, the connection ends. */
  finish(): void {
    this.#keepAlive = false;
    if (this.isIdle) this.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Reads the body of the request being served into `memory`, which is exactly as long as it. False: the peer went away. At most once. */
  readBody(memory: Buffer): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed) return resolve(false);
      this.#body = { memory, filledBytes: 0, resolve };
      this.#enter('body');
      return this.#takePending();
    });
  }

  /** The peer asked whether it may send its body (`expect: 100-continue`). */
  askForBody(): void {
    this.#socket.write('HTTP/1.1 100 Continue\r\n\r\n');
  }

  /** Disconnects a peer that is late. Called regularly. */
  checkTime(now: number): void {
    const { headMillisMax, stallMillisMax, requestMillisMax, idleMillisMax } = this.#host.limits;
    const waited = now - this.#progressAt;
    const late = {
      head: () => waited > (this.isIdle && this.#served ? idleMillisMax : headMillisMax),
      answering: () => false,
      body: () => waited > stallMillisMax || now - this.#requestAt > requestMillisMax,
      rest: () => waited > stallMillisMax || now - this.#requestAt > requestMillisMax,
    };
    if (late[this.#state]()) this.destroy();
  }

  #listen(direct: boolean): void {
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('end', () => this.#ended());
    socket.on('close', () => {
      this.#endBody(false);
      this.#host.closed(this);
    });
    if (!direct) socket.on('data', (chunk: Buffer) => void (this.#received(chunk, chunk.length) || socket.pause()));
    socket.resume();
  }

  /** A peer may close its side after a request and still wait for the answer. */
  #ended(): void {
    this.#peerEnded = true;
    if (this.#state !== 'answering') this.destroy();
  }

  #enter(state: 'head' | 'answering' | 'body' | 'rest'): void {
    this.#state = state;
    this.#progressAt = this.#host.now();
  }

  #nextBuffer(): Uint8Array {
    const body = this.#body;
    return body ? body.memory.subarray(body.filledBytes) : scratch;
  }

  #received(bytes: Uint8Array, length: number): boolean {
    const body = this.#body;
    if (body && bytes.buffer === body.memory.buffer) this.#filled(body, length);
    else {
      if (this.isIdle) this.#progressAt = this.#host.now();
      const rest = this.#take(Buffer.from(bytes.buffer, bytes.byteOffset, length));
      // Scratch is used again by the next read.
      if (rest.length > 0) this.#pending = Buffer.concat([this.#pending, rest]);
      this.#parse();
    }
    return this.#pending.length < PENDING_BYTES_MAX;
  }

  #takePending(): void {
    const pending = this.#pending;
    this.#pending = none;
    this.#pending = this.#take(pending);
    this.#socket.resume();
  }

  /** Gives the body what belongs to it; returns what follows. */
  #take(chunk: Buffer): Buffer {
    if (this.#state !== 'body' && this.#state !== 'rest') return chunk;
    const count = Math.min(chunk.length, this.#bodyLeft);
    if (this.#body) {
      chunk.copy(this.#body.memory, this.#body.filledBytes, 0, count);
      this.#filled(this.#body, count);
    } else this.#dropped(count);
    return chunk.subarray(count);
  }

  #filled(body: Body, count: number): void {
    body.filledBytes += count;
    this.#bodyLeft -= count;
    this.#progressAt = this.#host.now();
    if (this.#bodyLeft === 0) this.#endBody(true);
  }

  #dropped(count: number): void {
    this.#bodyLeft -= count;
    this.#progressAt = this.#host.now();
    if (this.#bodyLeft === 0) this.#nextRequest();
  }

  #endBody(whole: boolean): void {
    const body = this.#body;
    this.#body = undefined;
    if (whole) this.#enter('answering');
    body?.resolve(whole);
  }

  #parse(): void {
    if (this.#state !== 'head' || this.#pending.length === 0) return;
    const parsed = parseRequestHead(this.#pending);
    if (parsed.kind === 'refused') return this.#refuse(parsed);
    if (parsed.kind === 'incomplete') return;
    this.#pending = this.#pending.subarray(parsed.headBytes);
    const { head } = parsed;
    this.#bodyLeft = head.contentLength ?? 0;
    this.#keepAlive &&= head.keepAlive && !head.chunked;
    this.#enter('answering');
    this.#requestAt = this.#progressAt;
    void this.#serve({ ...head, connection: this });
  }

  async #serve(request: HttpRequest): Promise<void> {
    const answer = await this.#host.serve(request);
    if (answer === undefined || this.#socket.destroyed) return this.destroy();
    this.#answer(answer);
    if (!this.#keepAlive || this.#peerEnded) return this.#end();
    this.#served = true;
    if (this.#bodyLeft === 0) return this.#nextRequest();
    this.#enter('rest');
    this.#takePending();
    return this.#parse();
  }

  #nextRequest(): void {
    this.#enter('head');
    this.#socket.resume();
    this.#parse();
  }

  #answer({ status, headers, body }: HttpAnswer): void {
    const bytes = bodyBytesOf(body);
    const fields = { 'content-type': 'application/json', 'content-length': bytes.length, ...(this.#keepAlive ? {} : { connection: 'close' }), ...headers };
    if (fields.connection === 'close') this.#keepAlive = false;
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#socket.write(Buffer.concat([Buffer.from(`HTTP/1.1 ${status} ${reasons[status] ?? 'Other'}\r\n${lines.join('')}\r\n`), bytes]));
  }

  #refuse({ status, detail }: { readonly status: number; readonly detail: string }): void {
    this.#keepAlive = false;
    this.#pending = none;
    this.#answer(problemAnswer({ status, code: 'transport/malformed', detail, hint: 'Check the version of the sender.' }));
    this.#end();
  }

  /** What the peer still sends is read and dropped for a while, so that the answer is not lost in a reset. */
  #end(): void {
    this.#bodyLeft = Infinity;
    this.#enter('rest');
    this.#requestAt = this.#progressAt;
    this.#pending = none;
    this.#socket.resume();
    if (this.#peerEnded) this.#socket.end(() => this.#socket.destroy());
    else this.#socket.end();
  }
}

