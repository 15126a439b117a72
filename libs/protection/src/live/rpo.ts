// SPDX-License-Identifier: Apache-2.0
import type { TimeMicros } from '@secondsite/units';
import type { MasterTargetReading } from './readings';

/**
 * Seconds of data that would be lost if the primary site vanished at `now`: while the replica is green the distance to the time covered,
 * during a resynchronisation to the latest point that can still be recovered; null before there is any. It keeps growing when the
 * target is not heard. Clocks may differ a little: never negative.
 */
export function rpoSeconds(target: MasterTargetReading | undefined, now: TimeMicros): number | null {
  const recoverable = target?.green ? target.coveredTime : target?.latestPoint;
  return recoverable === undefined ? null : Math.max(0, Math.round((now - recoverable) / 1000) / 1000);
}

/** The worst of several pairs; null if one of them has no recovery point yet. */
export function worstRpoSeconds(values: readonly (number | null)[]): number | null {
  if (values.length === 0) return null;
  let worst = 0;
  for (const value of values) {
    if (value === null) return null;
    worst = Math.max(worst, value);
  }
  return worst;
}
