// SPDX-License-Identifier: Apache-2.0
// MySQL and MariaDB: FLUSH TABLES WITH READ LOCK lasts as long as its session, so the client stays open while the tables are locked; when its
// input ends, for whatever reason, the session ends and with it the lock.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Freezer } from './freezer';
import { hookFailed, hookTooSlow } from './hook-error';

const PROGRAM = 'mysql';
const LOCKED = 'locked';

export class MysqlFreezer implements Freezer {
  readonly thawsAfterFailure = false;
  readonly #defaultsFile: string;
  readonly #secondsMax: number;
  #session: ChildProcessWithoutNullStreams | undefined;

  /** `defaultsFile`: an option file on this host; the agent does not read it. */
  constructor({ defaultsFile, secondsMax }: { readonly defaultsFile: string; readonly secondsMax: number }) {
    this.#defaultsFile = defaultsFile;
    this.#secondsMax = secondsMax;
  }

  async freeze(): Promise<void> {
    const session = spawn(PROGRAM, [`--defaults-file=${this.#defaultsFile}`, '--batch', '--skip-column-names', '--unbuffered'], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#session = session;
    session.stdin.on('error', () => undefined); // It ended; that is told by its exit.
    session.stdin.write(`FLUSH TABLES WITH READ LOCK; SELECT '${LOCKED}';\n`);
    const timer = setTimeout(() => session.kill('SIGKILL'), this.#secondsMax * 1000);
    try {
      await lockTaken(session);
    } catch (error) {
      throw session.signalCode === 'SIGKILL' ? hookTooSlow(PROGRAM, this.#secondsMax) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  async thaw(): Promise<void> {
    const session = this.#session;
    if (!session || session.exitCode !== null || session.signalCode !== null) return;
    const ended = once(session, 'close');
    session.stdin.end('UNLOCK TABLES;\n');
    const timer = setTimeout(() => session.kill('SIGKILL'), this.#secondsMax * 1000);
    await ended;
    clearTimeout(timer);
  }
}

function lockTaken(session: ChildProcessWithoutNullStreams): Promise<void> {
  return new Promise((resolve, reject) => {
    let printed = '';
    let failure = '';
    session.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      if (printed.includes(LOCKED)) resolve();
    });
    session.stderr.setEncoding('utf8').on('data', (text: string) => (failure += text));
    session.on('error', (error) => reject(hookFailed(PROGRAM, `${PROGRAM} could not be started: ${error.message}`)));
    session.on('close', (code) => reject(hookFailed(PROGRAM, `${PROGRAM} ended with code ${code}: ${failure.trim().split('\n')[0]}`)));
  });
}
