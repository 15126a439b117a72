// SPDX-License-Identifier: Apache-2.0
import { setImmediate } from 'node:timers/promises';

/**
 * Work that a thread does at once although it may have a lot of it: after so much in a row whatever else its event loop has to do comes first. For all
 * who share a limit, in one thread.
 */
export class ThreadTurns {
  readonly #most: number;
  #taken = 0;
  #next: Promise<void> | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  /** How much may be done now, more than none; `take` tells what was done. */
  async room(): Promise<number> {
    while (this.#taken >= this.#most) await (this.#next ??= this.#nextTurn());
    return this.#most - this.#taken;
  }

  take(amount: number): void {
    this.#taken += amount;
  }

  async #nextTurn(): Promise<void> {
    await setImmediate();
    this.#taken = 0;
    this.#next = undefined;
  }
}
