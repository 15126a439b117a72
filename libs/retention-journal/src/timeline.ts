// SPDX-License-Identifier: Apache-2.0
// The instants that one journal segment can take the disk back to. A span [from, to] is a run of exact instants; a folded set leaves a
// span of one instant. Invariant: spans are in order and disjoint; an open span ends at the covered time.
import type { TimeMicros } from '@secondsite/units';
import { advanceStream, type Bookmark, type SetFacts, type StreamState } from './stream-state';

/** Why the instants just before a span are not offered. */
export type GapReason = 'retention' | 'merged' | 'resync' | 'folded';

export interface Span {
  readonly from: TimeMicros;
  readonly to: TimeMicros;
  readonly gapBefore: GapReason;
}

export interface TimelineRecord {
  readonly start: StreamState;
  readonly end: StreamState;
  readonly spans: readonly Span[];
  readonly bookmarks: readonly Bookmark[];
}

export class Timeline implements TimelineRecord {
  readonly start: StreamState;
  readonly bookmarks: Bookmark[] = [];
  readonly #spans: Span[] = [];
  #end: StreamState;

  /** A timeline that begins where the stream stood at `start`. */
  constructor(start: StreamState) {
    this.start = start;
    this.#end = start;
    if (start.green) this.#spans.push({ from: start.lastTime, to: start.lastTime, gapBefore: 'retention' });
  }

  get end(): StreamState {
    return this.#end;
  }

  get spans(): readonly Span[] {
    return this.#spans;
  }

  observe(facts: SetFacts): void {
    const spansBefore = this.#spans.length;
    let green = this.#end.green;
    for (const step of facts.steps) {
      if (step.kind === 'bookmark') {
        const { kind: _, ...bookmark } = step;
        this.bookmarks.push(bookmark);
      } else if (step.kind === 'broken') {
        if (green && !facts.coarse) this.#extendLast(step.at);
        green = false;
      } else {
        if (!green) this.#spans.push({ from: step.at, to: step.at, gapBefore: 'resync' });
        green = true;
      }
    }
    this.#end = advanceStream(this.#end, facts);
    if (facts.coarse) this.#keepOnlyEnd(spansBefore, green);
    else if (green) this.#extendLast(facts.lastTime);
  }

  /** Of a coarse set only its end is an instant. */
  #keepOnlyEnd(spansBefore: number, green: boolean): void {
    const gapBefore = this.#spans.length > spansBefore ? 'resync' : 'folded';
    this.#spans.length = spansBefore;
    if (green) this.#spans.push({ from: this.#end.lastTime, to: this.#end.lastTime, gapBefore });
  }

  #extendLast(to: TimeMicros): void {
    const last = this.#spans.at(-1);
    if (last && to > last.to) this.#spans[this.#spans.length - 1] = { ...last, to };
  }
}
