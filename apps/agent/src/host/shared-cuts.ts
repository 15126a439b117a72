// SPDX-License-Identifier: Apache-2.0
// This host's part in cuts through several hosts, which somebody else coordinates: hold, then cut or release. Invariant: a cut is made only
// where the writes were held without a break since the hold was answered; a hold that nobody ends, ends by itself without a cut.
import type { BookmarkMarker } from '@secondsite/change-set';
import { OperationError, type TimeMicros } from '@secondsite/units';
import { cutHeld, type HeldVolumes, holdTogether, releaseTogether, type TogetherCut, type VolumeToCut } from './cut-together';

const REMEMBERED_MAX = 64;

export class SharedCuts {
  readonly #now: () => TimeMicros;
  readonly #held = new Map<string, HeldVolumes>();

  constructor(now: () => TimeMicros) {
    this.#now = now;
  }

  /** Throws the first volume's failure; then none holds. */
  async hold(volumes: readonly VolumeToCut[], limits: { readonly holdId: string; readonly limitMillis: number }): Promise<void> {
    const held = await holdTogether(volumes, limits);
    const [oldest] = this.#held.keys();
    if (this.#held.size >= REMEMBERED_MAX && oldest !== undefined) this.#held.delete(oldest); // Long over: its volumes have let go.
    this.#held.set(limits.holdId, held);
  }

  /** Ends the hold. Throws OperationError `bookmark/held-too-long` when it ended before. */
  async cut(holdId: string, bookmark: BookmarkMarker): Promise<TogetherCut> {
    const held = this.#held.get(holdId);
    if (!held) throw notHeld(holdId);
    this.#held.delete(holdId);
    return cutHeld(held, bookmark, this.#now);
  }

  /** False when it was over. */
  async release(holdId: string): Promise<boolean> {
    const held = this.#held.get(holdId);
    if (!held) return false;
    this.#held.delete(holdId);
    await releaseTogether(held);
    return true;
  }
}

function notHeld(holdId: string): OperationError {
  return new OperationError({
    code: 'bookmark/held-too-long', operation: 'cut held volumes', context: { holdId }, retryable: true,
    hint: 'This host does not hold its writes for this cut (any more); repeat the bookmark.',
  });
}
