// SPDX-License-Identifier: Apache-2.0
// Reads change sets again that wait in the spool for long (an outage of the link), so that a set that the disk changed is noticed while the agent
// still writes, and not when the link is back. One set at a time, slowly.
import { type ByteCount, isOperationError, type TimeMicros } from '@secondsite/units';
import { counters } from '../control/counters';
import type { Pair } from '../pair';
import type { SpooledSet } from './epoch-queue';

export interface SpoolScrubberOptions {
  readonly pairs: () => Iterable<Pick<Pair, 'waitingSince' | 'verify' | 'spoolDamaged'>>;
  readonly now: () => TimeMicros;
  /** Resolves after about so many milliseconds. */
  readonly delay: (millis: number) => Promise<void>;
  readonly bytesPerSecond: number;
  /** Sets that wait for less are left alone. */
  readonly waitMicros: TimeMicros;
}

/** From the beginning of one round to that of the next, in waiting times, at least: an hour when sets wait for five minutes. */
const ROUND_WAITS = 12;

export class SpoolScrubber {
  readonly #options: SpoolScrubberOptions;
  /** Known to be damaged; told once. */
  readonly #damaged = new WeakSet<SpooledSet>();
  #running: Promise<void> | undefined;
  #nextAt: TimeMicros = 0;
  #stopping = false;

  constructor(options: SpoolScrubberOptions) {
    this.#options = options;
  }

  /** Begins a round when it is time and sets wait; returns at once. Call it every few seconds. */
  tick(): void {
    const { now, waitMicros } = this.#options;
    if (this.#running || this.#stopping || now() < this.#nextAt) return;
    const since = now() - waitMicros;
    const waiting = [...this.#options.pairs()].map((pair) => ({ pair, sets: pair.waitingSince(since) })).filter(({ sets }) => sets.length > 0);
    if (waiting.length === 0) return;
    this.#nextAt = now() + ROUND_WAITS * waitMicros;
    this.#running = this.#run(waiting).finally(() => {
      this.#running = undefined;
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  async #run(waiting: readonly { readonly pair: Pick<Pair, 'verify' | 'spoolDamaged'>; readonly sets: readonly SpooledSet[] }[]): Promise<void> {
    for (const { pair, sets } of waiting) {
      for (const set of sets) {
        if (this.#stopping) return;
        const bytes = await this.#verify(pair, set);
        counters.scrubbedBytes.add(bytes);
        await this.#options.delay((bytes / this.#options.bytesPerSecond) * 1000);
      }
    }
  }

  /** A disk that cannot be read now is tried again in the next round. */
  async #verify(pair: Pick<Pair, 'verify' | 'spoolDamaged'>, set: SpooledSet): Promise<ByteCount> {
    try {
      return (await pair.verify(set)) ?? 0;
    } catch (error) {
      if (!isOperationError(error)) throw error;
      if (error.code === 'segment-log/corrupt-record' && !this.#damaged.has(set)) {
        this.#damaged.add(set);
        counters.damagedSets.add(1);
        pair.spoolDamaged(set);
      }
      return set.bytes;
    }
  }
}
