// SPDX-License-Identifier: Apache-2.0
import type { SetHops, StreamPlace } from './pair-types';

const REMEMBERED = 400;

/** When the last sets passed each hop, for `secondsite trace`. */
export class RecentHops {
  readonly #hops = new Map<string, SetHops>();

  begin(hops: SetHops): void {
    this.#hops.set(keyOf(hops), hops);
    if (this.#hops.size <= REMEMBERED) return;
    for (const oldest of this.#hops.keys()) {
      this.#hops.delete(oldest);
      break;
    }
  }

  note(place: StreamPlace, times: Partial<SetHops>): void {
    const known = this.#hops.get(keyOf(place));
    if (known) this.#hops.set(keyOf(place), { ...known, ...times });
  }

  /** A set, or without a place the newest that was applied. */
  find(place?: StreamPlace): SetHops | undefined {
    if (place) return this.#hops.get(keyOf(place));
    return [...this.#hops.values()].findLast((hops) => hops.appliedAt !== undefined);
  }
}

function keyOf({ epoch, sequence }: StreamPlace): string {
  return `${epoch}/${sequence}`;
}
