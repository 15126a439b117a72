// SPDX-License-Identifier: Apache-2.0
import type { ByteCount, TimeMicros } from '@secondsite/units';

export interface PassageReading {
  /** How long a change set stays. */
  readonly seconds: number;
  /** What left per second. */
  readonly bytesPerSecond: number;
}

interface Span {
  readonly since: TimeMicros;
  count: number;
  micros: number;
  bytes: ByteCount;
}

const SPAN_MICROS = 5_000_000;

/**
 * What one place on the way of change sets measures of those that left it in the last 5 to 10 s. All times are of one clock, the place's own:
 * nothing is said by subtracting the clocks of two hosts. Constant memory.
 */
export class PassageMeter {
  #current: Span;
  #previous: Span | undefined;

  constructor(now: TimeMicros) {
    this.#current = emptySpan(now);
  }

  /** A set of so many bytes left, after it had stayed so long. */
  left(now: TimeMicros, { micros, bytes = 0 }: { readonly micros: TimeMicros; readonly bytes?: ByteCount }): void {
    this.#turn(now);
    this.#current.count += 1;
    this.#current.micros += Math.max(0, micros);
    this.#current.bytes += bytes;
  }

  /**
   * The mean of the sets that left; or, if that is longer, how long the one has stayed that is here longest (`oldestSince`): where nothing
   * leaves any more the time grows all the same.
   */
  reading(now: TimeMicros, oldestSince?: TimeMicros): PassageReading {
    this.#turn(now);
    const { since } = this.#previous ?? this.#current;
    const sum = (of: 'count' | 'micros' | 'bytes'): number => this.#current[of] + (this.#previous?.[of] ?? 0);
    const mean = sum('count') === 0 ? 0 : sum('micros') / sum('count');
    const waiting = oldestSince === undefined ? 0 : now - oldestSince;
    return { seconds: Math.max(0, mean, waiting) / 1e6, bytesPerSecond: (sum('bytes') * 1e6) / Math.max(1e6, now - since) };
  }

  #turn(now: TimeMicros): void {
    const age = now - this.#current.since;
    if (age >= 0 && age < SPAN_MICROS) return;
    this.#previous = age >= 0 && age < 2 * SPAN_MICROS ? this.#current : undefined;
    this.#current = emptySpan(now);
  }
}

function emptySpan(since: TimeMicros): Span {
  return { since, count: 0, micros: 0, bytes: 0 };
}
