// SPDX-License-Identifier: Apache-2.0
// Codec of a cold segment's local file: all but the bytes of its data file, which lie in objects. Layout, checksum coverage and names: FORMAT.md.
import { type ByteCount, KIB } from '@secondsite/units';
import { ByteFields } from './byte-fields';
import { positionName } from './merged-format';
import type { TimelineRecord } from './timeline';
import { type JournalPosition, UNDO_ENTRY_BYTES, UndoEntries } from './undo-entries';

/** The data file is compressed, checksummed and read in blocks of this size; the last one may be shorter. */
export const COLD_BLOCK_BYTES = 256 * KIB;
/** Blocks in one object; the last object may have fewer. */
export const COLD_OBJECT_BLOCKS = 32;
export const COLD_HEADER_BYTES = 128;
const CHECKSUM_BYTES = 8;
export const COLD_ROW_BYTES = 4 + CHECKSUM_BYTES;
const MAGIC = 0x43555353;
const VERSION = 1;
const FLAG_MERGED = 1;
const SEALED_AT = 120;

export interface ColdHeader {
  readonly base: JournalPosition;
  readonly end: JournalPosition;
  /** True when the data file is that of a merged segment. */
  readonly merged: boolean;
  /** Bytes of the data file. */
  readonly dataBytes: ByteCount;
  /** Bytes of all objects. */
  readonly objectBytes: ByteCount;
}

export interface ColdFacts {
  /** What the names of the objects begin with. */
  readonly objects: string;
  readonly timeline: TimelineRecord;
}

export interface ColdContent extends ColdHeader, ColdFacts {
  readonly rows: readonly ColdRow[];
  /** Positions count from the start of the data file. */
  readonly entries: UndoEntries;
}

/** One block as it is stored. */
export interface ColdRow {
  /** As many as the block has: it is not compressed. */
  readonly storedBytes: ByteCount;
  /** Of the block, not compressed. */
  readonly checksum: Uint8Array;
}

export interface ColdPlace {
  readonly at: number;
  readonly bytes: ByteCount;
}

export interface DecodedColdHeader extends ColdHeader {
  readonly entryCount: number;
  readonly places: { readonly facts: ColdPlace; readonly rows: ColdPlace; readonly entries: ColdPlace; readonly fileBytes: ByteCount };
  /** Undefined when the bytes are damaged. */
  readonly facts: (bytes: Uint8Array) => ColdFacts | undefined;
  readonly entries: (bytes: Uint8Array) => UndoEntries | undefined;
}

/** A cold segment by the name of its file. */
export interface ColdName {
  readonly base: JournalPosition;
  readonly end: JournalPosition;
  /** Never the same for two uploads. */
  readonly token: string;
}

export function coldName(name: ColdName): string {
  return `${uploadName(name)}.cold`;
}

/** What an upload's objects are called inside their folder. */
export function uploadName({ base, end, token }: ColdName): string {
  return `${positionName(base)}-${positionName(end)}.${token}`;
}

/** Undefined for other files. */
export function coldNameOf(file: string): ColdName | undefined {
  const match = /^([0-9a-f]{14})-([0-9a-f]{14})\.([0-9a-z-]+)\.cold$/.exec(file);
  return match ? { base: parseInt(match[1] as string, 16), end: parseInt(match[2] as string, 16), token: match[3] as string } : undefined;
}

/** Name of object `index` of an upload. */
export function objectName(objects: string, index: number): string {
  return `${objects}/${String(index).padStart(6, '0')}`;
}

export function blockCount(dataBytes: ByteCount): number {
  return Math.ceil(dataBytes / COLD_BLOCK_BYTES);
}

/** The whole file. */
export function encodeColdFile(content: ColdContent): Uint8Array {
  const facts = Buffer.from(JSON.stringify({ objects: content.objects, timeline: content.timeline }));
  const rows = encodeRows(content.rows);
  const columns = content.entries.encode();
  const header = new ByteFields(new Uint8Array(COLD_HEADER_BYTES))
    .setU32(0, MAGIC).setU16(4, VERSION).setU16(6, content.merged ? FLAG_MERGED : 0)
    .setU64(8, content.base).setU64(16, content.end).setU64(24, content.dataBytes).setU64(32, content.objectBytes)
    .setU32(40, content.entries.count).setU32(44, facts.length)
    .setChecksum(48, [facts]).setChecksum(56, [columns])
    .seal(SEALED_AT).bytes;
  return Buffer.concat([header, facts, rows, columns]);
}

function encodeRows(rows: readonly ColdRow[]): Uint8Array {
  const fields = new ByteFields(new Uint8Array(rows.length * COLD_ROW_BYTES));
  rows.forEach(({ storedBytes, checksum }, index) => {
    fields.setU32(index * COLD_ROW_BYTES, storedBytes).bytes.set(checksum, index * COLD_ROW_BYTES + 4);
  });
  return fields.bytes;
}

/** Rows as they stand in the file, any number of them. */
export function decodeRows(bytes: Uint8Array): ColdRow[] {
  const fields = new ByteFields(bytes);
  return Array.from({ length: bytes.length / COLD_ROW_BYTES }, (_, index) => {
    const at = index * COLD_ROW_BYTES;
    return { storedBytes: fields.u32(at), checksum: bytes.subarray(at + 4, at + COLD_ROW_BYTES) };
  });
}

/** Undefined when the bytes are no whole header of a cold segment. */
export function decodeColdHeader(bytes: Uint8Array): DecodedColdHeader | undefined {
  if (bytes.length < COLD_HEADER_BYTES) return undefined;
  const fields = new ByteFields(bytes.slice(0, COLD_HEADER_BYTES));
  if (fields.u32(0) !== MAGIC || fields.u16(4) !== VERSION || !fields.isSealed(SEALED_AT)) return undefined;
  const [dataBytes, entryCount] = [fields.u64(24), fields.u32(40)];
  const facts = { at: COLD_HEADER_BYTES, bytes: fields.u32(44) };
  const rows = { at: facts.at + facts.bytes, bytes: blockCount(dataBytes) * COLD_ROW_BYTES };
  const entries = { at: rows.at + rows.bytes, bytes: entryCount * UNDO_ENTRY_BYTES };
  return {
    base: fields.u64(8), end: fields.u64(16), merged: (fields.u16(6) & FLAG_MERGED) !== 0, dataBytes, objectBytes: fields.u64(32), entryCount,
    places: { facts, rows, entries, fileBytes: entries.at + entries.bytes },
    facts: (found) => (fields.hasChecksum(48, [found]) ? (JSON.parse(Buffer.from(found).toString('utf8')) as ColdFacts) : undefined),
    entries: (found) => (fields.hasChecksum(56, [found]) ? UndoEntries.decode(found, entryCount) : undefined),
  };
}
