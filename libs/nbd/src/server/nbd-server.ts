// SPDX-License-Identifier: Apache-2.0
// NBD server with several exports on any number of unix sockets and TCP ports. Invariants: memory for payloads and unread replies is
// bounded for the server as a whole; a client that stalls in mid-request, negotiates too long or breaks the protocol loses its
// connection and nothing else; an export that was removed is not touched any more once `removeExport` has resolved.
import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { OperationError } from '@secondsite/units';
import { type BlockDevice, defaultBlockSizes } from '../block-device';
import { exportFlag } from '../protocol';
import { BufferPool } from './buffer-pool';
import { ByteBudget } from './byte-budget';
import { Connection, type ConnectionHost } from './connection';
import type { Agreement, OfferedExport } from './negotiation';
import { Transmission } from './transmission';

export interface NbdServerTls {
  /** `required`: nothing but STARTTLS is answered on a plain connection. */
  readonly mode: 'allowed' | 'required';
  /** Node's TLS server options: `key`, `cert`, `ca`. Client certificates are asked for and verified unless `requestCert` is false. */
  readonly options: TlsOptions;
}

export interface NbdServerOptions {
  readonly tls?: NbdServerTls;
  /** Whether this client may see and use the export. `peer` is undefined on a plain connection. Default: all. */
  readonly authorize?: (exportName: string, peer: TLSSocket | undefined) => boolean;
  /** Milliseconds from accept to the choice of an export; default 10 000. */
  readonly negotiationMillisMax?: number;
  /** Milliseconds a half-received request may stand still; default 30 000. */
  readonly stallMillisMax?: number;
  /** Default 256. When it is reached the client that has negotiated longest gives way, else the new one. */
  readonly connectionsMax?: number;
  /** Bytes of payload being received that the server holds; default 128 MiB. */
  readonly payloadBytesMax?: number;
  /** Bytes of replies that wait to be read by clients; default 128 MiB. */
  readonly replyBytesMax?: number;
  /** Requests of one connection that a device may hold; default 256. */
  readonly pendingRequestsMax?: number;
  /** Replies gathered before they are sent although more requests are at hand; default 16. */
  readonly gatheredRepliesMax?: number;
  /** Told once per connection, for logs and counters. */
  readonly onConnectionClosed?: (closed: { readonly exportName: string | undefined; readonly reason: string }) => void;
  /** A device failed with something that is no OperationError. Default: throws it, which ends the process. */
  readonly onFault?: (error: unknown) => void;
}

export interface NbdExport {
  /** At most 4096 bytes of UTF-8; '' is the default export. */
  readonly name: string;
  readonly description?: string;
  readonly device: BlockDevice;
}

export type NbdListenAddress = { readonly unixSocket: string; readonly mode?: number } | { readonly host: string; readonly port: number };

const mib = 1024 * 1024;
const receiveBufferBytes = 256 * 1024;
const keptBufferBytes = 32 * mib;
const sweepMillis = 250;

/** Every read of a socket is used up before the next one starts, so one buffer serves all connections of a thread. */
const receiveBuffer = Buffer.allocUnsafeSlow(receiveBufferBytes);

export class NbdServer {
  readonly #exports = new Map<string, { device: BlockDevice; offered: OfferedExport }>();
  readonly #connections = new Set<Connection>();
  readonly #listeners = new Set<Server>();
  readonly #pool = new BufferPool(keptBufferBytes);
  readonly #payloadBudget: ByteBudget;
  readonly #replyBudget: ByteBudget;
  readonly #waitingForClose = new Set<() => void>();
  #tls: NbdServerTls | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(private readonly options: NbdServerOptions = {}) {
    this.#tls = options.tls;
    this.#payloadBudget = new ByteBudget(options.payloadBytesMax ?? 128 * mib);
    this.#replyBudget = new ByteBudget(options.replyBytesMax ?? 128 * mib);
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Bytes held for half-received payloads and for unread replies. */
  get heldBytes(): { readonly payload: number; readonly replies: number } {
    return { payload: this.#payloadBudget.usedBytes, replies: this.#replyBudget.usedBytes };
  }

  exportNames(): string[] {
    return [...this.#exports.keys()];
  }

  /** Clients can choose it from now on. Throws an OperationError `nbd/export-exists` when the name is taken. */
  addExport(added: NbdExport): void {
    if (this.#exports.has(added.name)) throw exportExists(added.name);
    const { device, name } = added;
    const blockSizes = device.blockSizes ?? defaultBlockSizes;
    const offered = { name, description: added.description ?? '', sizeBytes: device.sizeBytes, flags: flagsOf(device), blockSizes };
    this.#exports.set(name, { device, offered });
  }

  /** Its device has another size now: later connections see it, those there are keep what they were told. An unknown name changes nothing. */
  resizeExport(name: string): void {
    const known = this.#exports.get(name);
    if (known) this.#exports.set(name, { ...known, offered: { ...known.offered, sizeBytes: known.device.sizeBytes } });
  }

  /**
   * Hides the export, lets its connections finish what they have begun, and closes them, by force after `graceMillis`. When it resolves
   * the device is not used any more. An unknown name resolves at once.
   */
  async removeExport(name: string, graceMillis = 5000): Promise<void> {
    this.#exports.delete(name);
    await this.#drop((connection) => connection.exportName === name, { graceMillis, reason: 'the export was removed' });
  }

  /** Later connections use these options, for example a renewed certificate. */
  setTls(tls: NbdServerTls): void {
    this.#tls = tls;
  }

  /** Resolves when clients can connect, with the port that was chosen for TCP. A unix socket file nobody listens on is replaced. */
  async listen(address: NbdListenAddress): Promise<{ readonly port: number }> {
    const listener = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    if ('unixSocket' in address) {
      await removeStaleSocket(address.unixSocket);
      await listening(listener, { path: address.unixSocket });
      await chmod(address.unixSocket, address.mode ?? 0o600);
    } else await listening(listener, { host: address.host, port: address.port });
    this.#listeners.add(listener);
    const bound = listener.address();
    return { port: bound !== null && typeof bound === 'object' ? (bound satisfies AddressInfo).port : 0 };
  }

  /** Stops listening and drops every connection as `removeExport` does. Unix socket files are removed. */
  async close(graceMillis = 5000): Promise<void> {
    this.#closing = true;
    const closed = [...this.#listeners].map((listener) => new Promise<void>((resolve) => listener.close(() => resolve())));
    this.#listeners.clear();
    await this.#drop(() => true, { graceMillis, reason: 'the server is shutting down' });
    await Promise.all(closed);
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #accept(socket: Socket): void {
    if (this.#closing || !this.#makeRoom()) return void socket.destroy();
    const connection = new Connection(socket, this.#host());
    this.#connections.add(connection);
    this.#sweeper ??= setInterval(() => this.#sweep(), sweepMillis).unref();
    return undefined;
  }

  #makeRoom(): boolean {
    if (this.#connections.size < (this.options.connectionsMax ?? 256)) return true;
    for (const connection of this.#connections) {
      if (connection.transmission) continue;
      this.#connections.delete(connection);
      connection.destroy('another client took the place of one that was still negotiating');
      return true;
    }
    return false;
  }

  #host(): ConnectionHost {
    const tls = this.#tls;
    return {
      tlsMode: tls?.mode ?? 'off',
      tlsOptions: () => ({ requestCert: true, rejectUnauthorized: true, ...tls?.options }),
      offered: (peer) => this.#offered(peer),
      transmission: (socket, agreement, closed) => this.#transmission(socket, { agreement, closed }),
      now: () => performance.now(),
      closed: (connection, reason) => this.#closed(connection, reason),
    };
  }

  #offered(peer: TLSSocket | undefined): OfferedExport[] {
    const { authorize } = this.options;
    return [...this.#exports.values()].map((entry) => entry.offered).filter((offered) => !authorize || authorize(offered.name, peer));
  }

  #transmission(socket: Socket, chosen: { agreement: Agreement; closed: (reason: string) => void }): Transmission | undefined {
    const entry = this.#exports.get(chosen.agreement.export.name);
    if (this.#closing || entry?.offered !== chosen.agreement.export) return undefined;
    return new Transmission({
      socket,
      agreement: chosen.agreement,
      device: entry.device,
      limits: {
        pendingRequestsMax: this.options.pendingRequestsMax ?? 256,
        queuedReplyBytesMax: 4 * mib,
        gatheredRepliesMax: this.options.gatheredRepliesMax ?? 16,
      },
      pool: this.#pool,
      payloadBudget: this.#payloadBudget,
      replyBudget: this.#replyBudget,
      receiveBuffer,
      now: () => performance.now(),
      fault: (error) => this.#fault(error),
      closed: chosen.closed,
    });
  }

  #fault(error: unknown): void {
    if (this.options.onFault) return this.options.onFault(error);
    return queueMicrotask(() => {
      throw error;
    });
  }

  #closed(connection: Connection, reason: string): void {
    this.#connections.delete(connection);
    this.options.onConnectionClosed?.({ exportName: connection.exportName, reason });
    for (const check of this.#waitingForClose) check();
    if (this.#connections.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  async #drop(which: (connection: Connection) => boolean, how: { graceMillis: number; reason: string }): Promise<void> {
    const dropped = [...this.#connections].filter(which);
    for (const connection of dropped) connection.finish(how.reason);
    const gone = (): boolean => dropped.every((connection) => !this.#connections.has(connection));
    if (gone()) return;
    const force = setTimeout(() => dropped.forEach((connection) => connection.destroy(how.reason)), how.graceMillis);
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (!gone()) return;
        this.#waitingForClose.delete(check);
        resolve();
      };
      this.#waitingForClose.add(check);
    });
    clearTimeout(force);
  }

  #sweep(): void {
    const now = performance.now();
    const stallMillisMax = this.options.stallMillisMax ?? 30_000;
    for (const connection of this.#connections) {
      const { transmission } = connection;
      if (!transmission) {
        if (now - connection.startedAt > (this.options.negotiationMillisMax ?? 10_000)) connection.destroy('the client negotiated for too long');
        continue;
      }
      // A peer that merely does not read may go on doing so (a stopped guest), unless others wait for the memory it holds.
      const inTheWay = transmission.midRequest || transmission.holdsReplyBudget;
      if (inTheWay && transmission.stalledMillis(now) > stallMillisMax) connection.destroy('the client stalled');
    }
  }
}

function flagsOf(device: BlockDevice): number {
  const always = exportFlag.hasFlags | exportFlag.sendFlush | exportFlag.sendFua | exportFlag.canMultiConn | exportFlag.sendCache;
  if (device.readOnly) return always | exportFlag.readOnly;
  return always | exportFlag.sendTrim | exportFlag.sendWriteZeroes | exportFlag.sendFastZero;
}

async function listening(listener: Server, address: { path: string } | { host: string; port: number }): Promise<void> {
  try {
    listener.listen(address);
    await once(listener, 'listening');
  } catch (cause) {
    const where = 'path' in address ? address.path : `${address.host}:${address.port}`;
    const hint = 'Check that no other program uses this address and that the folder exists.';
    throw new OperationError({ code: 'nbd/listen-failed', operation: 'listen for NBD clients', context: { where }, retryable: true, hint, cause });
  }
}

/** Removes the file of a socket whose server is gone; leaves anything else alone. */
async function removeStaleSocket(path: string): Promise<void> {
  const isSocket = await lstat(path).then(
    (found) => found.isSocket(),
    () => false,
  );
  if (!isSocket) return;
  const probe = connect(path);
  const code = await new Promise<string>((resolve) => {
    probe.on('connect', () => resolve('in use'));
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
  probe.destroy();
  if (code === 'ECONNREFUSED') await unlink(path);
}

function exportExists(name: string): OperationError {
  return new OperationError({
    code: 'nbd/export-exists',
    operation: 'add NBD export',
    context: { name },
    retryable: false,
    hint: 'Remove the export of this name first, or choose another name.',
  });
}
