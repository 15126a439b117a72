// SPDX-License-Identifier: Apache-2.0
import type { CpuProfile } from './fold-profile';

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** One thread of a Node process behind its inspector: requests and replies in the words of the Chrome DevTools protocol. */
export class InspectedThread {
  #lastId = 0;
  #ended = false;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();

  constructor(
    readonly name: string,
    private readonly send: (message: string) => void,
    private readonly onEvent: (method: string, params: unknown) => void = () => undefined,
  ) {}

  get ended(): boolean {
    return this.#ended;
  }

  /** Rejects when the thread cannot do it, or ends before it has answered. */
  request(method: string, params: object = {}): Promise<unknown> {
    if (this.#ended) return Promise.reject(new Error(`${this.name} ended`));
    const id = ++this.#lastId;
    const reply = Promise.withResolvers<unknown>();
    this.#pending.set(id, reply);
    this.send(JSON.stringify({ id, method, params }));
    return reply.promise;
  }

  receive(text: string): void {
    const { id, method, params, result, error } = JSON.parse(text) as Message;
    if (method !== undefined) this.onEvent(method, params);
    const reply = id === undefined ? undefined : this.#pending.get(id);
    if (id === undefined || !reply) return;
    this.#pending.delete(id);
    if (error) reply.reject(new Error(`the inspector of ${this.name} says: ${error.message}`));
    else reply.resolve(result);
  }

  /** The thread ended, or its process: nothing more is answered. */
  abandon(): void {
    this.#ended = true;
    for (const reply of this.#pending.values()) reply.reject(new Error(`${this.name} ended`));
    this.#pending.clear();
  }

  async startProfile(samplingMicros: number): Promise<void> {
    await this.request('Profiler.enable');
    await this.request('Profiler.setSamplingInterval', { interval: samplingMicros });
    await this.request('Profiler.start');
  }

  async stopProfile(): Promise<CpuProfile> {
    return ((await this.request('Profiler.stop')) as { readonly profile: CpuProfile }).profile;
  }
}
