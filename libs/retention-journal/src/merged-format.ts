// SPDX-License-Identifier: Apache-2.0
// Codec of merged segments. Layout, checksum coverage and how one comes to be: FORMAT.md.
import { checksum } from '@secondsite/change-set';
import type { ByteCount } from '@secondsite/units';
import { ByteFields } from './byte-fields';
import type { TimelineRecord } from './timeline';
import { type JournalPosition, UNDO_ENTRY_BYTES, UndoEntries } from './undo-entries';

export const MERGED_HEADER_BYTES = 128;
/** Data is checksummed in chunks of this size; the last one may be shorter. */
export const CHUNK_BYTES = 1 << 20;
const CHECKSUM_BYTES = 8;
const MAGIC = 0x4d555353;
const VERSION = 1;
/** Has entries whose bytes are lost. */
const VERSION_WITH_LOST = 2;
const SEALED_AT = 120;

/** What the header of a merged segment says. The parts follow it in this order: data, checksums of its chunks, entries, timeline. */
export interface MergedHeader {
  readonly base: JournalPosition;
  readonly end: JournalPosition;
  readonly dataBytes: ByteCount;
  readonly entryCount: number;
  readonly timelineBytes: ByteCount;
}

export interface MergedPlaces {
  readonly checksums: { readonly at: number; readonly bytes: ByteCount };
  readonly entries: { readonly at: number; readonly bytes: ByteCount };
  readonly timeline: { readonly at: number; readonly bytes: ByteCount };
  readonly fileBytes: ByteCount;
}

export interface DecodedMergedHeader extends MergedHeader {
  readonly places: MergedPlaces;
  /** Undefined when the bytes are damaged. */
  readonly timeline: (bytes: Uint8Array) => TimelineRecord | undefined;
  readonly entries: (bytes: Uint8Array) => UndoEntries | undefined;
  readonly chunkChecksums: (bytes: Uint8Array) => Uint8Array | undefined;
}

/** What stands behind the data. */
export interface MergedTail {
  readonly checksums: Uint8Array;
  readonly entries: Uint8Array;
  readonly timeline: Uint8Array;
}

export function mergedName({ base, end }: { readonly base: JournalPosition; readonly end: JournalPosition }): string {
  return `${positionName(base)}-${positionName(end)}.merged`;
}

/** The stretch that a merged segment of this name covers; undefined for other names. */
export function stretchOfName(name: string): { readonly base: JournalPosition; readonly end: JournalPosition } | undefined {
  const match = /^([0-9a-f]{14})-([0-9a-f]{14})\.merged$/.exec(name);
  return match ? { base: parseInt(match[1] as string, 16), end: parseInt(match[2] as string, 16) } : undefined;
}

/** A position as names of files have it. */
export function positionName(position: JournalPosition): string {
  return position.toString(16).padStart(14, '0');
}

export function placesOf({ dataBytes, entryCount, timelineBytes }: MergedHeader): MergedPlaces {
  const checksums = { at: MERGED_HEADER_BYTES + dataBytes, bytes: Math.ceil(dataBytes / CHUNK_BYTES) * CHECKSUM_BYTES };
  const entries = { at: checksums.at + checksums.bytes, bytes: entryCount * UNDO_ENTRY_BYTES };
  const timeline = { at: entries.at + entries.bytes, bytes: timelineBytes };
  return { checksums, entries, timeline, fileBytes: timeline.at + timeline.bytes };
}

export function encodeMergedHeader(header: MergedHeader & { readonly hasLost: boolean }, tail: MergedTail): Uint8Array {
  return new ByteFields(new Uint8Array(MERGED_HEADER_BYTES))
    .setU32(0, MAGIC).setU16(4, header.hasLost ? VERSION_WITH_LOST : VERSION).setU64(8, header.base).setU64(16, header.end).setU64(24, header.dataBytes)
    .setU32(32, header.entryCount).setU32(36, header.timelineBytes)
    .setChecksum(40, [tail.checksums]).setChecksum(48, [tail.entries]).setChecksum(56, [tail.timeline])
    .seal(SEALED_AT).bytes;
}

/** Undefined when the bytes are no whole header of a merged segment. */
export function decodeMergedHeader(bytes: Uint8Array): DecodedMergedHeader | undefined {
  if (bytes.length < MERGED_HEADER_BYTES) return undefined;
  const fields = new ByteFields(bytes.slice(0, MERGED_HEADER_BYTES));
  if (fields.u32(0) !== MAGIC || ![VERSION, VERSION_WITH_LOST].includes(fields.u16(4)) || !fields.isSealed(SEALED_AT)) return undefined;
  const header = { base: fields.u64(8), end: fields.u64(16), dataBytes: fields.u64(24), entryCount: fields.u32(32), timelineBytes: fields.u32(36) };
  return {
    ...header,
    places: placesOf(header),
    chunkChecksums: (found) => (fields.hasChecksum(40, [found]) ? found : undefined),
    entries: (found) => (fields.hasChecksum(48, [found]) ? UndoEntries.decode(found, header.entryCount) : undefined),
    timeline: (found) => (fields.hasChecksum(56, [found]) ? (JSON.parse(Buffer.from(found).toString('utf8')) as TimelineRecord) : undefined),
  };
}

/** True when chunk `index` is what `checksums` says of it. */
export function chunkIsWhole(chunk: Uint8Array, { checksums, index }: { checksums: Uint8Array; index: number }): boolean {
  return Buffer.from(checksum([chunk])).equals(checksums.subarray(index * CHECKSUM_BYTES, (index + 1) * CHECKSUM_BYTES));
}
