// SPDX-License-Identifier: Apache-2.0
import type { ScrubReport } from '@secondsite/contracts';
import { isoFromMicros } from '@secondsite/units';
import type { ScrubStatus } from '../pair/pair-types';

/** How the scrubber stands, as telemetry says it. */
export function scrubReport({ nextAt, running, lastRound, damagedBytes, fault }: ScrubStatus): ScrubReport {
  return {
    damagedBytes,
    ...(nextAt !== undefined && { nextAt: isoFromMicros(nextAt) }),
    ...(running && { running: { ...running, startedAt: isoFromMicros(running.startedAt) } }),
    ...(lastRound && { lastRound: { ...lastRound, startedAt: isoFromMicros(lastRound.startedAt), endedAt: isoFromMicros(lastRound.endedAt) } }),
    ...(fault && { fault }),
  };
}
