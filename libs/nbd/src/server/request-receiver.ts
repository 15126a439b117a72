// SPDX-License-Identifier: Apache-2.0
// Cuts the byte stream of one connection into requests, transmission phase, without sockets. Invariants: a payload that lies whole in
// the receive buffer is handed on as a view of it, never copied; one that does not is gathered in a buffer that the socket then fills
// directly; no request is started while the sink is not ready, and the unread rest is kept until `resume`.
import { decodeRequest, emptyRequestHeader, type RequestHeader, requestHeaderBytes } from '../codec/request-codec';

export type PayloadPlan = 'none' | 'take' | 'skip' | 'violation';

export interface RequestSink {
  /** False: keep this request until `resume`. The sink sees to it that `resume` is called. */
  ready(header: Readonly<RequestHeader>): boolean;
  payloadPlan(header: Readonly<RequestHeader>): PayloadPlan;
  /** A buffer for a payload that comes in pieces; undefined: not now, keep the request until `resume`. */
  takeBuffer(bytes: number): Buffer | undefined;
  giveBuffer(buffer: Buffer, bytes: number): void;
  /** The header and the list are reused, the parts are valid during the call only. */
  request(header: Readonly<RequestHeader>, parts: readonly Uint8Array[]): void;
  /** The payload of a request whose plan was `skip` has passed. */
  skipped(header: Readonly<RequestHeader>): void;
  violation(reason: string): void;
}

/** Below this a rest of a payload is read together with what follows it. */
const directReadBytesMin = 32 * 1024;
const noParts: readonly Uint8Array[] = [];

type State = 'header' | 'start' | 'payload' | 'skip' | 'stopped';

export class RequestReceiver {
  readonly #header = emptyRequestHeader();
  readonly #partialHeader = new Uint8Array(requestHeaderBytes);
  readonly #onePart: Uint8Array[] = [new Uint8Array(0)];
  #headerFill = 0;
  #state: State = 'header';
  #payload: Buffer | undefined;
  #payloadFill = 0;
  #skipBytes = 0;
  #backlog: Uint8Array | undefined;

  constructor(private readonly sink: RequestSink) {}

  /** A request has begun to arrive and is not complete. */
  get midRequest(): boolean {
    return this.#state === 'payload' || this.#state === 'skip' || this.#headerFill > 0;
  }

  /** Requests wait for the sink to become ready. */
  get parked(): boolean {
    return this.#backlog !== undefined;
  }

  /** Where the socket should put the next bytes: the gathered payload's free part, or `shared`. */
  nextBuffer(shared: Uint8Array): Uint8Array {
    if (this.#state !== 'payload' || !this.#payload) return shared;
    return this.#header.length - this.#payloadFill < directReadBytesMin ? shared : this.#payload.subarray(this.#payloadFill, this.#header.length);
  }

  /** Takes bytes that arrived; views of `bytes` are not used after the call. False: stop reading until `resume` says true. */
  receive(bytes: Uint8Array, length: number): boolean {
    if (this.#state === 'payload' && this.#payload && bytes.buffer === this.#payload.buffer) return this.#receivedDirectly(length);
    if (this.#backlog) {
      this.#backlog = Buffer.concat([this.#backlog, bytes.subarray(0, length)]);
      return false;
    }
    const used = this.#run(bytes, length);
    if (this.#state === 'stopped') return false;
    if (used < 0) return true;
    this.#backlog = new Uint8Array(bytes.subarray(used, length));
    return false;
  }

  /** Goes on with what was kept. True when reading may go on. */
  resume(): boolean {
    const backlog = this.#backlog;
    if (!backlog) return this.#state !== 'stopped';
    const used = this.#run(backlog, backlog.length);
    if (used >= 0 && this.#state !== 'stopped') this.#backlog = backlog.subarray(used);
    else this.#backlog = undefined;
    return !this.parked && this.#state !== 'stopped';
  }

  /** Frees what is held; nothing is received afterwards. */
  stop(): void {
    this.#state = 'stopped';
    this.#backlog = undefined;
    this.#releasePayload();
  }

  #receivedDirectly(length: number): boolean {
    this.#payloadFill += length;
    if (this.#payloadFill === this.#header.length) this.#finishPayload(noParts);
    return this.#isRunning();
  }

  /** How many bytes were used before the sink stopped us; -1 when all of them were. */
  #run(bytes: Uint8Array, length: number): number {
    let at = 0;
    for (;;) {
      if (this.#state === 'header') {
        if (at === length) return -1;
        at = this.#takeHeader(bytes, at, length);
        if (at < 0) return -1;
      } else if (this.#state === 'start') {
        const next = this.#start(bytes, at, length);
        if (next < 0) return at;
        at = next;
      } else if (this.#state === 'payload') {
        if (at === length) return -1;
        at = this.#continuePayload(bytes, at, length);
      } else if (this.#state === 'skip') {
        if (at === length) return -1;
        at = this.#skip(at, length);
      } else {
        return -1;
      }
    }
  }

  #takeHeader(bytes: Uint8Array, start: number, end: number): number {
    let from = bytes;
    let at = start;
    let next = start + requestHeaderBytes;
    if (this.#headerFill > 0 || next > end) {
      next = Math.min(end, start + requestHeaderBytes - this.#headerFill);
      this.#partialHeader.set(bytes.subarray(start, next), this.#headerFill);
      this.#headerFill += next - start;
      if (this.#headerFill < requestHeaderBytes) return -1;
      this.#headerFill = 0;
      from = this.#partialHeader;
      at = 0;
    }
    if (decodeRequest(from, at, this.#header)) this.#state = 'start';
    else this.#violation('the client sent something that is no NBD request');
    return next;
  }

  /** Begins the request whose header is known. -1: not now. */
  #start(bytes: Uint8Array, at: number, end: number): number {
    const header = this.#header;
    if (!this.sink.ready(header)) return -1;
    const plan = this.sink.payloadPlan(header);
    if (plan === 'none') {
      this.#state = 'header';
      this.sink.request(header, noParts);
      return at;
    }
    if (plan === 'take') return this.#startPayload(bytes, at, end);
    if (plan === 'violation') {
      this.#violation('the client announced more payload than is allowed');
      return at;
    }
    this.#skipBytes = header.length;
    this.#state = 'skip';
    return this.#skipBytes === 0 ? this.#skip(at, at) : at;
  }

  #startPayload(bytes: Uint8Array, at: number, end: number): number {
    const header = this.#header;
    if (end - at >= header.length) {
      this.#state = 'header';
      this.#onePart[0] = new Uint8Array(bytes.buffer, bytes.byteOffset + at, header.length);
      this.sink.request(header, this.#onePart);
      return at + header.length;
    }
    const payload = this.sink.takeBuffer(header.length);
    if (!payload) return -1;
    this.#payload = payload;
    this.#payloadFill = end - at;
    payload.set(bytes.subarray(at, end));
    this.#state = 'payload';
    return end;
  }

  #continuePayload(bytes: Uint8Array, at: number, end: number): number {
    const missing = this.#header.length - this.#payloadFill;
    if (end - at >= missing) {
      this.#finishPayload([new Uint8Array(bytes.buffer, bytes.byteOffset + at, missing)]);
      return at + missing;
    }
    this.#payload?.set(bytes.subarray(at, end), this.#payloadFill);
    this.#payloadFill += end - at;
    return end;
  }

  #finishPayload(lastParts: readonly Uint8Array[]): void {
    const head = this.#payload?.subarray(0, this.#payloadFill) ?? new Uint8Array(0);
    this.#state = 'header';
    try {
      this.sink.request(this.#header, head.length > 0 ? [head, ...lastParts] : lastParts);
    } finally {
      this.#releasePayload();
    }
  }

  #skip(at: number, end: number): number {
    const skipped = Math.min(this.#skipBytes, end - at);
    this.#skipBytes -= skipped;
    if (this.#skipBytes === 0) {
      this.#state = 'header';
      this.sink.skipped(this.#header);
    }
    return at + skipped;
  }

  #releasePayload(): void {
    const payload = this.#payload;
    this.#payload = undefined;
    if (payload) this.sink.giveBuffer(payload, this.#header.length);
  }

  #violation(reason: string): void {
    this.stop();
    this.sink.violation(reason);
  }

  #isRunning(): boolean {
    return this.#state !== 'stopped';
  }
}
