// SPDX-License-Identifier: Apache-2.0
/** One row of the table: ours and its peers, measured in turn in the same run. */
export interface Contestant {
  readonly name: string;
  /** One measured run; the figure's unit is the row's. */
  readonly run: () => Promise<number>;
}

export interface Figure {
  readonly name: string;
  readonly median: number;
  readonly minimum: number;
  readonly maximum: number;
}

/**
 * Runs A B A B … so that a machine whose speed drifts is unkind to all alike; the first round warms up and is not counted. `before` makes the
 * machine alike for each run.
 */
export async function measureInterleaved<const Contestants extends readonly Contestant[]>(
  contestants: Contestants,
  rounds: number,
  before: () => Promise<void> = async () => undefined,
): Promise<{ [Index in keyof Contestants]: Figure }> {
  const figures = contestants.map(() => [] as number[]);
  for (let round = 0; round <= rounds; round++) {
    for (const [index, contestant] of contestants.entries()) {
      await before();
      const figure = await contestant.run();
      if (round > 0) (figures[index] as number[]).push(figure);
    }
  }
  return contestants.map((contestant, index) => summarize(contestant.name, figures[index] as number[])) as { [Index in keyof Contestants]: Figure };
}

export function summarize(name: string, values: readonly number[]): Figure {
  return { name, median: quantile(values, 0.5), minimum: Math.min(...values), maximum: Math.max(...values) };
}

/** Nearest-rank quantile; `q` in 0 … 1. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? NaN;
}

export async function secondsOf(act: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await act();
  return (performance.now() - started) / 1000;
}

/** By halving: the lowest of the numbers below `count` for which it `holds`, as it then does for all above; `count` when for none. */
export async function lowestOf(count: number, holds: (candidate: number) => Promise<boolean>): Promise<number> {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (await holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
