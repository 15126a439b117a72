// SPDX-License-Identifier: Apache-2.0
export interface BackoffLimits {
  readonly firstMillis: number;
  readonly longestMillis: number;
}

const defaultLimits: BackoffLimits = { firstMillis: 100, longestMillis: 5000 };

/** How long to wait before the next try: 100 ms, doubled with each failure in a row up to 5 s, unless other limits are given. */
export class Backoff {
  readonly #millis: () => number;
  readonly #limits: BackoffLimits;
  #notBefore = 0;
  #next: number;

  /** `millis`: a monotonic clock. */
  constructor(millis: () => number, limits: BackoffLimits = defaultLimits) {
    this.#millis = millis;
    this.#limits = limits;
    this.#next = limits.firstMillis;
  }

  get isOver(): boolean {
    return this.#millis() >= this.#notBefore;
  }

  /** Counts one failure; several of one moment (requests sent together) count once. */
  fail(): void {
    if (!this.isOver) return;
    this.until(this.#next);
    this.#next = Math.min(this.#next * 2, this.#limits.longestMillis);
  }

  /** Waits exactly so long from now. */
  until(millis: number): void {
    this.#notBefore = this.#millis() + millis;
  }

  reset(): void {
    this.#notBefore = 0;
    this.#next = this.#limits.firstMillis;
  }
}
