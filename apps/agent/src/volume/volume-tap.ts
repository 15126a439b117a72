// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';
import type { PairReplication } from './pair-replication';
import type { ResyncSource } from './resync-source';
import type { TapWatch } from './tap-watch';
import type { Credentials } from './volume-thread';

/** Port: how the changes of a volume are seen, and where its content is read. Owned by one ProtectedVolume. */
export interface VolumeTap {
  readonly sizeBytes: ByteCount;
  /** So many bytes its source has now. */
  readonly sourceBytes: ByteCount;
  readonly source: ResyncSource;
  /** Only of a tap that can be interrupted. */
  readonly watch?: TapWatch;
  /** Where clients use the volume as their disk; none when it is somewhere else. */
  readonly nbdUris: readonly string[];
  /** Counters since the start. */
  readonly writes: number;
  readonly writtenBytes: ByteCount;
  /** From this turn on every change is captured (or no longer). */
  replication: PairReplication | undefined;
  /** Changes that come from now on wait for `release`. */
  hold(): void;
  release(): void;
  /** The volume has so many bytes from now on, at least as many as before; connections that there are keep what they were told. Not of every tap. */
  grow?(sizeBytes: ByteCount): void;
  /** Takes changes from now on. */
  start(): Promise<void>;
  /** New connections use a renewed certificate. */
  useCredentials(credentials: Credentials): void;
  /** No change comes after it resolved. */
  endChanges(): Promise<void>;
  close(): Promise<void>;
}
