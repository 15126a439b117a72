// SPDX-License-Identifier: Apache-2.0
// Reads a sealed segment again to see whether the disk still has what was written. Finds the next record behind one whose header is gone, because a
// header says where it stands.
import type { StorageFile } from '@secondsite/durable-storage';
import { type ByteCount, isOperationError, MIB } from '@secondsite/units';
import type { FileRange } from './journal-damage';
import { ReusedMemory } from './journal-memory';
import { decodeRecordHeader, RECORD_HEADER_BYTES, recordMagic, SEGMENT_HEADER_BYTES } from './undo-record';
import type { JournalPosition } from './undo-entries';

/** A piece of a segment that was read and compared with its checksums. */
export interface VerifiedPiece {
  readonly bytes: ByteCount;
  /** Not as written, as far as a checksum reaches. */
  readonly damaged?: FileRange;
}

interface SealedRecords {
  readonly base: JournalPosition;
  /** Of the whole segment. */
  readonly bytes: ByteCount;
  readonly memory: ReusedMemory;
}

/** Record by record; memory for the largest one. */
export async function* verifyRecords(file: StorageFile, segment: SealedRecords): AsyncGenerator<VerifiedPiece> {
  for (let at = SEGMENT_HEADER_BYTES; at < segment.bytes; ) {
    const record = await verifyRecord(file, { ...segment, at });
    const end = record?.end ?? (await nextRecord(file, { ...segment, from: at + 1 }));
    yield { bytes: end - at, ...(record?.isWhole === true ? {} : { damaged: { at, length: end - at } }) };
    at = end;
  }
}

/** Undefined when no header of a record stands there. */
async function verifyRecord(file: StorageFile, { base, bytes, memory, at }: SealedRecords & { readonly at: number }): Promise<{ readonly end: number; readonly isWhole: boolean } | undefined> {
  const decoded = decodeRecordHeader(await readableAt(file, { at, length: RECORD_HEADER_BYTES }), base + at);
  if (!decoded) return undefined;
  const { stepsBytes, tableBytes, dataBytes } = decoded.lengths;
  const end = at + RECORD_HEADER_BYTES + stepsBytes + tableBytes + dataBytes;
  if (end > bytes) return undefined;
  const body = await readableAt(file, { at: at + RECORD_HEADER_BYTES, length: end - at - RECORD_HEADER_BYTES }, memory);
  const headBytes = stepsBytes + tableBytes;
  return { end, isWhole: decoded.bodyIsWhole(body.subarray(0, headBytes), body.subarray(headBytes)) };
}

/** Where the next record begins at or after `from`; the end of the segment when none follows. */
async function nextRecord(file: StorageFile, { base, bytes, from }: SealedRecords & { readonly from: number }): Promise<number> {
  for (let start = from; start < bytes; start += MIB) {
    const window = Buffer.from(await readableAt(file, { at: start, length: Math.min(MIB + RECORD_HEADER_BYTES, bytes - start) }));
    for (let found = window.indexOf(recordMagic); found >= 0 && found < MIB; found = window.indexOf(recordMagic, found + 1)) {
      if (decodeRecordHeader(window.subarray(found, found + RECORD_HEADER_BYTES), base + start + found)) return start + found;
    }
  }
  return bytes;
}

/** What the disk gives back of a range: less at the end of the file, nothing where it cannot be read. */
export async function readableAt(file: StorageFile, { at, length }: FileRange, memory = new ReusedMemory()): Promise<Uint8Array> {
  const into = memory.take(length);
  try {
    return into.subarray(0, await file.read(into, at));
  } catch (error) {
    if (!isOperationError(error, 'storage/io-error')) throw error;
    return into.subarray(0, 0);
  }
}
