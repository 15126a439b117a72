// SPDX-License-Identifier: Apache-2.0
// Simulated time. Everything that happens is an event at an instant, events of one instant in the order in which they were planned; time
// passes only between events. Invariant: whatever runs was started by an event and has run to its end before the next event begins, so
// that the seed alone decides every history.
import { type Random, randomBelow, seededRandom } from '@secondsite/durable-storage/testing';
import type { TimeMicros } from '@secondsite/units';
import { EventQueue } from './event-queue';
import { Trace } from './trace';

const START_MICROS = 1_800_000_000_000_000;

export class Scheduler {
  readonly random: Random;
  readonly trace = new Trace();
  #now: TimeMicros = START_MICROS;
  readonly #queue = new EventQueue();

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  /** Microseconds; the true time, which no machine's clock need show. */
  get now(): TimeMicros {
    return this.#now;
  }

  get elapsedMicros(): number {
    return this.#now - START_MICROS;
  }

  /** Runs once after so many microseconds, unless the result is called before. */
  after(micros: number, run: () => void): () => void {
    return this.#queue.add(this.#now + Math.max(0, Math.round(micros)), run);
  }

  /** The next event and all that follows from it at once. False when nothing is planned. */
  async step(): Promise<boolean> {
    const event = this.#queue.take();
    if (!event) return false;
    this.#now = event.time;
    event.run();
    await settled();
    return true;
  }

  note(who: string, what: string): void {
    this.trace.add(this.elapsedMicros, who, what);
  }

  /** A whole number in [from, to). */
  between(from: number, to: number): number {
    return from + randomBelow(this.random, Math.max(1, to - from));
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[randomBelow(this.random, items.length)] as Item;
  }
}

/** When every promise that waits for nothing but its turn has had it. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
