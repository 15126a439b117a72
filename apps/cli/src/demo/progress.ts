// SPDX-License-Identifier: Apache-2.0
/** Says what is going on, with the time since the start; a step's figures stand on its own line. */
export class Progress {
  readonly #startedMillis = Date.now();
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  get seconds(): number {
    return (Date.now() - this.#startedMillis) / 1000;
  }

  step(text: string): void {
    this.#print(`\n[${this.seconds.toFixed(1).padStart(5)} s] ${text}`);
  }

  detail(text: string): void {
    this.#print(`          ${text}`);
  }
}
