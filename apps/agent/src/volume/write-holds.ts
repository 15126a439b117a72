// SPDX-License-Identifier: Apache-2.0
// Who holds the writes of a volume. Invariants: the gate is closed as long as anybody holds; whoever still holds has held without a break since
// it began, so that no write came between; each lets go by itself when its limit has passed, whatever became of the one who asked.

export interface WriteGate {
  /** Changes that come from now on wait for `release`. */
  hold(): void;
  release(): void;
}

interface Hold {
  readonly sinceMillis: number;
  readonly timer: NodeJS.Timeout | undefined;
}

export class WriteHolds {
  readonly #gate: WriteGate;
  readonly #millis: () => number;
  readonly #holds = new Map<string, Hold>();

  constructor(gate: WriteGate, millis: () => number) {
    this.#gate = gate;
    this.#millis = millis;
  }

  /** Holds from this turn on. Without a limit: until it is released. Holding again begins anew. */
  hold(holder: string, limitMillis?: number): void {
    this.#gate.hold();
    clearTimeout(this.#holds.get(holder)?.timer);
    const timer = limitMillis === undefined ? undefined : setTimeout(() => this.release(holder), limitMillis);
    this.#holds.set(holder, { sinceMillis: this.#millis(), timer });
  }

  /** For how long it has held without a break; undefined when it does not, or not any more. */
  heldMillis(holder: string): number | undefined {
    const hold = this.#holds.get(holder);
    return hold && this.#millis() - hold.sinceMillis;
  }

  /** Idempotent. Writes go on when nobody else holds. */
  release(holder: string): void {
    clearTimeout(this.#holds.get(holder)?.timer);
    if (this.#holds.delete(holder) && this.#holds.size === 0) this.#gate.release();
  }

  releaseAll(): void {
    for (const holder of [...this.#holds.keys()]) this.release(holder);
  }
}
