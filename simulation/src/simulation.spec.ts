// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { HistoryFailure, runHistory, type HistoryReport } from './history';
import type { World } from './world';

const histories = Number(process.env['SIMULATION_HISTORIES'] ?? 120);
const firstSeed = Number(process.env['SIMULATION_SEED'] ?? Date.now() % 1_000_000_000);
const LINES_SHOWN = 60;

/** The report of a history in which all held; throws with the end of its trace otherwise. */
async function passed(seed: number): Promise<HistoryReport> {
  try {
    return await runHistory(seed);
  } catch (error) {
    if (!(error instanceof HistoryFailure)) throw error;
    throw new Error(`${error.lines.slice(-LINES_SHOWN).join('\n')}\n${error.message}\nAgain: npx nx run simulation:run --seed ${seed}`, { cause: error });
  }
}

/** Runs histories until one fails; undefined when none does. */
async function firstFailure(seeds: { readonly from: number; readonly count: number }, tamper: (world: World) => void): Promise<HistoryFailure | undefined> {
  for (let seed = seeds.from; seed < seeds.from + seeds.count; seed++) {
    try {
      await runHistory(seed, { tamper });
    } catch (error) {
      if (error instanceof HistoryFailure) return error;
      throw error;
    }
  }
  return undefined;
}

describe('simulated histories of the write path', () => {
  it('keep every invariant under every trouble, and come to rest by themselves', async () => {
    const sum = { events: 0, troubles: 0, cuts: 0, views: 0, audits: 0, skippedBlocks: 0, rebuiltSets: 0 };
    process.stdout.write(`simulation: ${histories} histories, seeds ${firstSeed} to ${firstSeed + histories - 1}\n`);
    for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
      const report = await passed(seed);
      for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += report[key];
    }
    process.stdout.write(`simulation: ${JSON.stringify(sum)}\n`);
    const { rebuiltSets, ...counts } = sum;
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(histories);
    expect(rebuiltSets).toBeGreaterThan(histories / 10);
  }, 180_000);

  it('are decided by their seed: the same one twice has the same trace', async () => {
    for (let seed = firstSeed; seed < firstSeed + 5; seed++) expect(await passed(seed)).toEqual(await passed(seed));
    expect((await passed(firstSeed)).hash).not.toBe((await passed(firstSeed + 1)).hash);
  });

  it('notice a disk that says it has synced and has not, wherever it is', async () => {
    // What is lost may also be noticed by that nothing goes on (I8).
    const liars = { data: /I[138]/, processServer: /I[28]/, target: /I[2-58]/ } as const;
    for (const [disk, invariant] of Object.entries(liars)) {
      const lies = (world: World): void => void (world.disks[disk as keyof typeof liars].lies = true);
      const failure = await firstFailure({ from: firstSeed, count: 60 }, lies);
      expect(failure?.message ?? `nobody notices that the disk lies: ${disk}`).toMatch(invariant);
    }
  });
});
