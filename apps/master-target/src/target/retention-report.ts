// SPDX-License-Identifier: Apache-2.0
import type { RetentionReport } from '@secondsite/contracts';
import { isoFromMicros } from '@secondsite/units';
import type { RetentionStanding } from '../pair/retention-watch';

/** How a journal stands, as telemetry says it. */
export function retentionReport(standing: RetentionStanding): RetentionReport {
  const { promisedMicros, availableMicros, limitBytes, growthBytesPerSecond, fullSeconds, shortenedBy, shortenedAt } = standing;
  return {
    promisedSeconds: promisedMicros / 1e6,
    availableSeconds: availableMicros / 1e6,
    ...(limitBytes !== undefined && { limitBytes }),
    ...(growthBytesPerSecond !== undefined && { growthBytesPerSecond }),
    ...(fullSeconds !== undefined && { fullSeconds }),
    ...(shortenedBy !== undefined && { shortenedBy }),
    ...(shortenedAt !== undefined && { shortenedAt: isoFromMicros(shortenedAt) }),
  };
}
