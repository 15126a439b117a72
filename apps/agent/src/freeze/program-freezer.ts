// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Freezer } from './freezer';
import { hookFailed, hookTooSlow } from './hook-error';

export interface FreezePrograms {
  readonly freeze: readonly string[];
  /** None: freezing leaves nothing to undo. */
  readonly thaw: readonly string[] | undefined;
  readonly secondsMax: number;
  /** Whether the first line that the programs print about an error may be told; a user's own script might print a secret. */
  readonly mayTellErrors: boolean;
  readonly thawsAfterFailure: boolean;
}

/** A hook that is one program to freeze and one to thaw. */
export class ProgramFreezer implements Freezer {
  readonly #programs: FreezePrograms;
  /** Settles when the last freeze is over, whatever came of it: a killed program may stay in the kernel until the file system is frozen. */
  #freezeEnded: Promise<unknown> = Promise.resolve();
  #hasBegun = false;

  constructor(programs: FreezePrograms) {
    this.#programs = programs;
  }

  get thawsAfterFailure(): boolean {
    return this.#programs.thawsAfterFailure && this.#hasBegun;
  }

  async freeze(): Promise<void> {
    const child = this.#spawn(this.#programs.freeze).once('spawn', () => (this.#hasBegun = true));
    this.#freezeEnded = once(child, 'close').catch(() => undefined); // Could not be started.
    await this.#finish(child, this.#programs.freeze);
  }

  async thaw(): Promise<void> {
    await this.#whenFreezeEnded();
    if (this.#programs.thaw) await this.#finish(this.#spawn(this.#programs.thaw), this.#programs.thaw);
  }

  async #whenFreezeEnded(): Promise<void> {
    const { secondsMax, freeze: [program = ''] } = this.#programs;
    const late = new AbortController();
    const isLate = delay(secondsMax * 1000, true, { signal: late.signal }).catch(() => false);
    const timedOut = await Promise.race([this.#freezeEnded.then(() => false), isLate]);
    late.abort();
    if (timedOut) throw hookTooSlow(program, secondsMax);
  }

  #spawn([program = '', ...args]: readonly string[]): ChildProcess {
    return spawn(program, args, { detached: true, stdio: ['ignore', 'ignore', this.#programs.mayTellErrors ? 'pipe' : 'ignore'] });
  }

  async #finish(child: ChildProcess, [program = '']: readonly string[]): Promise<void> {
    const { secondsMax } = this.#programs;
    let printed = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (printed += text));
    let isLate = false;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      isLate = true;
      killGroup(child);
      late.reject(hookTooSlow(program, secondsMax));
    }, secondsMax * 1000);
    try {
      const [code, signal] = (await Promise.race([once(child, 'close'), late.promise])) as [number | null, string | null];
      if (isLate) throw hookTooSlow(program, secondsMax);
      if (code !== 0) throw hookFailed(program, `${program} ended with ${code === null ? `signal ${signal}` : `code ${code}`}${firstLine(printed)}`);
    } catch (error) {
      if (error instanceof Error && 'syscall' in error) throw hookFailed(program, `${program} could not be started: ${error.message}`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

function firstLine(printed: string): string {
  const [line = ''] = printed.trim().split('\n');
  return line === '' ? '' : `: ${line}`;
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // It ended by itself.
  }
}
