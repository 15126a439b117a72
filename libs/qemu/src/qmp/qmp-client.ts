// SPDX-License-Identifier: Apache-2.0
// A QMP connection over a unix socket: commands with ids, their answers, and events in the order QEMU sent them.
// Invariants: every command settles exactly once (answer, error, time limit or closed connection); no command is repeated.
// QEMU serves one client per QMP socket: a second one waits unanswered until the first leaves, so `connect` has a time limit.
// Source: QEMU Machine Protocol specification 0.1, sections 2.2 (greeting), 2.3 (commands), 2.5 (events), 4 (capabilities).
import { createConnection, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { OperationError } from '@secondsite/units';
import { timeLimitError } from '../host-tools/wait-until';
import { parseQmpMessage, type QmpArguments, type QmpEvent, type QmpGreeting, type QmpMessage } from './qmp-message';

const lineBytesMax = 64 * 1024 * 1024;
const connectRetryMillis = 20;

interface PendingCommand {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export interface QmpConnectOptions {
  readonly socketPath: string;
  /** For the socket to appear, the greeting and the capabilities together. Default 10 s. */
  readonly timeLimitMillis?: number;
}

export interface QmpExecuteOptions {
  /** Default 30 s. */
  readonly timeLimitMillis?: number;
  /** Carried out at once even while QEMU's main loop waits; only for commands QEMU allows it for (`yank`). */
  readonly outOfBand?: boolean;
}

export class QmpClient {
  /** Settles when the connection is gone, for whatever reason; never rejects. Reconnecting is the caller's business. */
  readonly closed: Promise<void>;
  private nextId = 1;
  private received = '';
  private isOpen = true;
  private settleClosed: () => void = () => undefined;
  private takesOutOfBand = false;
  private onGreeting: (greeting: QmpGreeting) => void = () => undefined;
  private readonly pending = new Map<number, PendingCommand>();
  private readonly listeners = new Set<(event: QmpEvent) => void>();

  private constructor(
    private readonly socket: Socket,
    readonly socketPath: string,
  ) {
    this.closed = new Promise((resolve) => (this.settleClosed = resolve));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => this.receive(chunk));
    socket.on('error', (error) => this.shut(error));
    socket.on('close', () => this.shut(undefined));
  }

  /**
   * Connects, waiting for a socket that is not there yet, and negotiates capabilities.
   * Fails with `qmp/unreachable` (nobody listens) or `qmp/no-greeting` (another client holds the socket).
   */
  static async connect(options: QmpConnectOptions): Promise<QmpClient> {
    const deadlineMillis = performance.now() + (options.timeLimitMillis ?? 10_000);
    const client = new QmpClient(await openSocket({ socketPath: options.socketPath, deadlineMillis }), options.socketPath);
    try {
      const { capabilities } = await client.greeted(deadlineMillis);
      client.takesOutOfBand = capabilities.includes('oob');
      const enable = client.takesOutOfBand ? ['oob'] : [];
      await client.execute('qmp_capabilities', { enable }, { timeLimitMillis: Math.max(1, deadlineMillis - performance.now()) });
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  get open(): boolean {
    return this.isOpen;
  }

  /**
   * Runs one command and gives its `return` value.
   * Fails with `qmp/refused` (QEMU's class and description in `context`), `qmp/closed`, or `qemu/time-limit`
   * (then it is unknown whether QEMU did it).
   */
  execute(command: string, args: QmpArguments = {}, options: QmpExecuteOptions = {}): Promise<unknown> {
    if (!this.isOpen) return Promise.reject(closedError(command, undefined));
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timeLimitMillis = options.timeLimitMillis ?? 30_000;
      const timer = setTimeout(() => this.expire(id, timeLimitMillis), timeLimitMillis);
      this.pending.set(id, { command, resolve, reject, timer });
      const verb = options.outOfBand && this.takesOutOfBand ? 'exec-oob' : 'execute';
      this.socket.write(`${JSON.stringify({ [verb]: command, arguments: args, id })}\n`);
    });
  }

  /** Calls the listener for every event from now on, in order; returns the function that ends it. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The first event from now on that matches. */
  waitForEvent(matches: (event: QmpEvent) => boolean, timeLimitMillis: number): Promise<QmpEvent> {
    return new Promise((resolve, reject) => {
      const end = this.onEvent((event) => {
        if (!matches(event)) return;
        finish();
        resolve(event);
      });
      const fail = (error: Error): void => {
        finish();
        reject(error);
      };
      const hint = 'Check that the machine still runs.';
      const timer = setTimeout(() => fail(timeLimitError({ operation: 'wait for a QEMU event', timeLimitMillis, hint })), timeLimitMillis);
      const finish = (): void => {
        clearTimeout(timer);
        end();
      };
      void this.closed.then(() => fail(closedError('wait for event', undefined)));
    });
  }

  /** Drops the connection; QEMU and everything it does go on. Commands without an answer fail with `qmp/closed`. */
  close(): void {
    this.shut(undefined);
  }

  private greeted(deadlineMillis: number): Promise<QmpGreeting> {
    return new Promise((resolve, reject) => {
      const fail = (): void => reject(noGreetingError(this.socketPath));
      const timer = setTimeout(fail, Math.max(1, deadlineMillis - performance.now()));
      this.onGreeting = (greeting) => {
        clearTimeout(timer);
        resolve(greeting);
      };
      void this.closed.then(() => {
        clearTimeout(timer);
        fail();
      });
    });
  }

  private receive(chunk: string): void {
    this.received += chunk;
    for (;;) {
      const end = this.received.indexOf('\n');
      if (end < 0) break;
      const line = this.received.slice(0, end);
      this.received = this.received.slice(end + 1);
      const message = parseQmpMessage(line);
      if (!message) return this.shut(new Error('QEMU sent something that is no QMP message'));
      this.dispatch(message);
    }
    if (this.received.length > lineBytesMax) this.shut(new Error('QEMU sent a line without end'));
  }

  private dispatch(message: QmpMessage): void {
    if (message.kind === 'greeting') this.onGreeting(message);
    else if (message.kind === 'event') for (const listener of [...this.listeners]) listener(message.event);
    else this.settle(message);
  }

  private settle(message: Extract<QmpMessage, { kind: 'return' | 'error' }>): void {
    const pending = message.id === undefined ? undefined : this.take(message.id);
    if (!pending) return; // The answer of a command whose time limit had passed.
    if (message.kind === 'return') pending.resolve(message.value);
    else pending.reject(refusedError({ command: pending.command, errorClass: message.errorClass, description: message.description }));
  }

  private take(id: number): PendingCommand | undefined {
    const pending = this.pending.get(id);
    if (!pending) return undefined;
    clearTimeout(pending.timer);
    this.pending.delete(id);
    return pending;
  }

  private expire(id: number, timeLimitMillis: number): void {
    const pending = this.take(id);
    const hint = 'QEMU may be stopped or busy; whether the command was carried out is unknown.';
    pending?.reject(timeLimitError({ operation: `QMP ${pending.command}`, timeLimitMillis, hint }));
  }

  private shut(cause: Error | undefined): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.socket.destroy();
    for (const id of [...this.pending.keys()]) {
      const pending = this.take(id);
      pending?.reject(closedError(pending.command, cause));
    }
    this.settleClosed();
  }
}

async function openSocket(options: { socketPath: string; deadlineMillis: number }): Promise<Socket> {
  for (;;) {
    const outcome = await tryConnect(options.socketPath);
    if (outcome.socket) return outcome.socket;
    if (performance.now() > options.deadlineMillis) throw unreachableError(options.socketPath, outcome.error);
    await delay(connectRetryMillis);
  }
}

function tryConnect(socketPath: string): Promise<{ socket: Socket } | { socket?: never; error: Error }> {
  return new Promise((resolve) => {
    const socket = createConnection({ path: socketPath });
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve({ socket });
    });
    socket.once('error', (error) => resolve({ error }));
  });
}

function unreachableError(socketPath: string, cause: Error): OperationError {
  const hint = 'Start the machine with -qmp unix:<socket>,server=on,wait=off and check the path and its rights.';
  return new OperationError({ code: 'qmp/unreachable', operation: 'connect to QEMU', context: { socketPath }, retryable: true, hint, cause });
}

function noGreetingError(socketPath: string): OperationError {
  const hint = 'Another program probably holds this QMP socket (QEMU serves one client each): give Secondsite a QMP socket of its own.';
  return new OperationError({ code: 'qmp/no-greeting', operation: 'connect to QEMU', context: { socketPath }, retryable: true, hint });
}

function refusedError(refusal: { command: string; errorClass: string; description: string }): OperationError {
  const { command, errorClass, description } = refusal;
  const cause = new Error(description);
  const context = { command, class: errorClass, description };
  return new OperationError({ code: 'qmp/refused', operation: `QMP ${command}`, context, retryable: false, hint: 'See the cause.', cause });
}

function closedError(command: string, cause: Error | undefined): OperationError {
  const hint = 'QEMU ended or dropped the connection: connect again if the machine still runs.';
  return new OperationError({ code: 'qmp/closed', operation: `QMP ${command}`, retryable: true, hint, ...(cause ? { cause } : {}) });
}
