// SPDX-License-Identifier: Apache-2.0
/** Bytes that may be in memory at once for one purpose. Whoever finds it used up waits and is woken, in order, when bytes come back. */
export class ByteBudget {
  #usedBytes = 0;
  #waiters = new Set<() => void>();

  constructor(readonly limitBytes: number) {}

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get waiters(): number {
    return this.#waiters.size;
  }

  /** A request larger than the whole budget fits when nothing else is in use, so that it can not wait for ever. */
  fits(bytes: number): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + bytes <= this.limitBytes;
  }

  take(bytes: number): void {
    this.#usedBytes += bytes;
  }

  /** Gives bytes back and wakes everyone who waits; those who still do not fit wait again. */
  release(bytes: number): void {
    this.#usedBytes -= bytes;
    if (this.#waiters.size === 0) return;
    const woken = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of woken) wake();
  }

  /** Calls `wake` once, after the next release. Adding the same function twice has no effect. */
  wait(wake: () => void): void {
    this.#waiters.add(wake);
  }

  forget(wake: () => void): void {
    this.#waiters.delete(wake);
  }
}
