// SPDX-License-Identifier: Apache-2.0
// Which regions are marked with those that a write needs, so that fewer writes wait for a mark to be durable: those that a writer in order comes to
// next, and those around when many writes wait. What is marked in vain is unmarked by whoever unmarks, or compared after a crash. Counts calls and
// knows no clock.
import type { RegionSet } from './region-set';

/** First and last region. */
export interface Regions {
  readonly first: number;
  readonly last: number;
}

/** So many regions at once are marked ahead of a writer that goes through the volume in order. */
const AHEAD_MAX = 128;
/** So often the share of writes that wait is looked at; when fewer than so many did not, twice as many regions are marked around. */
const WAITS_PER_LOOK = 4;
const CALLS_PER_WAIT = 64;

export class MarkNeighbours {
  readonly #marked: RegionSet;
  readonly #aroundMax: number;
  /** Marked ahead of a writer. When it comes to the first of them as many behind the last are marked. */
  #ahead: Regions | undefined;
  #lastAsked = -1;
  #around = 1;
  #calls = 0;
  #waits = 0;

  /** `aroundMax`: a power of two; 1: nothing but what is ahead. */
  constructor(marked: RegionSet, { aroundMax }: { readonly aroundMax: number }) {
    this.#marked = marked;
    this.#aroundMax = aroundMax;
  }

  /** Of every write. Regions that should be marked soon, because the writer has come to those marked ahead of it. */
  asked({ first, last }: Regions): Regions | undefined {
    const next = this.#lastAsked + 1;
    this.#lastAsked = last;
    this.#calls += 1;
    if (this.#ahead?.first !== next || next < first || next > last) return undefined;
    const { first: from, last: to } = this.#ahead;
    this.#ahead = { first: to + 1, last: to + Math.min(2 * (to - from + 1), AHEAD_MAX) };
    return this.#ahead;
  }

  /** A sync begins that writes wait for. */
  waits(): void {
    this.#waits += 1;
    if (this.#waits < WAITS_PER_LOOK) return;
    const areMany = this.#calls < WAITS_PER_LOOK * CALLS_PER_WAIT;
    this.#around = areMany ? Math.min(2 * this.#around, this.#aroundMax) : Math.max(1, this.#around / 2);
    this.#waits = this.#calls = 0;
  }

  /** Regions to mark with those of a write that waits; they contain it, and may end behind the volume. */
  of({ first, last }: Regions): Regions {
    const aheadEnd = last + Math.max(0, this.#runBefore(first) - 1);
    this.#ahead = aheadEnd > last ? { first: last + 1, last: aheadEnd } : this.#ahead;
    const around = { first: Math.floor(first / this.#around) * this.#around, last: Math.ceil((last + 1) / this.#around) * this.#around - 1 };
    return { first: around.first, last: Math.max(around.last, aheadEnd) };
  }

  /** Marked in a row before `region`. One less are marked ahead: a lone neighbour says nothing, and a long run soon goes far. */
  #runBefore(region: number): number {
    let run = 0;
    while (run < Math.min(AHEAD_MAX, region) && this.#marked.has(region - run - 1)) run++;
    return run;
  }
}
