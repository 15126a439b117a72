// SPDX-License-Identifier: Apache-2.0
// Finds the records of one segment after a restart. The rule that tells a torn write from damage is in FORMAT.md.
import type { StorageFile } from '@secondsite/durable-storage';
import { type ByteCount, type ByteOffset, OperationError } from '@secondsite/units';
import {
  alignmentBytes,
  decodeRecordHeader,
  decodeSegmentHeader,
  formatVersion,
  payloadChecksum,
  recordBytes,
  type RecordHeader,
  recordHeaderBytes,
  sameChecksum,
  segmentHeaderBytes,
} from './record-format';

/** A stretch of a segment that holds no readable record although it was durable. */
export interface CorruptRange {
  readonly segment: number;
  readonly offset: ByteOffset;
  readonly length: ByteCount;
}

export interface SegmentScan {
  readonly records: readonly RecordHeader[];
  readonly corrupt: readonly CorruptRange[];
  /** Where the last intact record ends; what follows it (a torn write) has to be cut off. 0 when the segment never got its header. */
  readonly end: ByteCount;
}

interface ScannedFile {
  readonly file: StorageFile;
  readonly segment: number;
  /** The newest segment may end in a torn write; then payloads are checked too. Older ones were durable before it began. */
  readonly newest: boolean;
  readonly payloadBytesMax: ByteCount;
}

const searchBytes = 1024 * 1024;

export async function scanSegment(scanned: ScannedFile): Promise<SegmentScan> {
  const size = scanned.file.size();
  const corrupt: CorruptRange[] = [];
  if (!(await hasHeader(scanned))) {
    const neverFinished = scanned.newest && !(await findRecordsAfter(scanned, segmentHeaderBytes)).proof;
    if (size === 0 || neverFinished) return { records: [], corrupt, end: 0 };
    corrupt.push({ segment: scanned.segment, offset: 0, length: Math.min(size, segmentHeaderBytes) });
  }
  const records: RecordHeader[] = [];
  let at = segmentHeaderBytes;
  while (at < size) {
    const record = await readRecord(scanned, at);
    if (record) {
      records.push(record);
      at += recordBytes(record.payloadBytes);
      continue;
    }
    const next = await findRecordsAfter(scanned, at);
    if (scanned.newest && !next.proof) break;
    const until = next.first ?? size;
    corrupt.push({ segment: scanned.segment, offset: at, length: until - at });
    at = until;
  }
  return { records, corrupt, end: Math.min(at, size) };
}

/** False for a torn or damaged header. Records name their place themselves, so they are served without it. */
async function hasHeader(scanned: ScannedFile): Promise<boolean> {
  const version = decodeSegmentHeader(await readAt(scanned.file, 0, segmentHeaderBytes), scanned.segment);
  if (version === undefined || version === formatVersion) return version !== undefined;
  throw new OperationError({
    code: 'segment-log/unknown-version',
    operation: 'open segment log',
    context: { segment: scanned.segment, version },
    retryable: false,
    hint: `This program reads version ${formatVersion} of the format. Use the version of Secondsite that wrote the folder, or a newer one.`,
  });
}

async function readRecord(scanned: ScannedFile, offset: ByteOffset): Promise<RecordHeader | undefined> {
  const header = await readHeader(scanned, offset);
  if (!header || !scanned.newest) return header;
  const payload = await readAt(scanned.file, offset + recordHeaderBytes, header.payloadBytes);
  return sameChecksum(payloadChecksum([payload]), header.payloadChecksum) ? header : undefined;
}

async function readHeader(scanned: ScannedFile, offset: ByteOffset): Promise<RecordHeader | undefined> {
  const header = decodeRecordHeader(await readAt(scanned.file, offset, recordHeaderBytes), { segment: scanned.segment, offset });
  if (!header || header.payloadBytes > scanned.payloadBytesMax) return undefined;
  return offset + recordHeaderBytes + header.payloadBytes <= scanned.file.size() ? header : undefined;
}

/**
 * Looks behind a bad place: where records go on, and whether one of them proves that the bad place was durable once, being written
 * when everything up to beyond it was. Without a proof it is a write that the crash tore, and nothing after it was ever confirmed.
 */
async function findRecordsAfter(scanned: ScannedFile, bad: ByteOffset): Promise<{ readonly first?: ByteOffset; readonly proof: boolean }> {
  let first: ByteOffset | undefined;
  for (let from = bad + alignmentBytes; from < scanned.file.size(); from += searchBytes) {
    for (const header of headersIn(await readAt(scanned.file, from, searchBytes), { segment: scanned.segment, offset: from })) {
      first ??= header.offset;
      if (!scanned.newest || header.durableBefore > bad) return { first, proof: true };
    }
  }
  return { proof: false };
}

function* headersIn(bytes: Uint8Array, place: { readonly segment: number; readonly offset: ByteOffset }): Generator<RecordHeader> {
  for (let at = 0; at + recordHeaderBytes <= bytes.length; at += alignmentBytes) {
    const header = decodeRecordHeader(bytes.subarray(at, at + recordHeaderBytes), { segment: place.segment, offset: place.offset + at });
    if (header) yield header;
  }
}

/** Shorter than `length` at the end of the file. */
async function readAt(file: StorageFile, offset: ByteOffset, length: ByteCount): Promise<Uint8Array> {
  const into = new Uint8Array(Math.max(0, Math.min(length, file.size() - offset)));
  const count = await file.read(into, offset);
  return into.subarray(0, count);
}
