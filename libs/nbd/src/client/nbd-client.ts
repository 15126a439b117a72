// SPDX-License-Identifier: Apache-2.0
// NBD client: one connection to one export, any number of requests at once. It does not reconnect: when the connection is lost every
// request fails with `nbd/disconnected` and a new client has to be made.
import { strict as assert } from 'node:assert';
import { isOperationError, OperationError } from '@secondsite/units';
import type { BlockSizes, Extent } from '../block-device';
import type { StatusExtent } from '../codec/reply-codec';
import { encodeRequest, requestHeaderBytes } from '../codec/request-codec';
import { allocationContext, allocationFlag, command, commandFlag, exportFlag } from '../protocol';
import { ClientChannel, type NbdClientOptions } from './client-channel';
import { connectionLost, protocolBroken } from './client-errors';
import { clientHandshake, clientList, type HandshakeResult } from './handshake';
import { parseNbdUri } from './nbd-uri';
import { type PendingRequest, ReplyReceiver } from './reply-receiver';

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export class NbdClient {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly canMultiConnect: boolean;
  readonly canTrim: boolean;
  readonly canZero: boolean;
  readonly blockSizes: BlockSizes;
  /** The contexts that `blockStatus` can be asked for. */
  readonly metaContexts: readonly string[];
  /** Resolves when the connection is over, with what ended it when that was not `disconnect`. */
  readonly closed: Promise<Error | undefined>;
  #nextCookie = 1;
  #failure: Error | undefined;
  #disconnecting = false;

  private constructor(
    private readonly channel: ClientChannel,
    private readonly agreed: HandshakeResult,
    private readonly receiver: ReplyReceiver,
  ) {
    this.sizeBytes = agreed.sizeBytes;
    this.blockSizes = agreed.blockSizes;
    this.readOnly = (agreed.flags & exportFlag.readOnly) !== 0;
    this.canMultiConnect = (agreed.flags & exportFlag.canMultiConn) !== 0;
    this.canTrim = (agreed.flags & exportFlag.sendTrim) !== 0;
    this.canZero = (agreed.flags & exportFlag.sendWriteZeroes) !== 0;
    this.metaContexts = [...agreed.contexts.values()];
    this.closed = channel.closed.then((failure) => {
      this.#failure ??= failure ?? connectionLost('The connection is closed.');
      receiver.failAll(this.#failure);
      return this.#disconnecting && isOperationError(this.#failure, 'nbd/disconnected') ? undefined : this.#failure;
    });
  }

  /** Opens the export. Throws OperationErrors: `nbd/bad-uri`, `nbd/connect-failed`, `nbd/unknown-export`, `nbd/refused`, `nbd/tls-failed` … */
  static async connect(uri: string, options: NbdClientOptions = {}): Promise<NbdClient> {
    const target = parseNbdUri(uri);
    const { exportName, tls } = target;
    const channel = new ClientChannel(target, options);
    const agreed = await channel.run(clientHandshake({ exportName, tls, metaContexts: options.metaContexts ?? [allocationContext] }));
    const receiver = new ReplyReceiver(agreed.structuredReplies);
    channel.receiveWith(receiver);
    return new NbdClient(channel, agreed, receiver);
  }

  /** The names of the server's exports. */
  static async list(uri: string, options: NbdClientOptions = {}): Promise<string[]> {
    const target = parseNbdUri(uri);
    const channel = new ClientChannel(target, options);
    const names = await channel.run(clientList(target.tls));
    channel.destroy();
    return names;
  }

  /** Fills `into` from `offset`. `into.length` is at most `blockSizes.maximum`. */
  async read(offset: number, into: Uint8Array): Promise<void> {
    const { length } = into;
    if (length > 0) await this.#request({ type: command.read, flags: 0, offset, length }, { operation: 'read over NBD', into });
  }

  /** `data` must not change before the promise settles. With `fua` it is on stable storage then. */
  async write(offset: number, data: Uint8Array, flags: { readonly fua?: boolean } = {}): Promise<void> {
    const { length } = data;
    if (length > 0) await this.#request({ type: command.write, flags: fuaFlag(flags), offset, length }, { operation: 'write over NBD', data });
  }

  /** Makes the range read as zeros; a hole unless `noHole`. With `fast` it fails with `storage/unsupported` rather than be slow. */
  async zero(range: ByteRange, flags: { readonly fua?: boolean; readonly noHole?: boolean; readonly fast?: boolean } = {}): Promise<void> {
    const bits = fuaFlag(flags) | (flags.noHole ? commandFlag.noHole : 0) | (flags.fast ? commandFlag.fastZero : 0);
    await this.#request({ type: command.writeZeroes, flags: bits, ...range }, { operation: 'zero over NBD' });
  }

  async trim(range: ByteRange, flags: { readonly fua?: boolean } = {}): Promise<void> {
    await this.#request({ type: command.trim, flags: fuaFlag(flags), ...range }, { operation: 'trim over NBD' });
  }

  async cache(range: ByteRange): Promise<void> {
    await this.#request({ type: command.cache, flags: 0, ...range }, { operation: 'cache over NBD' });
  }

  /** Every write that was answered before this call is on stable storage when it resolves. */
  async flush(): Promise<void> {
    await this.#request({ type: command.flush, flags: 0, offset: 0, length: 0 }, { operation: 'flush over NBD' });
  }

  /** Extents from the start of the range, perhaps fewer than asked for (at least one), with the context's own flags. */
  async blockStatus(range: ByteRange, context: string): Promise<readonly StatusExtent[]> {
    const id = [...this.agreed.contexts].find(([, name]) => name === context)?.[0];
    if (id === undefined) throw noContext(context);
    const status = new Map<number, StatusExtent[]>();
    await this.#request({ type: command.blockStatus, flags: 0, ...range }, { operation: 'query block status over NBD', status });
    const extents = status.get(id);
    if (!extents) throw protocolBroken('The server left out the block status that was asked for.');
    return extents;
  }

  /** `base:allocation` of the whole range, in as many requests as it takes; all data when the server does not know. */
  async allocation(range: ByteRange): Promise<Extent[]> {
    const { offset } = range;
    if (!this.metaContexts.includes(allocationContext)) return [{ length: range.length, hole: false, zero: false }];
    const extents: Extent[] = [];
    for (let done = 0; done < range.length; ) {
      const length = Math.min(range.length - done, 0xffff0000);
      for (const extent of await this.blockStatus({ offset: offset + done, length }, allocationContext)) {
        const kept = Math.min(extent.length, range.length - done);
        if (kept > 0) extents.push({ length: kept, hole: (extent.flags & allocationFlag.hole) !== 0, zero: (extent.flags & allocationFlag.zero) !== 0 });
        done += kept;
      }
    }
    return extents;
  }

  /** Ends the connection after the requests made so far. */
  async disconnect(): Promise<void> {
    if (!this.#failure && !this.#disconnecting) {
      this.#disconnecting = true;
      const header = Buffer.alloc(requestHeaderBytes);
      encodeRequest(header, 0, { type: command.disconnect, flags: 0, cookieHigh: 0, cookieLow: 0, offset: 0, length: 0 });
      this.channel.send(header);
    }
    await this.closed;
  }

  /** Drops the connection at once; requests fail. */
  destroy(): void {
    this.channel.destroy();
  }

  #request(
    header: { type: number; flags: number; offset: number; length: number },
    request: { operation: string; into?: Uint8Array; data?: Uint8Array; status?: Map<number, StatusExtent[]> },
  ): Promise<void> {
    assert(Number.isSafeInteger(header.offset) && header.offset >= 0 && header.length >= 0 && header.length <= 0xffffffff, 'a range of bytes');
    assert(!(request.into ?? request.data) || header.length <= this.blockSizes.maximum, `a payload of at most ${this.blockSizes.maximum} bytes`);
    if (this.#failure || this.#disconnecting) return Promise.reject(this.#failure ?? connectionLost('The client has disconnected.'));
    const cookie = this.#takeCookie();
    const bytes = Buffer.allocUnsafe(requestHeaderBytes);
    encodeRequest(bytes, 0, { ...header, cookieHigh: 0, cookieLow: cookie });
    return new Promise((resolve, reject) => {
      const { operation, into, status } = request;
      const pending: PendingRequest = {
        operation,
        offset: header.offset,
        length: header.length,
        ...(into && { into }),
        ...(status && { status }),
        receivedBytes: 0,
        done: (failure) => (failure ? reject(failure) : resolve()),
      };
      this.receiver.add(cookie, pending);
      this.channel.send(bytes, request.data);
    });
  }

  #takeCookie(): number {
    do this.#nextCookie = (this.#nextCookie + 1) >>> 0;
    while (this.receiver.has(this.#nextCookie));
    return this.#nextCookie;
  }
}

function fuaFlag(flags: { readonly fua?: boolean }): number {
  return flags.fua ? commandFlag.fua : 0;
}

function noContext(context: string): OperationError {
  const hint = 'Ask for it when connecting, and check that the server exports it.';
  return new OperationError({ code: 'nbd/no-context', operation: 'query block status over NBD', context: { context }, retryable: false, hint });
}
