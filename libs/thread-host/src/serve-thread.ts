// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { type EventName, type NoticeName, type RequestInput, type RequestName, type RequestOutput, type ThreadContract, type TransferList, Transferring } from './thread-contract';
import { type MessageToMain, type MessageToWorker, plainFromError } from './thread-message';

/** What the worker does for each request and notice, and before it ends. */
export interface ThreadHandlers<Api extends ThreadContract> {
  readonly requests: { readonly [K in RequestName<Api>]: (input: RequestInput<Api, K>) => HandlerResult<RequestOutput<Api, K>> };
  /** A notice handler that throws ends the thread: nobody waits for an answer. */
  readonly notices?: { readonly [K in NoticeName<Api>]?: (data: Api['notices'][K]) => void };
  /** Makes durable and releases what the worker holds; called once, when the main side closes the thread. */
  readonly close?: () => Promise<void> | void;
}

type HandlerResult<T> = T | Transferring<T> | Promise<T | Transferring<T>>;

/** The worker's way to the main side. */
export interface ThreadSide<Api extends ThreadContract> {
  emit<K extends EventName<Api>>(name: K, data: Api['events'][K], transfer?: TransferList): void;
}

/**
 * Called once by a worker file. `start` gets the way to emit events and the `workerData` given to `hostInThread`, and returns the
 * handlers, possibly after a while (opening files); requests that come earlier wait. If it fails, `hostInThread` rejects with its error.
 * Handlers of different requests run interleaved where they await; keep order inside the handler's own class if it matters.
 */
export function serveThread<Api extends ThreadContract, Data = unknown>(
  start: ThreadHandlers<Api> | ((side: ThreadSide<Api>, data: Data) => ThreadHandlers<Api> | Promise<ThreadHandlers<Api>>),
): void {
  assert(parentPort, 'serveThread is for worker threads only');
  const server = new ThreadServer<Api>(parentPort);
  void server.run(async () => (typeof start === 'function' ? start(server, workerData as Data) : start));
}

type Handler = (input: unknown) => unknown;

class ThreadServer<Api extends ThreadContract> implements ThreadSide<Api> {
  private handlers: ThreadHandlers<Api> | undefined;

  constructor(private readonly port: MessagePort) {}

  async run(start: () => Promise<ThreadHandlers<Api>>): Promise<void> {
    try {
      this.handlers = await start();
    } catch (error) {
      this.post({ type: 'failed-to-start', error: plainFromError(error) });
      return;
    }
    // Messages queue in the port until there is a listener, so none of an early caller is lost.
    this.port.on('message', (message: MessageToWorker) => this.receive(message));
    this.post({ type: 'ready' });
  }

  emit<K extends EventName<Api>>(name: K, data: Api['events'][K], transfer: TransferList = []): void {
    this.post({ type: 'event', name, data }, transfer);
  }

  private receive(message: MessageToWorker): void {
    if (message.type === 'request') void this.answer(message);
    else if (message.type === 'notice') this.handler('notices', message.name)(message.data);
    else void this.close();
  }

  private async answer({ id, name, data }: MessageToWorker & { type: 'request' }): Promise<void> {
    try {
      const result = await this.handler('requests', name)(data);
      if (result instanceof Transferring) this.post({ type: 'reply', id, data: result.value }, result.transfer);
      else this.post({ type: 'reply', id, data: result });
    } catch (error) {
      this.post({ type: 'failure', id, error: plainFromError(error) });
    }
  }

  private async close(): Promise<void> {
    try {
      await this.handlers?.close?.();
      this.post({ type: 'closed' });
    } catch (error) {
      this.post({ type: 'closed', error: plainFromError(error) });
    }
  }

  private handler(kind: 'requests' | 'notices', name: string): Handler {
    const handlers = this.handlers?.[kind] as Readonly<Record<string, Handler>> | undefined;
    const handler = handlers?.[name];
    assert(handler, `this thread has no handler for ${kind} "${name}"`);
    return handler;
  }

  private post(message: MessageToMain, transfer: TransferList = []): void {
    this.port.postMessage(message, [...transfer]);
  }
}
