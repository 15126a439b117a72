// SPDX-License-Identifier: Apache-2.0
// Purpose: sends change sets to the next hop over a few keep-alive connections. Bodies go out as they lie in memory, without a copy.
// Whatever goes wrong comes back as a value: the caller's only question is what to do next.
import type { Transfer } from '@secondsite/traffic-shaping';
import { type ByteCount, MIB, OperationError, type SequenceNumber } from '@secondsite/units';
import { Agent as PlainAgent, type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import {
  type ChangeSetKey, changeSetPath, type CompareAnswer, comparisonPath, type CopyAnswer, copyPath, oldestPendingHeader, type PositionAnswer, positionPath, type PutOutcome, type Unreachable,
} from './change-set-protocol';
import { suitCongestionControl } from './congestion';
import { type ChangeSetPlace, lateTracesHeader, lateTracesText } from './late-traces';
import { compareAnswerFromReply, copyAnswerFromReply, type HttpReply, positionFromReply, putOutcomeFromReply, unreachable } from './http-reply';

export interface ChangeSetClientOptions {
  /** `https://host:port` of the receiver, or `http://…` with the development switch. */
  readonly url: string;
  /** Required for https: our certificate and key, the authority, and how to check the server (`clientTlsOptions`). */
  readonly tls?: ConnectionOptions;
  /** Default 4; further requests wait for a free connection. */
  readonly connectionsMax?: number;
  /** TCP and TLS must be up in this time; default 10 s. */
  readonly connectMillisMax?: number;
  /** No byte sent or received for this time: given up; default 60 s. It must cover the receiver's slowest write to disk. */
  readonly idleMillisMax?: number;
}

export interface PutOptions extends ChangeSetKey {
  readonly traceparent?: string | undefined;
  /** See StoreRequest. */
  readonly oldestPending?: SequenceNumber | undefined;
  /** The body's turn on a limited link, which sets its pace and is ended when the body is sent. Undefined: as fast as it goes. */
  readonly transfer?: Transfer | undefined;
  /** See StoreRequest; at most 16. */
  readonly lateTraces?: readonly ChangeSetPlace[] | undefined;
  /** Gives the request up: the outcome is `unreachable` with `transport/cancelled`. */
  readonly signal?: AbortSignal | undefined;
}

export interface CompareOptions extends ChangeSetKey {
  readonly signal?: AbortSignal | undefined;
}

interface Exchange {
  readonly method: 'PUT' | 'GET' | 'POST';
  readonly path: string;
  readonly parts: readonly Uint8Array[];
  readonly headers: Record<string, string | number>;
  readonly signal: AbortSignal | undefined;
  /** Default 64 KiB. */
  readonly replyBytesMax?: ByteCount;
  /** Has a limit for how fast the body may go out. */
  readonly transfer: Transfer | undefined;
  /** The kernel has all of the body. */
  readonly bodySent?: () => void;
}

const freeSocketMillisMax = 30_000;
const replyBytesMax = 65_536;
/** A piece of a copied pair, see CopyRequest. */
const copiedBytesMax = 5 * MIB;

export class ChangeSetClient {
  private readonly base: URL;
  private agent: PlainAgent;
  /** For questions, which may take the receiver a while: change sets do not wait behind them. */
  private askingAgent: PlainAgent;
  private tls: ConnectionOptions | undefined;
  private closed = false;
  /** The body that is being handed to the kernel. */
  private sending: Promise<void> = Promise.resolve();

  constructor(private readonly options: ChangeSetClientOptions) {
    this.base = new URL(options.url);
    this.tls = options.tls;
    this.agent = this.createAgent();
    this.askingAgent = this.createAgent();
  }

  /**
   * Sends one change set. `parts` are sent one after the other; do not change their bytes before the promise settles. Never rejects.
   * Bodies go out one at a time, in the order of the calls, while the answers to those before are awaited: they arrive in order, and the
   * oldest is not held up by the ones behind it.
   * Repeating is harmless. A kept connection that the receiver just closed is replaced once without the caller noticing.
   */
  async put(parts: readonly Uint8Array[], { pairId, epoch, sequence, traceparent, oldestPending, transfer, lateTraces = [], signal }: PutOptions): Promise<PutOutcome> {
    const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
    const headers = {
      'content-type': 'application/octet-stream',
      'content-length': length,
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(oldestPending === undefined ? {} : { [oldestPendingHeader]: oldestPending }),
      ...(lateTraces.length === 0 ? {} : { [lateTracesHeader]: lateTracesText(lateTraces) }),
    };
    const before = this.sending;
    const { promise: sent, resolve } = Promise.withResolvers<void>();
    this.sending = sent;
    await before;
    const bodySent = (): void => {
      transfer?.end();
      resolve();
    };
    const exchange = { method: 'PUT', path: changeSetPath({ pairId, epoch, sequence }), parts, headers, signal, transfer, bodySent } as const;
    const reply = await this.exchange(exchange).finally(bodySent);
    return 'kind' in reply ? reply : putOutcomeFromReply(reply);
  }

  /** Asks where the receiver is. Never rejects. */
  async position(pairId: string, signal?: AbortSignal): Promise<PositionAnswer> {
    const reply = await this.exchange({ method: 'GET', path: positionPath(pairId), parts: [], headers: {}, signal, transfer: undefined });
    return 'kind' in reply ? reply : positionFromReply(reply);
  }

  /** Asks what differs at the replica; see CompareRequest. Never rejects. The answer is unchecked. */
  async compare(question: Uint8Array, { pairId, epoch, sequence, signal }: CompareOptions): Promise<CompareAnswer> {
    const headers = { 'content-type': 'application/octet-stream', 'content-length': question.byteLength };
    const reply = await this.exchange({ method: 'POST', path: comparisonPath({ pairId, epoch, sequence }), parts: [question], headers, signal, transfer: undefined });
    return 'kind' in reply ? reply : compareAnswerFromReply(reply);
  }

  /** Asks for a part of a pair that is copied; see CopyRequest. Never rejects. The answer is unchecked. */
  async copy(question: Uint8Array, { pairId, signal }: { readonly pairId: string; readonly signal?: AbortSignal | undefined }): Promise<CopyAnswer> {
    const headers = { 'content-type': 'application/octet-stream', 'content-length': question.byteLength };
    const reply = await this.exchange({ method: 'POST', path: copyPath(pairId), parts: [question], headers, signal, replyBytesMax: copiedBytesMax, transfer: undefined });
    return 'kind' in reply ? reply : copyAnswerFromReply(reply);
  }

  /** Uses a renewed certificate from the next connection on; requests under way finish on theirs. */
  setTls(tls: ConnectionOptions): void {
    const old = [this.agent, this.askingAgent];
    this.tls = tls;
    this.agent = this.createAgent();
    this.askingAgent = this.createAgent();
    for (const sockets of old.flatMap((agent) => Object.values(agent.freeSockets))) sockets?.forEach((socket) => socket.destroy());
  }

  /** Ends all connections; requests under way end as `unreachable`. */
  close(): void {
    this.closed = true;
    this.agent.destroy();
    this.askingAgent.destroy();
  }

  private createAgent(): PlainAgent {
    const { connectionsMax = 4 } = this.options;
    const pool = { keepAlive: true, maxSockets: connectionsMax, maxFreeSockets: connectionsMax, scheduling: 'lifo' as const, timeout: freeSocketMillisMax };
    return this.base.protocol === 'https:' ? new SecureAgent({ ...pool, ...this.tls }) : new PlainAgent(pool);
  }

  private async exchange(exchange: Exchange): Promise<HttpReply | Unreachable> {
    try {
      return await this.attempt(exchange);
    } catch (error) {
      if (!(error instanceof StaleConnection)) return unreachable(error, this.base);
    }
    return this.attempt(exchange).catch((error: unknown) => unreachable(error, this.base));
  }

  private attempt({ method, path, parts, headers, signal, transfer, bodySent, replyBytesMax: bytesMax = replyBytesMax }: Exchange): Promise<HttpReply> {
    return new Promise((resolve, reject) => {
      if (this.closed || signal?.aborted) throw cancelled();
      const send = this.base.protocol === 'https:' ? secureRequest : plainRequest;
      const request = send(this.base, { method, path, headers, agent: method === 'POST' ? this.askingAgent : this.agent });
      let answered = false;
      const cancel = () => request.destroy(cancelled());
      signal?.addEventListener('abort', cancel, { once: true });
      request.once('close', () => signal?.removeEventListener('abort', cancel));
      request.once('socket', (socket) => {
        if (socket.connecting) suitCongestionControl(socket);
        this.limitTime(request, socket);
      });
      request.once('response', (response) => {
        answered = true;
        readReply(response, bytesMax).then(resolve, reject).finally(() => stopSending(request));
      });
      if (bodySent) request.once('finish', bodySent);
      request.on('error', (error) => reject(!answered && isStale(request, error) ? new StaleConnection() : error));
      writeParts(request, { parts, transfer });
    });
  }

  private limitTime(request: ClientRequest, socket: Socket): void {
    const { connectMillisMax = 10_000, idleMillisMax = 60_000 } = this.options;
    request.setTimeout(idleMillisMax, () => request.destroy(timedOut('no byte moved', idleMillisMax)));
    if (!socket.connecting) return;
    const timer = setTimeout(() => request.destroy(timedOut('no connection', connectMillisMax)), connectMillisMax);
    socket.once(this.base.protocol === 'https:' ? 'secureConnect' : 'connect', () => clearTimeout(timer));
    request.once('close', () => clearTimeout(timer));
  }
}

/** The receiver closed a kept connection while the request was on its way. */
class StaleConnection extends Error {}

function isStale(request: ClientRequest, error: Error & { code?: string }): boolean {
  return request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

/**
 * Hands the body to the connection slice by slice, as it drains: writing (and encrypting) megabytes at once would hold up whoever shares
 * the thread, such as the agent's tap, for milliseconds.
 */
function writeParts(request: ClientRequest, { parts, transfer }: Pick<Exchange, 'parts' | 'transfer'>): void {
  const slices = slicesOf(parts, transfer ? pacedSliceBytes : sliceBytes);
  const writeOn = (): void => {
    for (let next = slices.next(); !next.done; next = slices.next()) {
      const slice = next.value;
      const due = transfer?.pace(slice.byteLength);
      if (due) return void due.then(() => writeWhenDue(slice));
      if (!request.write(slice)) return void request.once('drain', writeOn);
    }
    request.end();
  };
  const writeWhenDue = (slice: Uint8Array): void => {
    if (request.destroyed) return;
    if (request.write(slice)) writeOn();
    else request.once('drain', writeOn);
  };
  writeOn();
}

const sliceBytes = 256 * 1024;
/** Small enough for a slow link not to fall silent between two of them. */
const pacedSliceBytes = 32 * 1024;

function* slicesOf(parts: readonly Uint8Array[], sliceBytes: ByteCount): Generator<Uint8Array> {
  for (const part of parts) {
    for (let start = 0; start < part.byteLength; start += sliceBytes) yield part.subarray(start, start + sliceBytes);
  }
}

/** A receiver that answers before it has everything (a refusal) needs no more of the body; the connection cannot be used again. */
function stopSending(request: ClientRequest): void {
  if (!request.writableFinished) request.destroy();
}

async function readReply(response: IncomingMessage, bytesMax: ByteCount): Promise<HttpReply> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error(`the answer is longer than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks), retryAfter: response.headers['retry-after'] };
}

function cancelled(): OperationError {
  const hint = 'The component is stopping or has turned to other work; the change set is sent again later.';
  return new OperationError({ code: 'transport/cancelled', operation: 'send to the next hop', retryable: true, hint });
}

function timedOut(what: string, limitMillis: number): OperationError {
  const hint = 'Check the network between the two and the load of the receiver.';
  return new OperationError({ code: 'transport/timeout', operation: 'send to the next hop', context: { what, limitMillis }, retryable: true, hint });
}
