// SPDX-License-Identifier: Apache-2.0
// Keeps one pair's thread alive: opens it, opens it anew after a failure with growing pauses, and closes it.
import type { MasterTargetPair } from '@secondsite/contracts';
import type { RetentionLimits } from '@secondsite/retention-journal';
import { compiledWorker, type HostedThread, hostInThread } from '@secondsite/thread-host';
import { isOperationError, OperationError } from '@secondsite/units';
import { setTimeout as delay } from 'node:timers/promises';
import type { TargetReporter } from '../control/control-plane';
import type { PairThread, PairThreadData } from '../pair/pair-thread';
import type { SetHops } from '../pair/pair-types';
import { timeOf } from '../control/time-of';
import { retentionLimits } from './retention-limits';

export interface PairHostOptions {
  readonly pair: MasterTargetPair;
  /** For each start of the thread, with the certificate of that time. */
  readonly threadData: () => Omit<PairThreadData, 'pairId' | 'sizeBytes' | 'retention' | 'deduplication' | 'placement'>;
  readonly reporter: TargetReporter;
  readonly onTraced: (hops: SetHops) => void;
  /** The pair's thread is done with the memory of a set. */
  readonly recycle: (memory: ArrayBufferLike) => void;
}

const PAUSE_MILLIS_MAX = 30_000;
const workerFile = compiledWorker(`${__dirname}/../pair`, 'pair.worker');

export class PairHost {
  readonly #options: PairHostOptions;
  #pair: MasterTargetPair;
  #thread: HostedThread<PairThread> | undefined;
  #keeping: Promise<void>;
  #fault: string | undefined = 'the pair is being opened';
  /** When the fault began that was reported and has not ended. */
  #reportedAt: number | undefined;
  readonly #closing = new AbortController();
  #firstTry = Promise.withResolvers<void>();

  constructor(options: PairHostOptions) {
    this.#options = options;
    this.#pair = options.pair;
    this.#keeping = this.#keep();
  }

  get pair(): MasterTargetPair {
    return this.#pair;
  }

  /** Resolves when the first attempt to open the pair ended, either way. */
  get settled(): Promise<void> {
    return this.#firstTry.promise;
  }

  /** Why the pair cannot be used now. */
  get fault(): string | undefined {
    return this.#fault;
  }

  get isOpen(): boolean {
    return this.#thread !== undefined;
  }

  /** The thread to call. Throws `pair/not-open` (retryable) while there is none. */
  get thread(): HostedThread<PairThread> {
    if (this.#thread) return this.#thread;
    throw new OperationError({
      code: 'pair/not-open', operation: 'use pair', context: { pairId: this.#pair.pairId, fault: this.#fault ?? '' }, retryable: true,
      hint: 'The pair is being opened; it is tried again by itself.',
    });
  }

  update(pair: MasterTargetPair): void {
    this.#pair = pair;
    this.#thread?.notify('retention', limitsOf(pair));
    this.#thread?.notify('deduplication', pair.deduplication === true);
    this.#thread?.notify('atHome', pair.placement ?? 0);
  }

  useCertificate(tls: PairThread['notices']['certificate']): void {
    this.#thread?.notify('certificate', tls);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#keeping;
  }

  async #keep(): Promise<void> {
    for (let pause = 1000; !this.#closing.signal.aborted; pause = Math.min(PAUSE_MILLIS_MAX, pause * 2)) {
      const startedAt = performance.now();
      await this.#runOnce();
      if (performance.now() - startedAt > 60_000) pause = 1000;
      await delay(pause, undefined, { signal: this.#closing.signal }).catch(() => undefined);
    }
  }

  /** Opens the thread and waits until it has to be closed. */
  async #runOnce(): Promise<void> {
    const { pairId, sizeBytes, deduplication = false, placement = 0 } = this.#pair;
    const ended = Promise.withResolvers<void>();
    const abort = (): void => ended.resolve();
    this.#closing.signal.addEventListener('abort', abort, { once: true });
    try {
      const data: PairThreadData = { ...this.#options.threadData(), pairId, sizeBytes, deduplication, placement, retention: limitsOf(this.#pair) };
      const thread = await hostInThread<PairThread>(workerFile, data, {
        name: `pair ${pairId}`,
        startMillisMax: 600_000,
        events: {
          pairEvent: (event) => this.#options.reporter.pairEvent(pairId, event),
          traced: (hops) => this.#options.onTraced(hops),
          failed: () => ended.resolve(),
          recycled: (memory) => this.#options.recycle(memory),
        },
      });
      void thread.exited.then(() => ended.resolve());
      this.#thread = thread;
      this.#fault = undefined;
      this.#firstTry.resolve();
      await this.#reportRecovery(thread);
      await ended.promise;
      this.#thread = undefined;
      this.#fault = 'the pair stopped and is opened anew';
      await thread.close();
      const exit = await thread.exited;
      if (exit.kind === 'died') throw exit.error;
    } catch (error) {
      this.#report(error);
    } finally {
      this.#closing.signal.removeEventListener('abort', abort);
      this.#firstTry.resolve();
    }
  }

  async #reportRecovery(thread: HostedThread<PairThread>): Promise<void> {
    if (this.#reportedAt === undefined) return;
    const seconds = (performance.now() - this.#reportedAt) / 1000;
    this.#reportedAt = undefined;
    const { coveredTime } = await thread.call('status', undefined);
    this.#options.reporter.pairEvent(this.#pair.pairId, { kind: 'fault-ended', seconds, coveredTime });
  }

  #report(error: unknown): void {
    this.#reportedAt ??= performance.now();
    const { code, hint } = isOperationError(error) ? error : { code: 'pair/stopped', hint: String(error) };
    this.#fault = `${code}: ${hint}`;
    this.#options.reporter.pairEvent(this.#pair.pairId, { kind: 'fault', code, hint });
  }
}

function limitsOf({ retention, pins }: MasterTargetPair): RetentionLimits {
  return { ...retentionLimits(retention), ...(pins && { pins: pins.map(({ time }) => timeOf(time)) }) };
}
