// SPDX-License-Identifier: Apache-2.0
import type { BlockLayout, KeptChecksums } from '@secondsite/block-checksums';
import type { SealedChangeSet } from '@secondsite/change-set';
import type { ResyncCause } from '@secondsite/contracts';
import type { ByteCount } from '@secondsite/units';
import type { WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import type { BufferBudget } from './buffer-budget';
import type { ChangeSetHops } from './change-set-hop-log';
import type { ChangeSetSender } from './change-set-shipper';
import type { StreamClock } from './change-stream';
import type { ReplicationFact } from './replication-fact';
import type { ResyncSource } from './resync-source';
import type { TapWatch } from './tap-watch';
import type { WholeCause } from './whole-resync';

export interface PairReplicationOptions {
  readonly pairId: string;
  readonly volumeBytes: ByteCount;
  readonly source: ResyncSource;
  /** Only for a tap that can be interrupted. */
  readonly tap?: TapWatch;
  /** Owned from here on; closed by `stop`. */
  readonly bitmap: WriteIntentBitmap;
  /** Of the source; owned from here on as well. Undefined: a comparison reads everything. */
  readonly checksums?: KeptChecksums;
  /** How blocks are compared with the replica; the target's must be the same. */
  readonly layout?: BlockLayout | undefined;
  readonly budget: BufferBudget;
  readonly clock: StreamClock;
  /** Monotonic. */
  readonly millis: () => number;
  readonly sender: ChangeSetSender;
  /** Aborts after so many milliseconds; default `AbortSignal.timeout`. */
  readonly timeLimit?: (millis: number) => AbortSignal;
  readonly onFact: (fact: ReplicationFact) => void;
  /** From its first write until it is known to be applied a change set that is not sampled may take so long untraced; undefined: for ever. */
  readonly traceSlowMillis?: number | undefined;
  /** A traced change set passed all hops of the agent, or failed. */
  readonly onPassed?: (hops: ChangeSetHops) => void;
  readonly newTraceparent: () => string | undefined;
  readonly prepare?: (set: SealedChangeSet) => Promise<SealedChangeSet>;
  /** Data of a segment; default 8 MiB. */
  readonly segmentDataBytes?: ByteCount;
  /** Entries of a segment; default as many as a set may have. */
  readonly segmentEntriesMax?: number;
  /** How long a set waits for more writes before it is sealed; default 200 ms. */
  readonly lingerMillis?: number;
  readonly windowSets?: number;
  /** Why the pair starts, when the bitmap does not know it. */
  readonly startCause?: ResyncCause;
  /** A resynchronisation of the whole volume that is needed already; default: a baseline, when the bitmap is new. */
  readonly wholeCause?: WholeCause | undefined;
  /** Keeps the cause of a resynchronisation of the whole volume over restarts; durable when it resolves. */
  readonly noteWhole?: (cause: WholeCause | undefined) => Promise<void>;
}
