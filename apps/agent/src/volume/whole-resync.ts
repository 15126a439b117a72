// SPDX-License-Identifier: Apache-2.0
import type { ResyncCause } from '@secondsite/contracts';
import { Backoff } from './backoff';
import type { Outcome } from './pair-faults';

/** Causes that leave nothing to rely on: everything has to be read. */
export type WholeCause = Extract<ResyncCause, 'baseline' | 'replica-lost' | 'bitmap-lost' | 'requested'>;

export interface WholeResyncOptions {
  /** Of one that is needed already. */
  readonly cause: WholeCause | undefined;
  /** Keeps the cause over restarts; durable when it resolves. */
  readonly note: (cause: WholeCause | undefined) => Promise<void>;
  /** Of noting that it ended, which is tried again when it failed. */
  readonly outcome: Outcome;
  /** Monotonic. */
  readonly millis: () => number;
}

/**
 * A resynchronisation of the whole volume, from when it is needed until everything was read. It goes on only while the pair has its turn: the
 * configuration server lets a few pairs at once. What the write-intent bitmap can repair needs no turn.
 */
export class WholeResync {
  hasTurn = true;
  readonly #options: WholeResyncOptions;
  readonly #backoff: Backoff;
  #cause: WholeCause | undefined;
  #end: 'noted' | 'to-note' | 'noting' = 'noted';

  constructor(options: WholeResyncOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.millis);
    this.#cause = options.cause;
  }

  /** Undefined when none is needed. */
  get cause(): WholeCause | undefined {
    return this.#cause;
  }

  get waits(): boolean {
    return this.#cause !== undefined && !this.hasTurn;
  }

  /** Durable with `keep`. */
  need(cause: WholeCause): void {
    this.#cause = cause;
  }

  keep(): Promise<void> {
    return this.#options.note(this.#cause);
  }

  /** Everything was read. A crash before `pump` has noted that only makes the next resynchronisation wait for a turn. */
  end(): void {
    if (this.#cause === undefined) return;
    this.#cause = undefined;
    this.#end = 'to-note';
    this.pump();
  }

  /** Called often: notes the end, until the disk takes it. */
  pump(): void {
    if (this.#end === 'to-note' && this.#backoff.isOver) void this.#noteEnd();
  }

  async #noteEnd(): Promise<void> {
    this.#end = 'noting';
    try {
      await this.keep();
      this.#end = 'noted';
      this.#backoff.reset();
      this.#options.outcome.worked();
    } catch (error) {
      this.#end = 'to-note';
      this.#backoff.fail();
      this.#options.outcome.failed(error);
    }
  }
}
