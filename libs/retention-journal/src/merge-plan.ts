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

/** `kept`: all points that must stay, those of open views included. Undefined: there is nothing to do. */
export function planMerge(segments: readonly StoredSegment[], { kept, limits }: { readonly kept: RecoveryPoints; readonly limits: MergeLimits }): MergePlan | undefined {
  let from = segments.findIndex((segment) => isWorthMerging(segment, kept));
  if (from < 0) return undefined;
  let size = sizeOf(segments[from] as StoredSegment);
  let to = from + 1;
  for (let next = segments[to]; next && isWorthMerging(next, kept) && fits(size, next, limits); next = segments[to]) {
    size = sum(size, next);
    to++;
  }
  for (let before = segments[from - 1]; before && before.entryCount <= size.entries && isMergeable(before, kept) && fits(size, before, limits); before = segments[from - 1]) {
    size = sum(size, before);
    from--;
  }
  const chosen = segments.slice(from, to);
  return { segments: chosen, instants: instantsOf(chosen, kept) ?? [], isOldest: from === 0 };
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

interface Size {
  readonly entries: number;
  readonly bytes: ByteCount;
}

function sizeOf({ entryCount, storedBytes }: PlannedSegment): Size {
  return { entries: entryCount, bytes: storedBytes };
}

function sum(size: Size, { entryCount, storedBytes }: PlannedSegment): Size {
  return { entries: size.entries + entryCount, bytes: size.bytes + storedBytes };
}

function fits(size: Size, segment: PlannedSegment, limits: MergeLimits): boolean {
  const together = sum(size, segment);
  return together.entries <= limits.entries && together.bytes <= limits.bytes;
}
