// SPDX-License-Identifier: Apache-2.0
// A running Node process and its worker threads behind the inspector's WebSocket. Workers are reached through the main thread (the NodeWorker
// domain of Node's inspector), also those that start later.
import { InspectedThread } from './inspected-thread';

interface WorkerMessage {
  readonly sessionId: string;
  readonly message: string;
}

interface AttachedWorker {
  readonly sessionId: string;
  readonly workerInfo: { readonly title: string };
}

export class InspectedProcess {
  readonly #socket: WebSocket;
  readonly #main: InspectedThread;
  readonly #workers = new Map<string, InspectedThread>();
  readonly #onThread: (thread: InspectedThread) => void;

  private constructor(socket: WebSocket, onThread: (thread: InspectedThread) => void) {
    this.#socket = socket;
    this.#onThread = onThread;
    this.#main = new InspectedThread('main', (message) => socket.send(message), (method, params) => this.#event(method, params));
    socket.addEventListener('message', ({ data }) => this.#main.receive(String(data)));
    socket.addEventListener('close', () => [this.#main, ...this.#workers.values()].forEach((thread) => thread.abandon()));
  }

  /** `onThread` hears of each thread; of the main thread and the workers that run already before this resolves. */
  static async connect(url: string, onThread: (thread: InspectedThread) => void): Promise<InspectedProcess> {
    const socket = new WebSocket(url);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve());
      socket.addEventListener('error', () => reject(new Error(`no inspector answers at ${url}`)));
    });
    const inspected = new InspectedProcess(socket, onThread);
    onThread(inspected.#main);
    await inspected.#main.request('NodeWorker.enable', { waitForDebuggerOnStart: false });
    return inspected;
  }

  close(): void {
    this.#socket.close();
  }

  #event(method: string, params: unknown): void {
    if (method === 'NodeWorker.attachedToWorker') this.#attached(params as AttachedWorker);
    else if (method === 'NodeWorker.detachedFromWorker') this.#detached(params as WorkerMessage);
    else if (method === 'NodeWorker.receivedMessageFromWorker') this.#workers.get((params as WorkerMessage).sessionId)?.receive((params as WorkerMessage).message);
  }

  #attached({ sessionId, workerInfo }: AttachedWorker): void {
    const worker = new InspectedThread(roleOf(workerInfo.title), (message) => {
      this.#main.request('NodeWorker.sendMessageToWorker', { sessionId, message }).catch(() => worker.abandon());
    });
    this.#workers.set(sessionId, worker);
    this.#onThread(worker);
  }

  #detached({ sessionId }: WorkerMessage): void {
    this.#workers.get(sessionId)?.abandon();
    this.#workers.delete(sessionId);
  }
}

/** `pair` of `[worker 3] pair 6f1c0a52-…`: threads of one role count together, whichever volume is theirs. */
function roleOf(title: string): string {
  return /^(?:\[worker \d+\]\s*)?(\S+)/.exec(title)?.[1] ?? 'worker';
}
