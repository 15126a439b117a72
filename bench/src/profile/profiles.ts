// SPDX-License-Identifier: Apache-2.0
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type FoldedStacks, functionTimes, mergeStacks } from './fold-profile';
import { ownInspector } from './inspector-url';
import { ProfiledProcess } from './profiled-process';

/** Stacks by thread, and the seconds that the run took. */
interface ProfiledRun {
  readonly seconds: number;
  readonly threads: ReadonlyMap<string, FoldedStacks>;
}

const functionsShown = 15;
/** Threads that were busy for less than this share of the time are left out of the table. */
const busyShareMin = 0.01;

/**
 * Processor profiles of what is measured, each of its runs in turn: `NAME.folded` has a stack and its microseconds in each line, behind the thread;
 * `NAME.txt` the functions with most own time of each thread. Like the figures they leave out the first run, if there was a second.
 */
export class Profiles {
  readonly #runs = new Map<string, ProfiledRun[]>();
  #own: Promise<ProfiledProcess> | undefined;

  constructor(private readonly folder: string) {}

  /** Profiles every thread of the processes while `act` runs. */
  async during<Result>(name: string, processes: readonly ProfiledProcess[], act: () => Promise<Result>): Promise<Result> {
    const run: { seconds: number; threads: [string, FoldedStacks][] } = { seconds: 0, threads: [] };
    const timed = async (): Promise<Result> => {
      const started = performance.now();
      const result = await act();
      run.seconds = (performance.now() - started) / 1000;
      return result;
    };
    const nested = processes.reduce((inner, profiled) => async () => {
      const { result, threads } = await profiled.during(inner);
      run.threads.push(...threads);
      return result;
    }, timed);
    const result = await nested();
    this.#runs.set(name, [...(this.#runs.get(name) ?? []), { seconds: run.seconds, threads: new Map(run.threads) }]);
    await this.#write(name);
    return result;
  }

  /** The same of this process, in which all parts of a row may live. */
  async ofOwnProcess<Result>(name: string, act: () => Promise<Result>): Promise<Result> {
    this.#own ??= ProfiledProcess.open({ name: 'bench', url: ownInspector() });
    return this.during(name, [await this.#own], act);
  }

  /** Lets go of this process, which does not end as long as its inspector is in use. */
  async close(): Promise<void> {
    (await this.#own)?.close();
  }

  async #write(name: string): Promise<void> {
    const all = this.#runs.get(name) ?? [];
    const runs = all.length > 1 ? all.slice(1) : all;
    const names = [...new Set(runs.flatMap(({ threads }) => [...threads.keys()]))];
    const threads = names.map((thread) => ({ thread, stacks: mergeStacks(runs.map((run) => run.threads.get(thread))) }));
    const seconds = runs.reduce((sum, run) => sum + run.seconds, 0);
    await mkdir(this.folder, { recursive: true });
    await writeFile(join(this.folder, `${name}.folded`), threads.map(({ thread, stacks }) => foldedText(thread, stacks)).join(''));
    const table = threads.flatMap(({ thread, stacks }) => tableOf({ thread, stacks, runs: runs.length, seconds }));
    await writeFile(join(this.folder, `${name}.txt`), [`${name}: milliseconds in one run of ${(seconds / runs.length).toFixed(2)} s, mean of ${runs.length}`, ...table, ''].join('\n'));
  }
}

function foldedText(thread: string, stacks: FoldedStacks): string {
  return [...stacks].map(([stack, micros]) => `${thread};${stack} ${Math.round(micros)}\n`).sort().join('');
}

function tableOf({ thread, stacks, runs, seconds }: { thread: string; stacks: FoldedStacks; runs: number; seconds: number }): string[] {
  const busyMicros = [...stacks.values()].reduce((sum, micros) => sum + micros, 0);
  const share = busyMicros / 1e6 / seconds;
  if (share < busyShareMin) return [];
  const millis = (micros: number): string => (micros / 1000 / runs).toFixed(1).padStart(9);
  const lines = functionTimes(stacks).slice(0, functionsShown).map(({ name, self, total }) => `${millis(self)} ${millis(total)}  ${name}`);
  return ['', `${thread}: busy ${Math.round(100 * share)} %`, '     self     total', ...lines];
}
