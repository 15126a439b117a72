// SPDX-License-Identifier: Apache-2.0
import type { TimeMicros } from '@secondsite/units';
import { realTimeMicros } from './system-calls';

/** The host's clock (CLOCK_REALTIME) now, in microseconds. May step back when the clock is set. */
export function clockMicros(): TimeMicros {
  return realTimeMicros();
}

/**
 * Times that strictly increase, whatever happens to the host's clock: while that stands still or runs behind, each call gives one
 * microsecond more than the last.
 */
export class MonotonicClock {
  readonly #source: () => TimeMicros;
  #last: TimeMicros;

  /** `after`: a time already given out, e.g. before a restart; all times are later than it. */
  constructor(options: { readonly after?: TimeMicros; readonly source?: () => TimeMicros } = {}) {
    this.#last = options.after ?? 0;
    this.#source = options.source ?? clockMicros;
  }

  now(): TimeMicros {
    this.#last = Math.max(this.#last + 1, this.#source());
    return this.#last;
  }

  /** The newest time given out. */
  get last(): TimeMicros {
    return this.#last;
  }
}
