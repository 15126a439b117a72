// SPDX-License-Identifier: Apache-2.0
/**
 * Keeps one connection to NATS for the life of the process. It never gives up: not at the start, not when the server is away for hours, not
 * on authentication errors (a renewed certificate cures those). TLS files are read again at each connection, so rotation needs no restart.
 */
import { OperationError } from '@secondsite/units';
import { connect, type ConnectionOptions, Events, type NatsConnection } from 'nats';
import { EventEmitter, once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type BusLog, silentLog } from './bus-log';

/** Paths of PEM files. */
export interface BusTlsFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export interface NatsLinkOptions {
  /** `host:port` or `nats://…` / `tls://…`; several for a cluster. */
  readonly servers: readonly string[];
  /** Shown in the server's monitoring. */
  readonly name: string;
  /** Prefix of the subjects that replies come to; default `_INBOX`. */
  readonly inboxPrefix?: string | undefined;
  /** Absent: plain text, only for development. */
  readonly tls?: BusTlsFiles | undefined;
  readonly log?: BusLog | undefined;
}

const retryMillis = 250;

export class NatsLink {
  private readonly log: BusLog;
  private readonly states = new EventEmitter();
  private readonly stop = new AbortController();
  private current: NatsConnection | undefined;
  private up = false;
  private readonly running: Promise<void>;

  constructor(private readonly options: NatsLinkOptions) {
    this.log = options.log ?? silentLog;
    this.states.setMaxListeners(0);
    this.running = this.keepConnected();
  }

  get isConnected(): boolean {
    return this.up;
  }

  get isClosing(): boolean {
    return this.stop.signal.aborted;
  }

  /** The live connection. Throws OperationError `bus/not-connected` while there is none. */
  connection(): NatsConnection {
    if (this.current && this.up) return this.current;
    throw this.notConnected('use the bus');
  }

  /** Resolves once connected. Throws OperationError `bus/not-connected` after the time limit or when the link is closed. */
  async whenConnected(timeoutMillis: number): Promise<NatsConnection> {
    if (this.up) return this.connection();
    const limit = AbortSignal.any([AbortSignal.timeout(timeoutMillis), this.stop.signal]);
    try {
      await once(this.states, 'connected', { signal: limit });
    } catch (cause) {
      throw this.notConnected('wait for the bus', cause);
    }
    return this.connection();
  }

  /** Resolves when all that the server had sent before the call has arrived, or after the time limit, or at once without a connection. */
  async flush(timeoutMillis: number): Promise<void> {
    if (!this.up) return;
    const limit = delay(timeoutMillis, undefined, { ref: false });
    await Promise.race([this.connection().flush().catch(() => undefined), limit]); // A connection that breaks now has nothing more to say.
  }

  /** Calls back at every connection and reconnection, also at once when connected now. Returns how to stop that. */
  onConnected(listener: () => void): () => void {
    this.states.on('connected', listener);
    if (this.up) listener();
    return () => this.states.off('connected', listener);
  }

  onDisconnected(listener: () => void): () => void {
    this.states.on('disconnected', listener);
    return () => this.states.off('disconnected', listener);
  }

  /** Sends what is buffered, then closes. Idempotent. */
  async close(): Promise<void> {
    this.stop.abort();
    const connection = this.current;
    if (connection && !connection.isClosed()) {
      const wasUp = this.up;
      this.setUp(false);
      await (wasUp ? connection.drain().catch(() => connection.close()) : connection.close());
    }
    await this.running;
  }

  private async keepConnected(): Promise<void> {
    while (!this.stop.signal.aborted) {
      const connection = await this.connectOnce();
      if (!connection) {
        await delay(retryMillis + Math.random() * retryMillis, undefined, { signal: this.stop.signal }).catch(() => undefined);
        continue;
      }
      await this.follow(connection);
    }
  }

  private async connectOnce(): Promise<NatsConnection | undefined> {
    try {
      const connection = await connect(this.connectionOptions());
      if (!this.stop.signal.aborted) return connection;
      await connection.close();
    } catch (error) {
      this.log.warn({ err: error, servers: this.options.servers }, 'NATS cannot be reached; trying again');
    }
    return undefined;
  }

  private connectionOptions(): ConnectionOptions {
    const { tls } = this.options;
    return {
      servers: [...this.options.servers], name: this.options.name, timeout: 5_000, maxReconnectAttempts: -1, reconnectTimeWait: retryMillis,
      reconnectJitter: 100, reconnectJitterTLS: 100, ignoreAuthErrorAbort: true, pingInterval: 10_000, maxPingOut: 2, noAsyncTraces: true,
      ignoreClusterUpdates: true, ...(tls ? { tls: { ...tls } } : {}),
      ...(this.options.inboxPrefix === undefined ? {} : { inboxPrefix: this.options.inboxPrefix }),
    };
  }

  /** Follows the state of a connection until it is closed for good. */
  private async follow(connection: NatsConnection): Promise<void> {
    this.current = connection;
    this.setUp(true);
    void this.watchStates(connection);
    const reason = await connection.closed();
    this.setUp(false);
    if (!this.stop.signal.aborted) this.log.warn({ err: reason }, 'the NATS connection was closed; connecting anew');
  }

  /** The client's list of states may stay open after the connection was closed, so nothing waits for its end. */
  private async watchStates(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (connection !== this.current || this.stop.signal.aborted) return;
      if (status.type === Events.Disconnect) this.setUp(false);
      if (status.type === Events.Reconnect) this.setUp(true);
    }
  }

  private setUp(up: boolean): void {
    if (this.up === up) return;
    this.up = up;
    this.log.info({ servers: this.options.servers }, up ? 'NATS is connected' : 'NATS is disconnected');
    this.states.emit(up ? 'connected' : 'disconnected');
  }

  private notConnected(operation: string, cause?: unknown): OperationError {
    return new OperationError({
      code: 'bus/not-connected', operation, context: { servers: this.options.servers.join(',') }, retryable: true, cause,
      hint: 'NATS cannot be reached now; it is tried again until it can.',
    });
  }
}
