// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';
import type { PairEvent } from '../pair/pair-types';

/** A pair that was not accepted because its disk space is not there. */
export interface OverAllocation {
  readonly neededBytes: ByteCount;
  readonly availableBytes: ByteCount;
}

/** Port: how facts leave. Must not throw and must not block; facts are kept while the bus is away. */
export interface TargetReporter {
  pairEvent(pairId: string, event: PairEvent): void;
  overAllocated(pairId: string, allocation: OverAllocation): void;
}
