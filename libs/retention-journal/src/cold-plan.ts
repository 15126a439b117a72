// SPDX-License-Identifier: Apache-2.0
// Which segments go to the cold store, and in which order. Pure.
import type { ByteCount, TimeMicros } from '@secondsite/units';
import type { ColdPolicy } from './cold-tier';
import { fullDetailMicros, type RetentionLimits } from './retention-ladder';
import type { StoredSegment } from './stored-segment';

export interface ColdScene {
  readonly limits: RetentionLimits;
  readonly policy: ColdPolicy;
  /** The newest applied instant: ages count back from there. */
  readonly appliedTime: TimeMicros;
  /** What the journal takes of the local disk. */
  readonly localBytes: ByteCount;
}

type PlannedSegment = Pick<StoredSegment, 'sealed' | 'merged' | 'cold' | 'lastTime' | 'storedBytes'>;

/** Segments that should be in the cold store and are not, oldest first; never the newest one. */
export function coldDue<Segment extends PlannedSegment>(segments: readonly Segment[], { limits, policy, appliedTime, localBytes }: ColdScene): Segment[] {
  let excess = localBytes - policy.aboveShare * (limits.spaceBytes ?? Infinity);
  // What the ladder thins out later waits until that was done: in the cold store nothing is merged.
  const isMergedLater = fullDetailMicros(limits) < limits.windowMicros;
  return segments.slice(0, -1).filter(({ sealed, cold, merged, lastTime, storedBytes }) => {
    if (!sealed || cold) return false;
    const old = appliedTime - lastTime >= policy.afterMicros && (merged || !isMergedLater);
    if (!old && excess <= 0) return false;
    excess -= storedBytes;
    return true;
  });
}

/** How many of the oldest segments stay as they are when undo is merged: up to the last that is cold or on its way there. */
export function unmergeableCount(segments: readonly StoredSegment[], moving: StoredSegment | undefined): number {
  return segments.findLastIndex((segment) => segment.cold || segment === moving) + 1;
}
