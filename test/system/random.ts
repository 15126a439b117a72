// SPDX-License-Identifier: Apache-2.0
/** A small seeded generator (mulberry32): a failing run is repeated with the seed that it printed. */
export class Random {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  /** A fresh one whose seed is printed, or the one of SECONDSITE_TEST_SEED. */
  static announced(title: string): Random {
    const seed = Number(process.env['SECONDSITE_TEST_SEED'] ?? Date.now() % 0x7fffffff);
    process.stdout.write(`${title}: seed ${seed} (repeat with SECONDSITE_TEST_SEED=${seed})\n`);
    return new Random(seed);
  }

  /** Whole number in 0 … limit-1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let value = this.#state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) % limit;
  }
}
