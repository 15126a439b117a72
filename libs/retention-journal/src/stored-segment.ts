// SPDX-License-Identifier: Apache-2.0
import type { StorageDirectory } from '@secondsite/durable-storage';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import type { ReusedMemory } from './journal-memory';
import type { TimelineRecord } from './timeline';
import type { JournalPosition, UndoEntries } from './undo-entries';
import type { VerifiedPiece } from './verify-records';

/** A piece of a segment's undo data, checked against its checksum. */
export interface DataBlock {
  /** Place of the first byte. */
  readonly position: JournalPosition;
  /** Valid until the next block is asked for, and not to be changed. */
  readonly data: Uint8Array;
}

/** The data file of a segment, wherever it is. See StorageFile. */
export interface SegmentFile {
  readonly name: string;
  read(into: Uint8Array, offset: number): Promise<ByteCount>;
  /** Absent when the bytes are not on a disk of this machine: reading them takes its time, and may fail for a while. */
  readNow?(into: Uint8Array, offset: number): ByteCount;
  close(): Promise<void>;
}

/** Files of a journal that belong together. */
export interface StoredFiles {
  readonly names: readonly string[];
  /** They never change any more, until they are merged or dropped; others may change at any time, or not be there. */
  readonly sealed: boolean;
  readonly bytes: ByteCount;
}

/** A stretch of the journal in one data file: as it was written, or merged; here, or in the cold store. */
export interface StoredSegment {
  /** The stretch in the endless file that the journal is; the next segment begins at `end`. */
  readonly base: JournalPosition;
  readonly end: JournalPosition;
  /** What positions of entries in this file count from. Never used for another file while the journal is open. */
  readonly address: JournalPosition;
  readonly file: SegmentFile;
  /** Bytes of the data file that count. */
  readonly dataBytes: ByteCount;
  /** Names of its files here; the first is the one without which the others mean nothing. */
  readonly names: readonly string[];
  readonly timeline: TimelineRecord;
  readonly lastTime: TimeMicros;
  /** Bytes on disk, index included. */
  readonly storedBytes: ByteCount;
  /** Bytes in the cold store. */
  readonly coldBytes: ByteCount;
  readonly entryCount: number;
  /** True when it never changes any more. */
  readonly sealed: boolean;
  /** True when it holds, between two points, only the oldest undo. */
  readonly merged: boolean;
  /** True when its data file is in the cold store. */
  readonly cold: boolean;
  /** Undo entries in stream order, as a copy, which may lie in `memory`; never from the cold store. Throws `journal/damaged` when they cannot be read. */
  loadEntries(directory: StorageDirectory, memory?: ReusedMemory): Promise<UndoEntries>;
  /** All undo data in ascending order of position, of a sealed segment. Throws `journal/damaged` at the first block that is not as written. */
  blocks(memory?: ReusedMemory): AsyncGenerator<DataBlock>;
  /** Reads a sealed segment and compares it with its checksums, piece by piece; what can be made again of the rest is. */
  verify(directory: StorageDirectory, memory?: ReusedMemory): AsyncGenerator<VerifiedPiece>;
}
