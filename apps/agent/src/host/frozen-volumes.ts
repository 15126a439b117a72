// SPDX-License-Identifier: Apache-2.0
// What stands still on this host for a bookmark; one freeze at a time. What may be frozen is written down before, so that an agent that starts after
// a crash of itself and of the keeper thaws it.
import type { HookResult } from '@secondsite/contracts';
import { readJsonFile, writeJsonAtomically } from '@secondsite/disk-files';
import { compiledWorker } from '@secondsite/thread-host';
import { OperationError } from '@secondsite/units';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FreezeSession, thawAll } from '../freeze/freeze-session';
import type { FreezeOrder, VolumeHook } from '../freeze/keep-frozen';

const keeperFile = compiledWorker(__dirname, '../freeze/freeze-keeper-main');
const SESSIONS_REMEMBERED = 16;

export interface FreezeWish {
  readonly freezeId: string;
  /** In the order of freezing. */
  readonly hooks: readonly VolumeHook[];
  readonly isStrict: boolean;
  readonly limitMillis: number;
}

export class FrozenVolumes {
  readonly #ownFolder: string;
  readonly #sessions = new Map<string, FreezeSession>();
  #running: Promise<unknown> | undefined;

  constructor(ownFolder: string) {
    this.#ownFolder = ownFolder;
  }

  /** Thaws what an earlier agent may have left frozen. At the start, before anything else. */
  async thawLeftovers(): Promise<void> {
    const left = (await readJsonFile(this.#noteFile)) as Pick<FreezeOrder, 'hooks' | 'ownFolder'> | undefined;
    if (!left) return;
    await thawAll(left);
    await rm(this.#noteFile, { force: true });
  }

  /** Resolves when every hook was tried. Throws OperationError `freeze/busy`. */
  async freeze({ freezeId, hooks, isStrict, limitMillis }: FreezeWish): Promise<readonly HookResult[]> {
    if (this.#running) throw busy();
    const order = { hooks, isStrict, limitMillis, ownFolder: this.#ownFolder };
    const ended = Promise.withResolvers<void>();
    this.#running = ended.promise;
    try {
      await writeJsonAtomically(this.#noteFile, order);
      const session = new FreezeSession({ order, keeperFile, millis: () => performance.now() });
      this.#remember(freezeId, session);
      void session.over.then(() => this.#finished()).then(ended.resolve);
      await session.settled();
      return session.results;
    } catch (error) {
      this.#running = undefined;
      throw error;
    }
  }

  /** Throws OperationError `bookmark/thawed-too-early` unless everything of this freeze has stood still until now. */
  assertFrozen(freezeId: string): void {
    if (this.#sessions.get(freezeId)?.isFrozen !== true) throw thawedTooEarly(freezeId);
  }

  /** Results of freezing and thawing, when everything goes on; none of a freeze that is not known. Idempotent. */
  async thaw(freezeId: string): Promise<readonly HookResult[]> {
    return (await this.#sessions.get(freezeId)?.thaw()) ?? [];
  }

  /** Thaws what is frozen now. */
  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => session.thaw()));
    await this.#running;
  }

  get #noteFile(): string {
    return join(this.#ownFolder, 'frozen.json');
  }

  #remember(freezeId: string, session: FreezeSession): void {
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size >= SESSIONS_REMEMBERED && oldest !== undefined) this.#sessions.delete(oldest); // One at a time: it is over.
    this.#sessions.set(freezeId, session);
  }

  async #finished(): Promise<void> {
    this.#running = undefined;
    await rm(this.#noteFile, { force: true });
  }
}

function busy(): OperationError {
  const hint = 'Another bookmark has frozen volumes of this host; repeat it in a moment.';
  return new OperationError({ code: 'freeze/busy', operation: 'freeze volumes', retryable: true, hint });
}

function thawedTooEarly(freezeId: string): OperationError {
  return new OperationError({
    code: 'bookmark/thawed-too-early', operation: 'cut frozen volumes', context: { freezeId }, retryable: true,
    hint: 'Applications or file systems went on before all volumes were cut; repeat the bookmark.',
  });
}
