// SPDX-License-Identifier: Apache-2.0
/** Bounds memory: whoever holds bytes takes them from the budget and gives them back. First come, first served. */
export class ByteBudget {
  readonly #bytesMax: number;
  #used = 0;
  readonly #waiting: { readonly bytes: number; readonly admit: () => void }[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get usedBytes(): number {
    return this.#used;
  }

  /** Who waits for room. */
  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Undefined when there is no room now; else a function that gives the bytes back (idempotent). */
  tryTake(bytes: number): (() => void) | undefined {
    return this.#waiting.length === 0 && this.#fits(bytes) ? this.#grant(bytes) : undefined;
  }

  /** Waits for room. More bytes than the whole budget are granted alone. */
  async take(bytes: number): Promise<() => void> {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) await new Promise<void>((admit) => this.#waiting.push({ bytes, admit }));
    else return this.#grant(bytes);
    return this.#giveBackOnce(bytes);
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#bytesMax;
  }

  #grant(bytes: number): () => void {
    this.#used += bytes;
    return this.#giveBackOnce(bytes);
  }

  #giveBackOnce(bytes: number): () => void {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#used -= bytes;
      this.#admitWaiting();
    };
  }

  #admitWaiting(): void {
    for (let next = this.#waiting[0]; next && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#used += next.bytes;
      next.admit();
    }
  }
}
