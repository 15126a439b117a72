// SPDX-License-Identifier: Apache-2.0
// What the stream of change sets says about the replica: which instants are exact. Pure. Times become *effective* times here: they never
// go back and never repeat across sets, so that an instant names one place of the stream.
import { type BookmarkLevel, bytesOf, type ChangeEntry, decodeMarker, type StreamMarker } from '@secondsite/change-set';
import type { Epoch, SequenceNumber, TimeMicros } from '@secondsite/units';

/** A named cut. `time` is effective: the disk at `time` is the disk at the bookmark. */
export interface Bookmark {
  readonly bookmarkId: string;
  readonly name: string;
  readonly level: BookmarkLevel;
  readonly time: TimeMicros;
  /** Told: it counts only where it is recorded, see `BookmarkMarker`. */
  readonly hosts?: number;
}

/** A change of what instants are worth, in stream order. */
export type TimelineStep =
  /** Exact instants end at `at` (a resynchronisation begins). */
  | { readonly kind: 'broken'; readonly at: TimeMicros }
  /** From `at` on the replica is the source at each instant. */
  | { readonly kind: 'green'; readonly at: TimeMicros }
  | ({ readonly kind: 'bookmark' } & Bookmark);

/** What the timeline must know of one set. */
export interface SetFacts {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  /** Effective times of the first and last entry. */
  readonly firstTime: TimeMicros;
  readonly lastTime: TimeMicros;
  /** Only the end of the set is an instant (folded, or the clock went back). */
  readonly coarse: boolean;
  readonly steps: readonly TimelineStep[];
}

/** Where the stream stands after a set. */
export interface StreamState {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  readonly lastTime: TimeMicros;
  readonly green: boolean;
  /** False until the first green instant: before it there is nothing to go back to, so no undo is kept. */
  readonly everGreen: boolean;
}

export const initialStreamState: StreamState = { epoch: 0, sequence: 0, lastTime: 0, green: false, everGreen: false };

/** One change set as the journal takes it; entries in stream order. */
export interface JournalSet {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  readonly folded: boolean;
  readonly entries: readonly ChangeEntry[];
  readonly data: Uint8Array;
  /** True: an `epoch-started` of reason `none` must not be believed, because sets of the epoch before were lost. */
  readonly continuityLost?: boolean;
}

/** Negative, zero or positive as `left` comes before, at or after `right` in the stream. */
export function compareStreamPlaces(left: Pick<StreamState, 'epoch' | 'sequence'>, right: Pick<StreamState, 'epoch' | 'sequence'>): number {
  return left.epoch - right.epoch || left.sequence - right.sequence;
}

/** Effective time of an entry after a set that ended at `previousTime`. */
export function effectiveTime(time: TimeMicros, previousTime: TimeMicros): TimeMicros {
  return time > previousTime ? time : previousTime + 1;
}

/** What `set` does to the timeline when it follows `state`. */
export function factsOfSet(set: JournalSet, state: StreamState): SetFacts {
  const timeOf = (entry: ChangeEntry | undefined): TimeMicros => effectiveTime(entry?.time ?? 0, state.lastTime);
  const steps: TimelineStep[] = [];
  let before = state.lastTime;
  for (const entry of set.entries) {
    if (entry.kind === 'marker') {
      const step = stepOfMarker(decodeMarker(bytesOf(entry, set.data)), { at: timeOf(entry), before, continuityLost: set.continuityLost === true });
      if (step) steps.push(step);
    }
    before = timeOf(entry);
  }
  const first = set.entries[0];
  const clockWentBack = first !== undefined && first.time <= state.lastTime;
  return { epoch: set.epoch, sequence: set.sequence, firstTime: timeOf(first), lastTime: before, coarse: set.folded || clockWentBack, steps };
}

interface MarkerPlace {
  readonly at: TimeMicros;
  /** Effective time of the entry before the marker. */
  readonly before: TimeMicros;
  readonly continuityLost: boolean;
}

function stepOfMarker(marker: StreamMarker | undefined, { at, before, continuityLost }: MarkerPlace): TimelineStep | undefined {
  switch (marker?.kind) {
    case 'epoch-started':
      return marker.reason === 'none' && !continuityLost ? { kind: 'green', at } : { kind: 'broken', at: before };
    case 'resync-started':
      return { kind: 'broken', at: before };
    case 'resync-read':
      return { kind: 'green', at };
    case 'bookmark':
      return { ...marker, time: at };
    default:
      return undefined;
  }
}

/** The state after a set. */
export function advanceStream(state: StreamState, facts: SetFacts): StreamState {
  let { green, everGreen } = state;
  for (const step of facts.steps) {
    if (step.kind === 'bookmark') continue;
    green = step.kind === 'green';
    everGreen ||= green;
  }
  return { epoch: facts.epoch, sequence: facts.sequence, lastTime: facts.lastTime, green, everGreen };
}
