// SPDX-License-Identifier: Apache-2.0
import type { StorageFile } from '@secondsite/durable-storage';
import type { ByteCount } from '@secondsite/units';
import { damaged } from './journal-failures';
import { ReusedMemory } from './journal-memory';
import type { DataBlock } from './stored-segment';
import { compareStreamPlaces, type SetFacts } from './stream-state';
import { Timeline } from './timeline';
import { decodeRecordHeader, decodeSteps, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, type RecordHeader, type SegmentHeader } from './undo-record';
import { type JournalPosition, UndoEntries } from './undo-entries';

export interface ScannedSegment {
  /** Bytes up to the end of the last whole set. */
  readonly bytes: ByteCount;
  readonly timeline: Timeline;
  readonly entries: UndoEntries;
}

interface ReadRecord {
  readonly header: RecordHeader;
  readonly entries: UndoEntries;
  readonly byteCount: ByteCount;
}

/** Reads a segment's records until the first that is not whole; a set without its last part does not count. Checks every byte. */
export function scanRecords(file: StorageFile, segment: SegmentHeader): ScannedSegment {
  const timeline = new Timeline(segment.start);
  const entries = new UndoEntries();
  let bytes = SEGMENT_HEADER_BYTES;
  let at = bytes;
  let part = 0;
  let wholeEntries = 0;
  for (;;) {
    const record = readRecord(file, { at, base: segment.base });
    if (!record || record.header.part !== part || compareStreamPlaces(record.header, timeline.end) <= 0) break;
    entries.append(record.entries);
    at += record.byteCount;
    part++;
    if (!record.header.lastPart) continue;
    timeline.observe(factsOf(record.header));
    [bytes, part, wholeEntries] = [at, 0, entries.count];
  }
  entries.truncate(wholeEntries);
  return { bytes, timeline, entries };
}

interface RecordsInFile {
  readonly base: JournalPosition;
  /** Of the whole sealed segment. */
  readonly bytes: ByteCount;
  readonly memory?: ReusedMemory | undefined;
}

/** The data of each record, checked. It lies in the same memory as that of the record before. */
export async function* readDataBlocks(file: StorageFile, { base, bytes, memory = new ReusedMemory() }: RecordsInFile): AsyncGenerator<DataBlock> {
  const headerBytes = new Uint8Array(RECORD_HEADER_BYTES);
  for (let at = SEGMENT_HEADER_BYTES; at < bytes; ) {
    const read = await file.read(headerBytes, at);
    const decoded = decodeRecordHeader(headerBytes.subarray(0, read), base + at);
    if (!decoded) throw damaged(file.name);
    const { stepsBytes, tableBytes, dataBytes } = decoded.lengths;
    const body = memory.take(stepsBytes + tableBytes + dataBytes);
    if ((await file.read(body, at + RECORD_HEADER_BYTES)) < body.length) throw damaged(file.name);
    const data = body.subarray(stepsBytes + tableBytes);
    if (!decoded.bodyIsWhole(body.subarray(0, stepsBytes + tableBytes), data)) throw damaged(file.name);
    at += RECORD_HEADER_BYTES + body.length;
    if (dataBytes > 0) yield { position: base + at - dataBytes, data };
  }
}

function factsOf({ epoch, sequence, firstTime, lastTime, coarse, steps }: RecordHeader): SetFacts {
  return { epoch, sequence, firstTime, lastTime, coarse, steps };
}

function readRecord(file: StorageFile, { at, base }: { at: number; base: number }): ReadRecord | undefined {
  const headerBytes = new Uint8Array(RECORD_HEADER_BYTES);
  if (file.readNow(headerBytes, at) < RECORD_HEADER_BYTES) return undefined;
  const decoded = decodeRecordHeader(headerBytes, base + at);
  if (!decoded) return undefined;
  const { stepsBytes, tableBytes, dataBytes } = decoded.lengths;
  const byteCount = RECORD_HEADER_BYTES + stepsBytes + tableBytes + dataBytes;
  if (at + byteCount > file.size()) return undefined;
  const body = new Uint8Array(byteCount - RECORD_HEADER_BYTES);
  if (file.readNow(body, at + RECORD_HEADER_BYTES) < body.length) return undefined;
  const head = body.subarray(0, stepsBytes + tableBytes);
  if (!decoded.bodyIsWhole(head, body.subarray(head.length))) return undefined;
  const entries = UndoEntries.decode(head.subarray(stepsBytes), decoded.header.entryCount);
  return { header: { ...decoded.header, steps: decodeSteps(head.subarray(0, stepsBytes)) }, entries, byteCount };
}
