// SPDX-License-Identifier: Apache-2.0
// One history: a world at work under an adversary, then left in peace until it is as it should be. The seed decides all of it.
import { Adversary } from './adversary';
import { type Trouble, TROUBLES } from './troubles';
import { World } from './world';

export interface HistoryReport {
  readonly seed: number;
  readonly hash: string;
  readonly events: number;
  readonly simulatedSeconds: number;
  readonly writes: number;
  readonly troubles: number;
  /** Cuts, views and imagined power cuts that were compared with the model. */
  readonly cuts: number;
  readonly views: number;
  readonly audits: number;
  /** Of resynchronisations: the replica had them already. */
  readonly skippedBlocks: number;
  readonly rebuiltSets: number;
}

/** A history in which something was broken. */
export class HistoryFailure extends Error {
  override readonly name = 'HistoryFailure';

  constructor(
    readonly report: HistoryReport,
    readonly lines: readonly string[],
    cause: unknown,
  ) {
    super(`history ${report.seed} (trace ${report.hash}): ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

const PEACE_MICROS_MAX = 240e6;
const EVENTS_MAX = 200_000;
const LOOK_MICROS = 100_000;

export interface HistoryOptions {
  readonly troubles?: readonly Trouble[];
  /** Breaks something of the world before it begins, to see whether that is noticed. */
  readonly tamper?: (world: World) => void;
  /** Hears every line of the trace as it is written. */
  readonly onLine?: (line: string) => void;
}

/** Runs the history of a seed. Throws HistoryFailure. */
export async function runHistory(seed: number, { troubles = TROUBLES, tamper, onLine }: HistoryOptions = {}): Promise<HistoryReport> {
  const world = await World.make(seed);
  world.scheduler.trace.onLine = onLine;
  tamper?.(world);
  const history = new History(world, seed, troubles);
  try {
    await history.run();
  } catch (cause) {
    throw new HistoryFailure(history.report(), world.scheduler.trace.lines, cause);
  }
  return history.report();
}

class History {
  readonly #world: World;
  readonly #seed: number;
  readonly #adversary: Adversary;
  #events = 0;

  constructor(world: World, seed: number, troubles: readonly Trouble[]) {
    this.#world = world;
    this.#seed = seed;
    this.#adversary = new Adversary(world, troubles);
  }

  report(): HistoryReport {
    const { scheduler, application, host, target, witness, audits } = this.#world;
    return {
      seed: this.#seed, hash: scheduler.trace.hash, events: this.#events, simulatedSeconds: scheduler.elapsedMicros / 1e6,
      writes: application.writes, troubles: this.#adversary.begun, cuts: witness.cuts, views: witness.views, audits, skippedBlocks: host.skippedBlocks, rebuiltSets: target.rebuiltSets,
    };
  }

  async run(): Promise<void> {
    const { scheduler, application } = this.#world;
    scheduler.note('adversary', `has: ${this.#adversary.kinds.join(', ') || 'nothing'}`);
    this.#world.startAll();
    application.start();
    this.#adversary.start();
    await this.#until(scheduler.now + scheduler.pick([3e6, 8e6, 25e6]), { auditShare: 0.004 });
    application.stop();
    this.#adversary.stop();
    this.#world.heal();
    scheduler.note('adversary', 'leaves');
    await this.#settle();
  }

  async #until(end: number, { auditShare }: { readonly auditShare: number }): Promise<void> {
    const { scheduler } = this.#world;
    while (scheduler.now < end) {
      await this.#step();
      if (this.#world.auditIsDue || scheduler.chance(auditShare)) await this.#world.audit();
    }
  }

  async #settle(): Promise<void> {
    const { scheduler } = this.#world;
    const end = scheduler.now + PEACE_MICROS_MAX;
    while (!this.#world.isSettled) {
      if (scheduler.now > end) throw new Error(`I8: it does not come to rest by itself: ${this.#world.situation}`);
      await this.#until(scheduler.now + LOOK_MICROS, { auditShare: 0.0005 });
    }
    this.#world.expectEqual();
    await this.#world.audit();
  }

  async #step(): Promise<void> {
    this.#events += 1;
    if (this.#events > EVENTS_MAX) throw new Error(`I8: after ${EVENTS_MAX} events there is no end to it: ${this.#world.situation}`);
    await this.#world.step();
  }
}
