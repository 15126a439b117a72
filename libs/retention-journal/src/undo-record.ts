// SPDX-License-Identifier: Apache-2.0
// Codec of undo records and segment headers. Layout, checksum coverage and the torn-write rule: FORMAT.md.
import type { ByteCount } from '@secondsite/units';
import { ByteFields } from './byte-fields';
import type { SetFacts, StreamState, TimelineStep } from './stream-state';
import { type JournalPosition, UNDO_ENTRY_BYTES, type UndoEntries } from './undo-entries';

export const SEGMENT_HEADER_BYTES = 128;
export const RECORD_HEADER_BYTES = 128;
const SEALED_AT = 120;
const SEGMENT_MAGIC = 0x53555353;
const RECORD_MAGIC = 0x52555353;
const VERSION = 1;
/** Has entries whose bytes are lost. */
const VERSION_WITH_LOST = 2;
const ENTRIES_MAX = 1 << 22;
/** What every record begins with. */
export const recordMagic = Buffer.from('SSUR');

const FLAG_LAST_PART = 1;
const FLAG_COARSE = 2;
const FLAG_NO_UNDO = 4;
const FLAG_GREEN = 1;
const FLAG_EVER_GREEN = 2;

/** Header of a segment file: where it begins in the journal and where the stream stood then. */
export interface SegmentHeader {
  readonly base: JournalPosition;
  readonly start: StreamState;
}

/** One part of a set's undo. Only the last part carries steps. */
export interface RecordHeader extends SetFacts {
  readonly position: JournalPosition;
  readonly part: number;
  readonly lastPart: boolean;
  /** The set needed no undo: there was no instant before it. */
  readonly undoSkipped: boolean;
  readonly entryCount: number;
  readonly dataBytes: ByteCount;
}

export function encodeSegmentHeader({ base, start }: SegmentHeader): Uint8Array {
  const flags = (start.green ? FLAG_GREEN : 0) | (start.everGreen ? FLAG_EVER_GREEN : 0);
  return new ByteFields(new Uint8Array(SEGMENT_HEADER_BYTES))
    .setU32(0, SEGMENT_MAGIC).setU16(4, VERSION).setU16(6, flags).setU32(8, start.epoch)
    .setU64(16, base).setU64(24, start.sequence).setU64(32, start.lastTime)
    .seal(SEALED_AT).bytes;
}

/** Undefined when the bytes are no whole segment header. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES) return undefined;
  const fields = new ByteFields(bytes.subarray(0, SEGMENT_HEADER_BYTES));
  if (fields.u32(0) !== SEGMENT_MAGIC || fields.u16(4) !== VERSION || !fields.isSealed(SEALED_AT)) return undefined;
  const flags = fields.u16(6);
  return {
    base: fields.u64(16),
    start: {
      epoch: fields.u32(8),
      sequence: fields.u64(24),
      lastTime: fields.u64(32),
      green: (flags & FLAG_GREEN) !== 0,
      everGreen: (flags & FLAG_EVER_GREEN) !== 0,
    },
  };
}

export interface RecordPart {
  readonly facts: SetFacts;
  readonly part: number;
  readonly lastPart: boolean;
  readonly undoSkipped: boolean;
  /** Positions count from the first byte of `data` here; encoding makes them journal positions. */
  readonly entries: UndoEntries;
  readonly data: Uint8Array;
}

export interface EncodedRecord {
  /** Header with steps and table, then the data as given (not copied). */
  readonly parts: readonly Uint8Array[];
  readonly byteCount: ByteCount;
}

/** Encodes one part to stand at `position`; shifts the positions in `part.entries`. */
export function encodeRecord(part: RecordPart, position: JournalPosition): EncodedRecord {
  const steps = part.lastPart && part.facts.steps.length > 0 ? Buffer.from(JSON.stringify(part.facts.steps)) : new Uint8Array(0);
  const headBytes = RECORD_HEADER_BYTES + steps.length + part.entries.encodedBytes;
  part.entries.shiftPositions(position + headBytes);
  const head = new Uint8Array(headBytes);
  head.set(steps, RECORD_HEADER_BYTES);
  head.set(part.entries.encode(), RECORD_HEADER_BYTES + steps.length);
  const { facts } = part;
  const flags = (part.lastPart ? FLAG_LAST_PART : 0) | (facts.coarse ? FLAG_COARSE : 0) | (part.undoSkipped ? FLAG_NO_UNDO : 0);
  new ByteFields(head.subarray(0, RECORD_HEADER_BYTES))
    .setU32(0, RECORD_MAGIC).setU16(4, part.entries.hasLost ? VERSION_WITH_LOST : VERSION).setU16(6, flags).setU32(8, facts.epoch).setU32(12, part.part)
    .setU64(16, facts.sequence).setU64(24, facts.firstTime).setU64(32, facts.lastTime)
    .setU32(40, part.entries.count).setU32(44, steps.length).setU32(48, part.data.length).setU64(56, position)
    .setChecksum(64, [head.subarray(RECORD_HEADER_BYTES)]).setChecksum(72, [part.data])
    .seal(SEALED_AT);
  return { parts: part.data.length > 0 ? [head, part.data] : [head], byteCount: headBytes + part.data.length };
}

/** What stands behind a record header, in this order. */
export interface RecordLengths {
  readonly stepsBytes: ByteCount;
  readonly tableBytes: ByteCount;
  readonly dataBytes: ByteCount;
}

export interface DecodedRecordHeader {
  readonly header: Omit<RecordHeader, 'steps'>;
  readonly lengths: RecordLengths;
  /** Checks what stands behind the header. */
  readonly bodyIsWhole: (head: Uint8Array, data: Uint8Array) => boolean;
}

/** Undefined when no whole record header stands here, or one that belongs to another place. */
export function decodeRecordHeader(bytes: Uint8Array, position: JournalPosition): DecodedRecordHeader | undefined {
  if (bytes.length < RECORD_HEADER_BYTES) return undefined;
  const fields = new ByteFields(bytes.slice(0, RECORD_HEADER_BYTES));
  if (fields.u32(0) !== RECORD_MAGIC || ![VERSION, VERSION_WITH_LOST].includes(fields.u16(4)) || !fields.isSealed(SEALED_AT)) return undefined;
  if (fields.u64(56) !== position || fields.u32(40) > ENTRIES_MAX) return undefined;
  const flags = fields.u16(6);
  return {
    header: {
      position,
      epoch: fields.u32(8),
      part: fields.u32(12),
      sequence: fields.u64(16),
      firstTime: fields.u64(24),
      lastTime: fields.u64(32),
      lastPart: (flags & FLAG_LAST_PART) !== 0,
      coarse: (flags & FLAG_COARSE) !== 0,
      undoSkipped: (flags & FLAG_NO_UNDO) !== 0,
      entryCount: fields.u32(40),
      dataBytes: fields.u32(48),
    },
    lengths: { stepsBytes: fields.u32(44), tableBytes: fields.u32(40) * UNDO_ENTRY_BYTES, dataBytes: fields.u32(48) },
    bodyIsWhole: (head, data) => fields.hasChecksum(64, [head]) && fields.hasChecksum(72, [data]),
  };
}

/** The steps of a last part; the bytes were checked. */
export function decodeSteps(bytes: Uint8Array): readonly TimelineStep[] {
  return bytes.length === 0 ? [] : (JSON.parse(Buffer.from(bytes).toString('utf8')) as TimelineStep[]);
}
