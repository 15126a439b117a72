// SPDX-License-Identifier: Apache-2.0
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import type { TimelineRecord } from './timeline';
import type { JournalPosition, UndoEntries } from './undo-entries';
import type { VerifiedPiece } from './verify-records';

/** A piece of a segment's undo data, checked against its checksum. */
export interface DataBlock {
  /** Place of the first byte. */
  readonly position: JournalPosition;
  /** Valid until the next block is asked for. */
  readonly data: Uint8Array;
}

/** A stretch of the journal in one file: as it was written, or merged. */
export interface StoredSegment {
  /** The stretch in the endless file that the journal is; the next segment begins at `end`. */
  readonly base: JournalPosition;
  readonly end: JournalPosition;
  /** What positions of entries in this file count from. Never used for another file while the journal is open. */
  readonly address: JournalPosition;
  readonly file: StorageFile;
  /** Names of its files; the first is the one without which the others mean nothing. */
  readonly names: readonly string[];
  readonly timeline: TimelineRecord;
  readonly lastTime: TimeMicros;
  /** Bytes on disk, index included. */
  readonly storedBytes: ByteCount;
  readonly entryCount: number;
  /** True when it never changes any more. */
  readonly sealed: boolean;
  /** True when it holds, between two points, only the oldest undo. */
  readonly merged: boolean;
  /** Undo entries in stream order, as a copy. Throws `journal/damaged` when they cannot be read. */
  loadEntries(directory: StorageDirectory): Promise<UndoEntries>;
  /** All undo data in ascending order of position, of a sealed segment. Throws `journal/damaged` at the first block that is not as written. */
  blocks(): AsyncGenerator<DataBlock>;
  /** Reads a sealed segment and compares it with its checksums, piece by piece; what can be made again of the rest is. */
  verify(directory: StorageDirectory): AsyncGenerator<VerifiedPiece>;
}
