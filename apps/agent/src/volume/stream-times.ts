// SPDX-License-Identifier: Apache-2.0
import type { TimeMicros } from '@secondsite/units';
import type { StreamClock } from './change-stream';

/** Times of a volume: the host's clock, but strictly increasing whatever that does. */
export class StreamTimes implements StreamClock {
  readonly #source: () => TimeMicros;
  #last: TimeMicros = 0;

  constructor(source: () => TimeMicros) {
    this.#source = source;
  }

  get last(): TimeMicros {
    return this.#last;
  }

  now(): TimeMicros {
    this.#last = Math.max(this.#last + 1, this.#source());
    return this.#last;
  }

  advanceTo(time: TimeMicros): void {
    this.#last = Math.max(this.#last, time);
  }
}
