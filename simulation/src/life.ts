// SPDX-License-Identifier: Apache-2.0
// One run of a program, from its start to its end. Invariant: when it has ended nothing of it goes on, as after `kill -9`: what it waited
// for never comes.
import type { Scheduler } from './scheduler';

export class Life {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly #endings = new Set<() => void>();
  #isOver = false;

  constructor(name: string, scheduler: Scheduler) {
    this.name = name;
    this.scheduler = scheduler;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  after(micros: number, run: () => void): () => void {
    return this.scheduler.after(micros, () => {
      if (!this.#isOver) run();
    });
  }

  sleep(micros: number): Promise<void> {
    return new Promise((resolve) => void this.after(micros, resolve));
  }

  every(micros: number, run: () => void): void {
    this.after(micros, () => {
      run();
      this.every(micros, run);
    });
  }

  /** Called when it ends; the result takes that back. */
  onEnd(run: () => void): () => void {
    this.#endings.add(run);
    return () => void this.#endings.delete(run);
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const run of this.#endings) run();
    this.#endings.clear();
  }

  note(what: string): void {
    this.scheduler.note(this.name, what);
  }
}
