// SPDX-License-Identifier: Apache-2.0
import type { BlockLayout } from '@secondsite/block-checksums';
import type { Decompress } from '@secondsite/change-set';
import type { StorageDirectory } from '@secondsite/durable-storage';
import type { RetentionLimits } from '@secondsite/retention-journal';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import type { PairLimits } from './pair-limits';
import type { PairEvent, SetHops } from './pair-types';

export interface TargetPairOptions {
  readonly directory: StorageDirectory;
  readonly pairId: string;
  readonly sizeBytes: ByteCount;
  readonly retention: RetentionLimits;
  readonly decompress: Decompress;
  readonly clock: () => TimeMicros;
  /** Resolves after about so many milliseconds. */
  readonly delay: (millis: number) => Promise<void>;
  readonly onEvent?: (event: PairEvent) => void;
  /** Called once for each traced set, with its times, when it is durable in the replica. */
  readonly onTraced?: (hops: SetHops) => void;
  readonly limits?: Partial<PairLimits>;
  /** Number of the newest move that made the pair at home here; default 0. */
  readonly placement?: number;
  /** How blocks are compared with the source; the agent's must be the same. */
  readonly layout?: BlockLayout | undefined;
  /** Takes the memory of a set given to `store` when the pair has no more use for it. Not of every set. */
  readonly recycle?: (memory: ArrayBufferLike) => void;
}
