// SPDX-License-Identifier: Apache-2.0
// Chooses a few kinds of trouble for a history and lets them happen again and again, also several at once: histories with few kinds go
// deeper into their combinations than histories with all of them.
import type { Trouble } from './troubles';
import type { World } from './world';

export class Adversary {
  readonly #world: World;
  readonly #troubles: readonly Trouble[];
  readonly #gapMicros: number;
  #isOver = false;
  /** How often something began. */
  begun = 0;

  constructor(world: World, troubles: readonly Trouble[]) {
    const { scheduler } = world;
    this.#world = world;
    const kinds = scheduler.pick([0, 1, 2, 3, 5, 8]);
    this.#troubles = Array.from({ length: kinds }, () => scheduler.pick(troubles));
    this.#gapMicros = scheduler.pick([0.3e6, 1.5e6, 4e6]);
  }

  get kinds(): string[] {
    return this.#troubles.map(({ name }) => name);
  }

  start(): void {
    this.#later(this.#gapMicros, () => this.#trouble());
    this.#later(1e6, () => this.#look());
  }

  stop(): void {
    this.#isOver = true;
  }

  #trouble(): void {
    const { scheduler } = this.#world;
    if (this.#troubles.length > 0) this.#begin(scheduler.pick(this.#troubles));
    this.#later(this.#gapMicros, () => this.#trouble());
  }

  #begin({ name, seconds: [from, to], begin, end }: Trouble): void {
    const { scheduler } = this.#world;
    this.begun += 1;
    scheduler.note('adversary', name);
    begin(this.#world);
    if (!end) return;
    this.#after(scheduler.between(from * 1e6, to * 1e6), () => {
      scheduler.note('adversary', `${name}: over`);
      end(this.#world);
      this.#world.auditIsDue ||= scheduler.chance(0.5);
    });
  }

  /** Opens views of instants that are offered. */
  #look(): void {
    const { scheduler } = this.#world;
    void this.#world.lookAtView(scheduler.between(0, 3e6));
    this.#later(2e6, () => this.#look());
  }

  #later(micros: number, run: () => void): void {
    this.#after(this.#world.scheduler.between(0, 2 * micros), run);
  }

  #after(micros: number, run: () => void): void {
    this.#world.scheduler.after(micros, () => {
      if (!this.#isOver) run();
    });
  }
}
