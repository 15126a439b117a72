// SPDX-License-Identifier: Apache-2.0
import { CrashableStorage, SimulatedCrash } from './crashable-storage';
import { type Random, randomBelow, seededRandom } from './seeded-random';

/** What scenario and check get. `model` lives through all rounds of one history: the test's own memory of what was promised. */
export interface CrashRound<Model> {
  readonly storage: CrashableStorage;
  readonly random: Random;
  readonly model: Model;
  readonly seed: number;
  /** Counts from 1: power cuts in this history so far, this one included. */
  readonly round: number;
}

export interface CrashHistoryPlan<Model> {
  readonly histories: number;
  /** History i has seed `firstSeed + i`; to replay one, give its seed and `histories: 1`. Default 1. */
  readonly firstSeed?: number;
  /** Power cuts per history; the storage lives on from one to the next. Default 2. */
  readonly rounds?: number;
  /** `random`: one cut at a random operation per round. `every`: the first round is repeated with a cut at each operation in turn. */
  readonly cuts?: 'random' | 'every';
  readonly model: (random: Random) => Model;
  /** Opens what it tests on `storage.root` and works until it is done or the power goes (SimulatedCrash may pass through). */
  readonly run: (round: CrashRound<Model>) => Promise<void>;
  /** After power is back: opens anew and throws when a promise is broken. May go on using the storage. */
  readonly check: (round: CrashRound<Model>) => Promise<void>;
}

/** Runs a scenario in many seeded histories with power cuts. A failure names the seed that replays it. Returns how many cuts there were. */
export async function crashHistories<Model>(plan: CrashHistoryPlan<Model>): Promise<number> {
  const lengths = new Lengths();
  let cuts = 0;
  for (let index = 0; index < plan.histories; index += 1) {
    const seed = (plan.firstSeed ?? 1) + index;
    if (plan.cuts === 'every') cuts += await cutEverywhere(plan, seed);
    else cuts += await cutAtRandom(plan, seed, lengths);
  }
  return cuts;
}

async function cutAtRandom<Model>(plan: CrashHistoryPlan<Model>, seed: number, lengths: Lengths): Promise<number> {
  const random = seededRandom(seed);
  const storage = new CrashableStorage();
  const model = plan.model(random);
  const rounds = plan.rounds ?? 2;
  for (let round = 1; round <= rounds; round += 1) {
    const before = storage.operations;
    storage.crashAfter(1 + randomBelow(random, lengths.typical));
    await cutOnce(plan, { storage, random, model, seed, round });
    lengths.add(storage.operations - before);
  }
  return rounds;
}

async function cutEverywhere<Model>(plan: CrashHistoryPlan<Model>, seed: number): Promise<number> {
  for (let at = 1; ; at += 1) {
    const random = seededRandom(seed);
    const storage = new CrashableStorage();
    const model = plan.model(random);
    storage.crashAfter(at);
    const reached = await cutOnce(plan, { storage, random, model, seed, round: 1 }, ` with the cut at operation ${at}`);
    if (!reached) return at;
  }
}

/** Runs until the cut (or to the end, then cuts), and checks. False when the run ended before the cut. */
async function cutOnce<Model>(plan: CrashHistoryPlan<Model>, round: CrashRound<Model>, where = ''): Promise<boolean> {
  const place = `seed ${round.seed}, round ${round.round}${where}`;
  try {
    await plan.run(round);
  } catch (error) {
    if (!isCrash(error)) throw new Error(`Scenario failed: ${place}: ${messageOf(error)}`, { cause: error });
  }
  const reached = round.storage.stopped;
  round.storage.crash(round.random);
  try {
    await plan.check(round);
  } catch (error) {
    throw new Error(`A promise was broken: ${place}: ${messageOf(error)}`, { cause: error });
  }
  return reached;
}

/** True for the power cut itself and for an error that it caused. */
function isCrash(error: unknown): boolean {
  if (error instanceof SimulatedCrash) return true;
  return error instanceof Error && error.cause !== undefined && isCrash(error.cause);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** How many operations rounds usually have, so that cuts fall inside them. */
class Lengths {
  #longest = 40;

  get typical(): number {
    return this.#longest + 2;
  }

  add(length: number): void {
    this.#longest = Math.max(length, Math.floor(this.#longest * 0.98));
  }
}
