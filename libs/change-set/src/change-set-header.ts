// SPDX-License-Identifier: Apache-2.0
import type { ChangeSetHeader } from './change-set';
import {
  CHANGE_SET_BYTES_MAX, CONTENT_BYTES_MAX, ENTRIES_MAX, ENTRY_BYTES, FLAG_FOLDED, FLAG_ZSTD, FORMAT_VERSION, getUint53, HEADER_BYTES, MAGIC, setUint53, viewOf,
} from './change-set-layout';
import { checksum, sameChecksum } from './checksum';
import { type Refusal, refusal } from './refusal';

const TRACEPARENT_AT = 80;
const TRACEPARENT_BYTES = 55;
const RESERVED_AT = 135;
const CHECKSUM_AT = 152;
const traceparentPattern = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Checksums (8 bytes each) that stand in the header beside the readable fields. */
export interface ContentChecksums {
  /** Over the stored bytes: what lies on disk and travels. */
  readonly stored: Uint8Array;
  /** Over entry table and data before compression; equal to `stored` when there is none. */
  readonly content: Uint8Array;
}

export interface DecodedHeader {
  readonly ok: true;
  readonly header: ChangeSetHeader;
  readonly checksums: ContentChecksums;
}

/** Writes the header into `into` (at least HEADER_BYTES long) and returns that part. RangeError for a pair id or traceparent of the wrong form. */
export function encodeHeader(header: ChangeSetHeader, checksums: ContentChecksums, into: Uint8Array = new Uint8Array(HEADER_BYTES)): Uint8Array {
  const bytes = into.subarray(0, HEADER_BYTES).fill(0);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, FORMAT_VERSION, true);
  view.setUint16(6, (header.folded ? FLAG_FOLDED : 0) | (header.compression === 'zstd' ? FLAG_ZSTD : 0), true);
  bytes.set(bytesOfUuid(header.pairId), 8);
  view.setUint32(24, header.epoch, true);
  view.setUint32(28, header.entryCount, true);
  setUint53(view, { position: 32, value: header.sequence });
  setUint53(view, { position: 40, value: header.firstTime });
  setUint53(view, { position: 48, value: header.lastTime });
  view.setUint32(56, header.storedBytes, true);
  view.setUint32(60, header.contentBytes, true);
  bytes.set(checksums.stored, 64);
  bytes.set(checksums.content, 72);
  if (header.traceparent !== undefined) bytes.set(bytesOfTraceparent(header.traceparent), TRACEPARENT_AT);
  bytes.set(checksum([bytes.subarray(0, CHECKSUM_AT)]), CHECKSUM_AT);
  return bytes;
}

/** Reads the first HEADER_BYTES of `bytes`. Says nothing about what follows them. */
export function decodeHeader(bytes: Uint8Array): DecodedHeader | Refusal {
  if (bytes.byteLength < HEADER_BYTES) return refusal('change-set/truncated', `${bytes.byteLength} bytes are less than a header`);
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== MAGIC) return refusal('change-set/not-a-change-set', 'the magic number is missing');
  if (!sameChecksum(bytes.subarray(CHECKSUM_AT, HEADER_BYTES), checksum([bytes.subarray(0, CHECKSUM_AT)]))) {
    return refusal('change-set/corrupt', 'the header checksum does not match');
  }
  const version = view.getUint16(4, true);
  if (version !== FORMAT_VERSION) return refusal('change-set/unknown-version', `version ${version}, this program reads ${FORMAT_VERSION}`);
  const header = readFields(bytes, view);
  const fault = faultOfFields(header, bytes);
  if (fault !== undefined) return refusal('change-set/malformed', fault);
  return { ok: true, header, checksums: { stored: bytes.slice(64, 72), content: bytes.slice(72, 80) } };
}

function readFields(bytes: Uint8Array, view: DataView): ChangeSetHeader {
  const flags = view.getUint16(6, true);
  return {
    pairId: uuidOfBytes(bytes.subarray(8, 24)),
    epoch: view.getUint32(24, true),
    entryCount: view.getUint32(28, true),
    sequence: getUint53(view, 32),
    firstTime: getUint53(view, 40),
    lastTime: getUint53(view, 48),
    storedBytes: view.getUint32(56, true),
    contentBytes: view.getUint32(60, true),
    folded: (flags & FLAG_FOLDED) !== 0,
    compression: (flags & FLAG_ZSTD) === 0 ? 'none' : 'zstd',
    traceparent: readTraceparent(bytes),
  };
}

function faultOfFields(header: ChangeSetHeader, bytes: Uint8Array): string | undefined {
  if ((viewOf(bytes).getUint16(6, true) & ~(FLAG_FOLDED | FLAG_ZSTD)) !== 0) return 'unknown flags';
  if (header.epoch === 0 || !(header.sequence >= 1)) return 'epoch and sequence start at 1';
  if (!(header.firstTime <= header.lastTime)) return 'the first time is after the last';
  if (header.entryCount === 0 || header.entryCount > ENTRIES_MAX) return `${header.entryCount} entries`;
  if (header.contentBytes > CONTENT_BYTES_MAX || header.contentBytes < header.entryCount * ENTRY_BYTES) return `${header.contentBytes} content bytes`;
  if (header.storedBytes > CHANGE_SET_BYTES_MAX) return `${header.storedBytes} stored bytes`;
  if (header.compression === 'none' && header.storedBytes !== header.contentBytes) return 'stored and content bytes differ without compression';
  if (header.traceparent !== undefined && !traceparentPattern.test(header.traceparent)) return 'the trace context is not of W3C form';
  if (!bytes.subarray(RESERVED_AT, CHECKSUM_AT).every((byte) => byte === 0)) return 'reserved bytes are not zero';
  return undefined;
}

function readTraceparent(bytes: Uint8Array): string | undefined {
  const field = bytes.subarray(TRACEPARENT_AT, TRACEPARENT_AT + TRACEPARENT_BYTES);
  if (field.every((byte) => byte === 0)) return undefined;
  return String.fromCharCode(...field);
}

function bytesOfTraceparent(traceparent: string): Uint8Array {
  if (!traceparentPattern.test(traceparent)) throw new RangeError('the trace context is not of W3C form');
  return Buffer.from(traceparent, 'latin1');
}

function bytesOfUuid(uuid: string): Uint8Array {
  if (!uuidPattern.test(uuid)) throw new RangeError('a pair id is a UUID in lower case');
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

function uuidOfBytes(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
