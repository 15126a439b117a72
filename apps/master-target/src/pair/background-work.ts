// SPDX-License-Identifier: Apache-2.0
// Work on the journal beside applying, when there is some: merging undo, moving segments to the cold store. Gives the thread away between pieces and
// rests longer than it works, so that change sets and views go first. A failure changes nothing in the journal: it is reported and the work is tried again later.
import { type OperationError, isOperationError, type TimeMicros } from '@secondsite/units';

export interface BackgroundWorkParts {
  /** Does the next piece of work; false when there is none. Must call `pause` now and then, and pass on its rejection. */
  readonly next: (pause: () => Promise<void>) => Promise<boolean>;
  readonly clock: () => TimeMicros;
  readonly delay: (millis: number) => Promise<void>;
  /** How often it looks for work. */
  readonly lookMicros: TimeMicros;
  /** How long it rests after a failure. */
  readonly restMicros: TimeMicros;
  /** Called for the first of several equal failures. */
  readonly onFailure: (failure: Failure) => void;
  /** Called when all work was done after a failure that was reported. */
  readonly onRecovery?: () => void;
}

/** After each piece of work it rests so many times as long as the piece took, but not longer than the second. */
const REST_RATIO = 2;
const REST_MILLIS_MAX = 100;

type Failure = Pick<OperationError, 'code' | 'hint'>;

class Stopped extends Error {}

export class BackgroundWork {
  readonly #parts: BackgroundWorkParts;
  #running: Promise<void> | undefined;
  #nextLook: TimeMicros = 0;
  #workedSince: TimeMicros = 0;
  #stopping = false;
  #reported: string | undefined;

  constructor(parts: BackgroundWorkParts) {
    this.#parts = parts;
  }

  /** Begins to work if it is time to look; returns at once. */
  nudge(): void {
    if (this.#running || this.#stopping || this.#parts.clock() < this.#nextLook) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when no work is under way; none begins afterwards. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const { next, clock, lookMicros, restMicros, onRecovery } = this.#parts;
    let rest = lookMicros;
    this.#workedSince = clock();
    try {
      while (await next(() => this.#pause()));
      if (this.#reported !== undefined) onRecovery?.();
      this.#reported = undefined;
    } catch (error) {
      rest = restMicros;
      this.#report(error);
    }
    this.#nextLook = clock() + rest;
  }

  /** The piece before took disk and processors from everybody else. */
  async #pause(): Promise<void> {
    const { clock, delay } = this.#parts;
    const workedMillis = Math.max(0, clock() - this.#workedSince) / 1000;
    await delay(Math.min(REST_MILLIS_MAX, REST_RATIO * workedMillis));
    this.#workedSince = clock();
    if (this.#stopping) throw new Stopped();
  }

  #report(error: unknown): void {
    if (error instanceof Stopped || this.#stopping) return;
    const { code, hint } = isOperationError(error) ? error : { code: 'journal/background-failed', hint: String(error) };
    if (this.#reported === code) return;
    this.#reported = code;
    this.#parts.onFailure({ code, hint });
  }
}
