// SPDX-License-Identifier: Apache-2.0

export interface IdleOptions<Kind> {
  readonly max: number;
  /** Without use for so long, they are let go. */
  readonly restMillis: number;
  /** Gives the memory back; it is not used afterwards. */
  readonly close: (kind: Kind) => void;
}

/** What is dear to make and used again and again while there is work. */
export class Idle<Kind> {
  readonly #options: IdleOptions<Kind>;
  readonly #kept: Kind[] = [];
  #rest: NodeJS.Timeout | undefined;

  constructor(options: IdleOptions<Kind>) {
    this.#options = options;
  }

  take(fits: (kind: Kind) => boolean = () => true): Kind | undefined {
    const index = this.#kept.findLastIndex(fits);
    return index < 0 ? undefined : this.#kept.splice(index, 1)[0];
  }

  /** Whoever gives it does not use it any more. */
  giveBack(kind: Kind): void {
    const { max, restMillis, close } = this.#options;
    if (this.#kept.length === max) close(this.#kept.shift() as Kind);
    this.#kept.push(kind);
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.#kept.splice(0).forEach(close), restMillis).unref();
  }
}
