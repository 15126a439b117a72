// SPDX-License-Identifier: Apache-2.0
import { type ByteCount, GIB, MIB, type TimeMicros } from '@secondsite/units';

export interface PairLimits {
  /** Cached sets, on disk; above it senders are held off. Default 2 GiB. */
  readonly cacheBytesMax: ByteCount;
  /** Cached sets kept decoded in memory; default 48 MiB. While any has to be read back, `groupBytes` of it are for those. */
  readonly memoryBytesMax: ByteCount;
  /** How far ahead of a missing set others are taken; default 32. */
  readonly windowSets: number;
  /** Below so many free bytes nothing is taken; default 256 MiB. */
  readonly freeBytesMin: ByteCount;
  /** Segments of cache and journal; default 64 MiB each. */
  readonly segmentBytes: ByteCount;
  /** Sets applied together; default 32 MiB, and a quarter of it while views are open. */
  readonly groupBytes: ByteCount;
  /** Replica writes after which a checkpoint is made; default 128 MiB. */
  readonly checkpointBytes: ByteCount;
  /** … and the time after which one is made; default 1 s. */
  readonly checkpointMicros: TimeMicros;
  /** How often undo to merge is looked for; default 10 s. */
  readonly mergeLookMicros: TimeMicros;
  /** How fast replica and journal are read again by the scrubber, at most; default 8 MiB/s. */
  readonly scrubBytesPerSecond: number;
  /** From the beginning of one round to that of the next; default 7 days. */
  readonly scrubRoundMicros: TimeMicros;
}

export const defaultLimits: PairLimits = {
  cacheBytesMax: 2 * GIB, memoryBytesMax: 48 * MIB, windowSets: 32, freeBytesMin: 256 * MIB, segmentBytes: 64 * MIB,
  groupBytes: 32 * MIB, checkpointBytes: 128 * MIB, checkpointMicros: 1e6, mergeLookMicros: 10e6,
  scrubBytesPerSecond: 8 * MIB, scrubRoundMicros: 7 * 86_400e6,
};
