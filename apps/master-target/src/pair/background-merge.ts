// SPDX-License-Identifier: Apache-2.0
// Merges undo between kept points beside applying, when there is some to merge. Gives the thread away between pieces, so that change sets and views
// go first. A failure changes nothing in the journal: it is reported and tried again later.
import type { RetentionJournal, RetentionLimits } from '@secondsite/retention-journal';
import { isOperationError, type TimeMicros } from '@secondsite/units';

export interface BackgroundMergeParts {
  readonly journal: RetentionJournal;
  readonly retention: () => RetentionLimits;
  readonly clock: () => TimeMicros;
  readonly delay: (millis: number) => Promise<void>;
  /** How often it looks for work. */
  readonly lookMicros: TimeMicros;
  /** Called for the first of several equal failures. */
  readonly onFailure: (failure: { readonly code: string; readonly hint: string }) => void;
}

/** After a failure it rests so many times longer than after a look. */
const REST_AFTER_FAILURE = 60;

class Stopped extends Error {}

export class BackgroundMerge {
  readonly #parts: BackgroundMergeParts;
  #running: Promise<void> | undefined;
  #nextLook: TimeMicros = 0;
  #stopping = false;
  #reported: string | undefined;

  constructor(parts: BackgroundMergeParts) {
    this.#parts = parts;
  }

  /** Begins to merge if it is time to look; returns at once. */
  nudge(): void {
    if (this.#running || this.#stopping || this.#parts.clock() < this.#nextLook) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when no merge is under way; none begins afterwards. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const { journal, retention, clock, lookMicros } = this.#parts;
    let rest = lookMicros;
    try {
      while (await journal.mergeNext(retention(), () => this.#pause()));
      this.#reported = undefined;
    } catch (error) {
      rest *= REST_AFTER_FAILURE;
      this.#report(error);
    }
    this.#nextLook = clock() + rest;
  }

  async #pause(): Promise<void> {
    await this.#parts.delay(0);
    if (this.#stopping) throw new Stopped();
  }

  #report(error: unknown): void {
    if (error instanceof Stopped) return;
    const { code, hint } = isOperationError(error) ? error : { code: 'journal/merge-failed', hint: String(error) };
    if (this.#reported === code) return;
    this.#reported = code;
    this.#parts.onFailure({ code, hint });
  }
}
