// SPDX-License-Identifier: Apache-2.0
// Which neighbouring segments are worth merging next. Pure. Goals: what nobody can ask for goes soon, nothing is rewritten often (a merged
// segment is taken in again only with at least as much that is new, or when half of its points are gone), and a merge has a bounded size.
import type { ByteCount, TimeMicros } from '@secondsite/units';
import type { RecoveryPoints } from './recovery-points';
import type { StoredSegment } from './stored-segment';

export interface MergeLimits {
  /** Most undo entries that one merge takes in. */
  readonly entries: number;
  /** … and bytes. A single segment is merged whatever its size. */
  readonly bytes: ByteCount;
  /** … when the result holds several points: pruning by space drops them together. */
  readonly bytesWithPoints: ByteCount;
}

export interface MergePlan {
  /** Neighbours in the chain, oldest first. */
  readonly segments: readonly StoredSegment[];
  /** Kept points from the start to the end of the segments, ascending. */
  readonly instants: readonly TimeMicros[];
  /** Nothing older is in the journal: undo up to the first kept point is of no use. */
  readonly isOldest: boolean;
}

type PlannedSegment = Pick<StoredSegment, 'sealed' | 'merged' | 'timeline' | 'entryCount' | 'storedBytes'>;

export interface MergeScene {
  /** All points that must stay, those of open views included. */
  readonly kept: RecoveryPoints;
  readonly limits: MergeLimits;
  /** So many of the oldest segments stay as they are: they are in the cold store, or on their way. */
  readonly left: number;
  /** Others are left alone. */
  readonly isIntact: (segment: StoredSegment) => boolean;
}

/** Undefined: there is nothing to do. */
export function planMerge(all: readonly StoredSegment[], { kept, limits, left, isIntact }: MergeScene): MergePlan | undefined {
  const segments = all.slice(left);
  const isWorthIt = (segment: StoredSegment): boolean => isIntact(segment) && isWorthMerging(segment, kept);
  const first = segments.findIndex(isWorthIt);
  if (first < 0) return undefined;
  let [from, to] = [first, first + 1];
  const fits = (some: readonly StoredSegment[]): boolean => isWithin(some, { kept, limits });
  for (let next = segments[to]; next && isWorthIt(next) && fits(segments.slice(from, to + 1)); next = segments[to]) to++;
  const isSmallBeside = (before: StoredSegment): boolean => before.entryCount <= entriesOf(segments.slice(from, to));
  for (let before = segments[from - 1]; before && isSmallBeside(before) && isIntact(before) && isMergeable(before, kept) && fits(segments.slice(from - 1, to)); before = segments[from - 1]) from--;
  const chosen = segments.slice(from, to);
  return { segments: chosen, instants: instantsOf(chosen, kept) ?? [], isOldest: left + from === 0 };
}

/** Kept points from the start to the end of neighbouring segments; undefined when every instant of some time is kept there. */
export function instantsOf(segments: readonly PlannedSegment[], kept: RecoveryPoints): TimeMicros[] | undefined {
  const from = segments[0]?.timeline.start.lastTime ?? 0;
  const to = segments.at(-1)?.timeline.end.lastTime ?? 0;
  const inside = kept.spans.filter((span) => span.to >= from && span.from <= to);
  const single = inside.every((span) => Math.max(from, span.from) === Math.min(to, span.to));
  return single ? inside.map((span) => Math.max(from, span.from)) : undefined;
}

function isMergeable(segment: PlannedSegment, kept: RecoveryPoints): boolean {
  return segment.sealed && instantsOf([segment], kept) !== undefined;
}

function isWorthMerging(segment: PlannedSegment, kept: RecoveryPoints): boolean {
  if (!segment.sealed) return false;
  const instants = instantsOf([segment], kept);
  if (instants === undefined) return false;
  const points = segment.timeline.spans.length;
  return !segment.merged || (points > 0 && instants.length <= points / 2);
}

function isWithin(segments: readonly PlannedSegment[], { kept, limits }: { readonly kept: RecoveryPoints; readonly limits: MergeLimits }): boolean {
  const bytes = segments.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const points = instantsOf(segments, kept)?.length ?? 0;
  return entriesOf(segments) <= limits.entries && bytes <= (points > 1 ? limits.bytesWithPoints : limits.bytes);
}

function entriesOf(segments: readonly PlannedSegment[]): number {
  return segments.reduce((sum, { entryCount }) => sum + entryCount, 0);
}
