// SPDX-License-Identifier: Apache-2.0
import type { ColdReport, RetentionReport } from '@secondsite/contracts';
import { isoFromMicros } from '@secondsite/units';
import type { ColdStanding, PairStatus } from '../pair/pair-types';

/** How a journal stands, as telemetry says it. */
export function retentionReport({ retention, cold }: Pick<PairStatus, 'retention' | 'cold'>): RetentionReport {
  const { promisedMicros, availableMicros, limitBytes, growthBytesPerSecond, fullSeconds, shortenedBy, shortenedAt } = retention;
  return {
    promisedSeconds: promisedMicros / 1e6,
    availableSeconds: availableMicros / 1e6,
    ...(limitBytes !== undefined && { limitBytes }),
    ...(growthBytesPerSecond !== undefined && { growthBytesPerSecond }),
    ...(fullSeconds !== undefined && { fullSeconds }),
    ...(shortenedBy !== undefined && { shortenedBy }),
    ...(shortenedAt !== undefined && { shortenedAt: isoFromMicros(shortenedAt) }),
    ...(cold && { cold: coldReport(cold) }),
  };
}

function coldReport({ bytes, waitingBytes, localFrom, trouble }: ColdStanding): ColdReport {
  return {
    bytes, waitingBytes,
    ...(localFrom > 0 && { localFrom: isoFromMicros(localFrom) }),
    ...(trouble && { trouble: { ...trouble, since: isoFromMicros(trouble.since) } }),
  };
}
