// SPDX-License-Identifier: Apache-2.0
// Codec of the index of a sealed segment: its timeline and the columns of all its undo entries, so that opening a journal reads only the
// first part, and opening a view reads indexes and no data. A damaged index is rebuilt from its segment. Layout: FORMAT.md.
import type { ByteCount } from '@secondsite/units';
import { ByteFields } from './byte-fields';
import type { TimelineRecord } from './timeline';
import { UNDO_ENTRY_BYTES, UndoEntries } from './undo-entries';

export const INDEX_HEADER_BYTES = 64;
const MAGIC = 0x58555353;
const VERSION = 1;
/** Has entries whose bytes are lost. */
const VERSION_WITH_LOST = 2;
const SEALED_AT = 56;

export interface IndexedSegment {
  /** Bytes of the segment file, header included; more would be a torn tail. */
  readonly segmentBytes: ByteCount;
  readonly timeline: TimelineRecord;
}

export function encodeIndex({ segmentBytes, timeline }: IndexedSegment, entries: UndoEntries): Uint8Array {
  const { start, end, spans, bookmarks } = timeline;
  const text = Buffer.from(JSON.stringify({ start, end, spans, bookmarks }));
  const columns = entries.encode();
  const bytes = new Uint8Array(INDEX_HEADER_BYTES + text.length + columns.length);
  bytes.set(text, INDEX_HEADER_BYTES);
  bytes.set(columns, INDEX_HEADER_BYTES + text.length);
  new ByteFields(bytes.subarray(0, INDEX_HEADER_BYTES))
    .setU32(0, MAGIC).setU16(4, entries.hasLost ? VERSION_WITH_LOST : VERSION).setU32(8, text.length).setU32(12, entries.count).setU64(16, segmentBytes)
    .setChecksum(24, [text]).setChecksum(32, [columns])
    .seal(SEALED_AT);
  return bytes;
}

export interface DecodedIndexHeader {
  readonly segmentBytes: ByteCount;
  readonly timelineBytes: ByteCount;
  readonly entryBytes: ByteCount;
  /** Undefined when the bytes are damaged. */
  readonly timeline: (bytes: Uint8Array) => TimelineRecord | undefined;
  readonly entries: (bytes: Uint8Array) => UndoEntries | undefined;
}

/** Undefined when the bytes are no whole index header. */
export function decodeIndexHeader(bytes: Uint8Array): DecodedIndexHeader | undefined {
  if (bytes.length < INDEX_HEADER_BYTES) return undefined;
  const fields = new ByteFields(bytes.slice(0, INDEX_HEADER_BYTES));
  if (fields.u32(0) !== MAGIC || ![VERSION, VERSION_WITH_LOST].includes(fields.u16(4)) || !fields.isSealed(SEALED_AT)) return undefined;
  const count = fields.u32(12);
  return {
    segmentBytes: fields.u64(16),
    timelineBytes: fields.u32(8),
    entryBytes: count * UNDO_ENTRY_BYTES,
    timeline: (text) => (fields.hasChecksum(24, [text]) ? (JSON.parse(Buffer.from(text).toString('utf8')) as TimelineRecord) : undefined),
    entries: (columns) => (fields.hasChecksum(32, [columns]) ? UndoEntries.decode(columns, count) : undefined),
  };
}
