// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { type ResourceLimits, Worker } from 'node:worker_threads';
import type { EventName, NoticeName, RequestInput, RequestName, RequestOutput, ThreadContract, TransferList } from './thread-contract';
import { errorFromPlain, type MessageToMain, type MessageToWorker, plainFromError } from './thread-message';

export interface HostOptions<Api extends ThreadContract> {
  /** Shown in errors and as the thread's name, e.g. `pair 6f1c…`. Default: the worker file. */
  readonly name?: string;
  /** Listeners that must miss no event, not even one sent while the worker starts. */
  readonly events?: { readonly [K in EventName<Api>]?: (data: Api['events'][K]) => void };
  /** Memory inside `workerData` that moves instead of being copied. */
  readonly transfer?: TransferList;
  readonly resourceLimits?: ResourceLimits;
  /** Default 60 s. */
  readonly startMillisMax?: number;
  /** How long `close` waits for the worker's own close before it stops the thread. Default 30 s. */
  readonly closeMillisMax?: number;
}

/** How a thread ended: as asked by `close`, or by itself (then every pending and later call fails with `thread/died`). */
export type ThreadExit = { readonly kind: 'closed' } | { readonly kind: 'died'; readonly error: OperationError };

/** The main side of one worker thread. */
export interface HostedThread<Api extends ThreadContract> {
  /**
   * Asks the worker and waits for its reply. Memory in `transfer` moves. Rejects with the handler's error (an OperationError keeps all
   * its fields) or with `thread/died` / `thread/closed`.
   */
  call<K extends RequestName<Api>>(name: K, input: RequestInput<Api, K>, transfer?: TransferList): Promise<RequestOutput<Api, K>>;
  /** Sends one way. Lost without notice when the thread has ended: watch `exited`. */
  notify<K extends NoticeName<Api>>(name: K, data: Api['notices'][K], transfer?: TransferList): void;
  /** Listens to one kind of event; the returned function stops listening. A listener that throws stops the process: it is a programmer's error. */
  on<K extends EventName<Api>>(name: K, listener: (data: Api['events'][K]) => void): () => void;
  /** Resolves once, when the thread has ended; never rejects. */
  readonly exited: Promise<ThreadExit>;
  /** Lets the worker's `close` handler finish, then stops the thread. Idempotent. Rejects with that handler's error, after the thread has stopped. */
  close(): Promise<void>;
}

/**
 * Starts `workerFile` (compiled JavaScript, see `compiledWorker`) and waits until its `serveThread` is ready.
 * Rejects with the worker's own error when its start fails, `thread/start-timeout` when it does not answer.
 */
export async function hostInThread<Api extends ThreadContract>(
  workerFile: string,
  workerData: unknown,
  options: HostOptions<Api> = {},
): Promise<HostedThread<Api>> {
  const thread = new WorkerHost<Api>(workerFile, workerData, options);
  await thread.started;
  return thread;
}

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

class WorkerHost<Api extends ThreadContract> implements HostedThread<Api> {
  readonly started: Promise<void>;
  readonly exited: Promise<ThreadExit>;
  private readonly worker: Worker;
  private readonly name: string;
  private readonly pending = new Map<number, Pending>();
  private readonly listeners = new Map<string, Set<(data: never) => void>>();
  private readonly start = Promise.withResolvers<void>();
  private readonly closeReply = Promise.withResolvers<void>();
  private lastId = 0;
  private fault: Error | undefined;
  private end: OperationError | undefined;
  private closing: Promise<void> | undefined;

  constructor(
    workerFile: string,
    workerData: unknown,
    private readonly options: HostOptions<Api>,
  ) {
    this.name = options.name ?? workerFile;
    for (const [name, listener] of Object.entries(options.events ?? {})) this.listen(name, listener as (data: never) => void);
    this.worker = new Worker(workerFile, {
      workerData,
      name: this.name,
      // Of this moment, also where the process object is not the one of Node (a test runner's).
      env: process.env,
      transferList: [...(options.transfer ?? [])],
      ...(options.resourceLimits === undefined ? {} : { resourceLimits: options.resourceLimits }),
    });
    this.exited = this.watch();
    this.started = this.limitStart(options.startMillisMax ?? 60_000);
  }

  async call<K extends RequestName<Api>>(name: K, input: RequestInput<Api, K>, transfer: TransferList = []): Promise<RequestOutput<Api, K>> {
    if (this.end !== undefined) throw this.end;
    if (this.closing !== undefined) throw this.endError('thread/closed');
    const id = ++this.lastId;
    this.post({ type: 'request', id, name, data: input }, transfer);
    const reply = Promise.withResolvers<RequestOutput<Api, K>>();
    this.pending.set(id, reply);
    return reply.promise;
  }

  notify<K extends NoticeName<Api>>(name: K, data: Api['notices'][K], transfer: TransferList = []): void {
    this.post({ type: 'notice', name, data }, transfer);
  }

  on<K extends EventName<Api>>(name: K, listener: (data: Api['events'][K]) => void): () => void {
    return this.listen(name, listener);
  }

  close(): Promise<void> {
    this.closing ??= this.closeOnce();
    return this.closing;
  }

  private async closeOnce(): Promise<void> {
    if (this.end !== undefined) return;
    this.post({ type: 'close' }, []);
    const timer = setTimeout(() => this.closeReply.reject(this.endError('thread/close-timeout')), this.options.closeMillisMax ?? 30_000);
    try {
      await Promise.race([this.closeReply.promise, this.exited]);
    } finally {
      clearTimeout(timer);
      await this.worker.terminate();
      await this.exited;
    }
  }

  private post(message: MessageToWorker, transfer: TransferList): void {
    this.worker.postMessage(message, [...transfer]);
  }

  private listen(name: string, listener: (data: never) => void): () => void {
    const listeners = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  private watch(): Promise<ThreadExit> {
    this.closeReply.promise.catch(() => undefined);
    this.worker.on('message', (message: MessageToMain) => this.receive(message));
    this.worker.on('error', (error) => (this.fault ??= errorFromPlain(plainFromError(error))));
    this.worker.on('messageerror', (error) => this.abandon(error));
    return new Promise((resolve) => {
      this.worker.once('exit', (code) => {
        const asked = this.closing !== undefined && this.fault === undefined;
        this.end = this.endError(asked ? 'thread/closed' : 'thread/died', code);
        for (const { reject } of this.pending.values()) reject(this.end);
        this.pending.clear();
        this.start.reject(this.end);
        resolve(asked ? { kind: 'closed' } : { kind: 'died', error: this.end });
      });
    });
  }

  /** A message that cannot be read leaves its caller waiting for ever, so the thread is given up. */
  private abandon(error: Error): void {
    this.fault ??= errorFromPlain(plainFromError(error));
    void this.worker.terminate();
  }

  private async limitStart(startMillisMax: number): Promise<void> {
    const timer = setTimeout(() => this.start.reject(this.endError('thread/start-timeout')), startMillisMax);
    try {
      await this.start.promise;
    } catch (error) {
      await this.worker.terminate();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private receive(message: MessageToMain): void {
    switch (message.type) {
      case 'reply':
        return this.take(message.id)?.resolve(message.data as never);
      case 'failure':
        return this.take(message.id)?.reject(errorFromPlain(message.error));
      case 'event':
        return this.listeners.get(message.name)?.forEach((listener) => listener(message.data as never));
      case 'ready':
        return this.start.resolve();
      case 'failed-to-start':
        return this.start.reject(errorFromPlain(message.error));
      case 'closed':
        return message.error === undefined ? this.closeReply.resolve() : this.closeReply.reject(errorFromPlain(message.error));
    }
  }

  private take(id: number): Pending | undefined {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    return pending;
  }

  private endError(code: 'thread/died' | 'thread/closed' | 'thread/start-timeout' | 'thread/close-timeout', exitCode?: number): OperationError {
    return new OperationError({
      code,
      operation: `work in thread "${this.name}"`,
      context: { thread: this.name, ...(exitCode === undefined ? {} : { exitCode }) },
      retryable: false,
      hint: hints[code],
      cause: this.fault,
    });
  }
}

const hints = {
  'thread/died': 'The thread ended by itself; read its cause, then start it again: its state is rebuilt from disk.',
  'thread/closed': 'The thread was closed before it answered; nothing is wrong when the component is shutting down.',
  'thread/start-timeout': 'The thread did not become ready in time; look for a blocked disk or an overloaded machine.',
  'thread/close-timeout': 'The thread did not close in time and was stopped; its state is recovered from disk at the next start.',
} as const;
