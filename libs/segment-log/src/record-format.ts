// SPDX-License-Identifier: Apache-2.0
// Byte layout of segment files; FORMAT.md describes it. Everything is little-endian.
import type { ByteCount, ByteOffset } from '@secondsite/units';
import { XXHash3 } from 'xxhash-addon';
import type { RecordKey } from './log-record';

export const alignmentBytes = 64;
export const segmentHeaderBytes = 64;
export const recordHeaderBytes = 64;
export const formatVersion = 1;

const segmentMagic = 0x4c535353; // "SSSL"
const recordMagic = 0x52535353; // "SSSR"
const checksumBytes = 8;
const checksumAt = 56;

export interface RecordHeader {
  readonly key: RecordKey;
  readonly segment: number;
  /** Where the header starts in its segment. */
  readonly offset: ByteOffset;
  /** All bytes of this segment before this offset were durable when the record was written. */
  readonly durableBefore: ByteOffset;
  readonly payloadBytes: ByteCount;
  /** XXH3-64 of the payload. */
  readonly payloadChecksum: Uint8Array;
}

/** Bytes a record takes in its segment, header and padding included. */
export function recordBytes(payloadBytes: ByteCount): ByteCount {
  return recordHeaderBytes + Math.ceil(payloadBytes / alignmentBytes) * alignmentBytes;
}

export function segmentName(segment: number): string {
  return `segment-${String(segment).padStart(12, '0')}.log`;
}

/** The number in a segment's file name, undefined for other files. */
export function segmentFromName(name: string): number | undefined {
  const match = /^segment-(\d{12})\.log$/.exec(name);
  return match ? Number(match[1]) : undefined;
}

export function encodeSegmentHeader(segment: number): Uint8Array {
  const { bytes, view } = blank(segmentHeaderBytes);
  view.setUint32(0, segmentMagic, true);
  view.setUint16(4, formatVersion, true);
  view.setBigUint64(8, BigInt(segment), true);
  return sealed(bytes);
}

/** The format version of an intact segment header that carries this number, undefined for anything else. */
export function decodeSegmentHeader(bytes: Uint8Array, segment: number): number | undefined {
  const view = viewOf(bytes);
  if (bytes.length < segmentHeaderBytes || view.getUint32(0, true) !== segmentMagic || !isSealed(bytes)) return undefined;
  return Number(view.getBigUint64(8, true)) === segment ? view.getUint16(4, true) : undefined;
}

export function encodeRecordHeader(header: RecordHeader): Uint8Array {
  const { bytes, view } = blank(recordHeaderBytes);
  view.setUint32(0, recordMagic, true);
  view.setUint32(4, header.key.epoch, true);
  view.setBigUint64(8, BigInt(header.key.sequence), true);
  view.setBigUint64(16, BigInt(header.segment), true);
  view.setBigUint64(24, BigInt(header.offset), true);
  view.setBigUint64(32, BigInt(header.durableBefore), true);
  view.setBigUint64(40, BigInt(header.payloadBytes), true);
  bytes.set(header.payloadChecksum, 48);
  return sealed(bytes);
}

/** The header, if the bytes are an intact one written for exactly this place; else undefined. */
export function decodeRecordHeader(bytes: Uint8Array, place: { readonly segment: number; readonly offset: ByteOffset }): RecordHeader | undefined {
  if (bytes.length < recordHeaderBytes) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== recordMagic || !isSealed(bytes)) return undefined;
  const number = (at: number): number => Number(view.getBigUint64(at, true));
  if (number(16) !== place.segment || number(24) !== place.offset) return undefined;
  return {
    key: { epoch: view.getUint32(4, true), sequence: number(8) },
    segment: place.segment,
    offset: place.offset,
    durableBefore: number(32),
    payloadBytes: number(40),
    payloadChecksum: bytes.slice(48, 48 + checksumBytes),
  };
}

/** XXH3-64 of the parts one after another, 8 bytes. */
export function payloadChecksum(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only) return XXHash3.hash(asBuffer(only));
  const hash = new XXHash3(Buffer.alloc(checksumBytes));
  for (const part of parts) hash.update(asBuffer(part));
  return hash.digest();
}

export function sameChecksum(one: Uint8Array, other: Uint8Array): boolean {
  return asBuffer(one).equals(other);
}

function blank(size: number): { readonly bytes: Uint8Array; readonly view: DataView } {
  const bytes = new Uint8Array(size);
  return { bytes, view: viewOf(bytes) };
}

function sealed(bytes: Uint8Array): Uint8Array {
  bytes.set(XXHash3.hash(asBuffer(bytes.subarray(0, checksumAt))), checksumAt);
  return bytes;
}

function isSealed(bytes: Uint8Array): boolean {
  return sameChecksum(XXHash3.hash(asBuffer(bytes.subarray(0, checksumAt))), bytes.subarray(checksumAt, checksumAt + checksumBytes));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
