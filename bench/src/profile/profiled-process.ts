// SPDX-License-Identifier: Apache-2.0
// A process whose threads are profiled all the time, coarsely, and finely on demand. Code that V8 optimizes while no profile runs has no record of
// what was inlined where, and all of its time would be told of the outermost function.
import { type CpuProfile, type FoldedStacks, foldProfile, mergeStacks } from './fold-profile';
import { InspectedProcess } from './inspected-process';
import type { InspectedThread } from './inspected-thread';

const coarseMicros = 1_000_000;
const fineMicros = 500;

export class ProfiledProcess {
  readonly #name: string;
  readonly #starting = new Map<InspectedThread, Promise<unknown>>();
  #inspected: InspectedProcess | undefined;
  #samplingMicros = coarseMicros;

  private constructor(name: string) {
    this.#name = name;
  }

  /** `url`: WebSocket of the inspector. Every thread is profiled from now on, those that start later from their start. */
  static async open({ name, url }: { readonly name: string; readonly url: string }): Promise<ProfiledProcess> {
    const profiled = new ProfiledProcess(name);
    profiled.#inspected = await InspectedProcess.connect(url, (thread) => profiled.#start(thread));
    await Promise.all(profiled.#starting.values());
    return profiled;
  }

  /** Stacks by thread, `agent volume`, while `act` ran. A thread that ends meanwhile takes its profile with it. */
  async during<Result>(act: () => Promise<Result>): Promise<{ readonly result: Result; readonly threads: ReadonlyMap<string, FoldedStacks> }> {
    await this.#restart(fineMicros);
    const result = await act();
    return { result, threads: await this.#restart(coarseMicros) };
  }

  close(): void {
    this.#inspected?.close();
  }

  #start(thread: InspectedThread): void {
    this.#starting.set(thread, unlessEnded(thread, thread.startProfile(this.#samplingMicros)));
  }

  async #restart(samplingMicros: number): Promise<Map<string, FoldedStacks>> {
    this.#samplingMicros = samplingMicros;
    const threads = new Map<string, FoldedStacks>();
    await Promise.all([...this.#starting].map(async ([thread, started]) => {
      await started;
      const profile = await unlessEnded(thread, thread.stopProfile());
      if (!profile) return void this.#starting.delete(thread);
      this.#start(thread);
      const name = `${this.#name} ${thread.name}`;
      threads.set(name, mergeStacks([threads.get(name), foldProfile(profile)]));
      return this.#starting.get(thread);
    }));
    return threads;
  }
}

async function unlessEnded<Result extends CpuProfile | void>(thread: InspectedThread, result: Promise<Result>): Promise<Result | undefined> {
  try {
    return await result;
  } catch (error) {
    if (thread.ended) return undefined;
    throw error;
  }
}
