// SPDX-License-Identifier: Apache-2.0
const FIRST_MILLIS = 100;
const LONGEST_MILLIS = 5000;

/** How long to wait before the next try: 100 ms, doubled with each failure in a row up to 5 s. */
export class Backoff {
  readonly #millis: () => number;
  #notBefore = 0;
  #next = FIRST_MILLIS;

  /** `millis`: a monotonic clock. */
  constructor(millis: () => number) {
    this.#millis = millis;
  }

  get isOver(): boolean {
    return this.#millis() >= this.#notBefore;
  }

  /** Counts one failure; several of one moment (requests sent together) count once. */
  fail(): void {
    if (!this.isOver) return;
    this.until(this.#next);
    this.#next = Math.min(this.#next * 2, LONGEST_MILLIS);
  }

  /** Waits exactly so long from now. */
  until(millis: number): void {
    this.#notBefore = this.#millis() + millis;
  }

  reset(): void {
    this.#notBefore = 0;
    this.#next = FIRST_MILLIS;
  }
}
