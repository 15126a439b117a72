// SPDX-License-Identifier: Apache-2.0
import type { ScrubReport } from '@secondsite/contracts';
import { formatBytes } from './data-in-transit';

/** What the scrubber does, what its last round found, and what is not repaired yet, in a sentence. */
export function scrubWords({ running, nextAt, lastRound, damagedBytes, fault }: ScrubReport): string {
  const now = running ? `being read again, ${formatBytes(running.doneBytes)} of ${formatBytes(running.totalBytes)}` : nextAt === undefined ? '' : `read again from ${minutesOf(nextAt)}`;
  const last = lastRound
    ? `last round ended ${minutesOf(lastRound.endedAt)}, ${lastRound.damagedBytes === 0 ? 'nothing was damaged' : `${formatBytes(lastRound.damagedBytes)} were damaged`}`
    : 'never read again yet';
  const damaged = damagedBytes > 0 ? `${formatBytes(damagedBytes)} of the replica are damaged and wait for the source` : '';
  const waits = fault ? `it cannot go on: ${fault.hint}` : '';
  return [damaged, now, waits, last].filter((part) => part !== '').join('; ');
}

function minutesOf(time: string): string {
  return `${time.slice(0, 16)}Z`;
}
