// SPDX-License-Identifier: Apache-2.0
import type { Timers } from './timers';

/** Wakes one loop. A signal raised while nobody waits is kept, so that no wake-up is lost. */
export class Signal {
  readonly #timers: Timers;
  #raised = false;
  #wake: (() => void) | undefined;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  raise(): void {
    this.#raised = true;
    this.#wake?.();
  }

  /** Resolves at the next signal with true, or after the time limit with false. */
  async wait(millisMax?: number): Promise<boolean> {
    if (!this.#raised) {
      let cancel: (() => void) | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (millisMax !== undefined) cancel = this.#timers.after(millisMax, resolve);
      });
      cancel?.();
    }
    const raised = this.#raised;
    this.#wake = undefined;
    this.#raised = false;
    return raised;
  }
}
