// SPDX-License-Identifier: Apache-2.0
import type { ByteCount, ByteOffset, Epoch, SequenceNumber } from '@secondsite/units';

/** A record's name, given by its writer; the log does not look at it. */
export interface RecordKey {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
}

export interface LogRecord {
  readonly key: RecordKey;
  /** Written one after another. They must not change until the append resolved. */
  readonly parts: readonly Uint8Array[];
}

/** Where a record is; valid for the log object that gave it, until it is released. */
export interface RecordPosition {
  readonly segment: number;
  readonly offset: ByteOffset;
  readonly payloadBytes: ByteCount;
}

export interface LiveRecord {
  readonly key: RecordKey;
  readonly position: RecordPosition;
}
