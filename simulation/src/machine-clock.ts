// SPDX-License-Identifier: Apache-2.0
import type { TimeMicros } from '@secondsite/units';
import type { Scheduler } from './scheduler';

/** The wall clock of a machine. Reading it takes a microsecond, so that two readings differ although simulated time stands still. */
export class MachineClock {
  readonly #scheduler: Scheduler;
  #offset = 0;
  #last: TimeMicros = 0;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  read(): TimeMicros {
    this.#last = Math.max(this.#last + 1, this.#scheduler.now + this.#offset);
    return this.#last;
  }

  /** Somebody sets the clock. */
  jump(micros: number): void {
    this.#offset += micros;
    this.#last = 0;
  }
}
