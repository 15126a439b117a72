// SPDX-License-Identifier: Apache-2.0
import type { ResyncCause } from '@secondsite/contracts';

/** Causes that leave nothing to rely on: everything has to be read. */
export type WholeCause = Extract<ResyncCause, 'baseline' | 'replica-lost' | 'bitmap-lost' | 'requested'>;

/**
 * A resynchronisation of the whole volume, from when it is needed until everything was read. It goes on only while the pair has its turn: the
 * configuration server lets a few pairs at once. What the write-intent bitmap can repair needs no turn.
 */
export class WholeResync {
  hasTurn = true;
  readonly #note: (cause: WholeCause | undefined) => Promise<void>;
  #cause: WholeCause | undefined;

  /** `cause`: of one that is needed already. `note`: keeps the cause over restarts; durable when it resolves. */
  constructor(options: { readonly cause: WholeCause | undefined; readonly note: (cause: WholeCause | undefined) => Promise<void> }) {
    this.#cause = options.cause;
    this.#note = options.note;
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
    return this.#note(this.#cause);
  }

  /** Everything was read. A crash before it is noted only makes the next resynchronisation wait for a turn. */
  async end(): Promise<void> {
    if (this.#cause === undefined) return;
    this.#cause = undefined;
    await this.keep();
  }
}
