// SPDX-License-Identifier: Apache-2.0
import type { KeptChecksums } from '@secondsite/block-checksums';
import type { SealedChangeSet } from '@secondsite/change-set';
import type { ByteCount } from '@secondsite/units';
import type { WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import type { BufferBudget } from './buffer-budget';
import type { ChangeSetHops } from './change-set-hop-log';
import type { ChangeSetSender } from './change-set-shipper';
import type { StreamClock } from './change-stream';
import type { ReplicationFact } from './replication-fact';
import type { ResyncSource } from './resync-source';
import type { TapWatch } from './tap-watch';

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
  readonly budget: BufferBudget;
  readonly clock: StreamClock;
  /** Monotonic. */
  readonly millis: () => number;
  readonly sender: ChangeSetSender;
  readonly onFact: (fact: ReplicationFact) => void;
  /** A change set passed all hops of the agent. */
  readonly onPassed?: (hops: ChangeSetHops) => void;
  readonly newTraceparent: () => string | undefined;
  readonly prepare?: (set: SealedChangeSet) => Promise<SealedChangeSet>;
  /** Data of a segment; default 8 MiB. */
  readonly segmentDataBytes?: ByteCount;
  /** How long a set waits for more writes before it is sealed; default 200 ms. */
  readonly lingerMillis?: number;
  readonly windowSets?: number;
}
