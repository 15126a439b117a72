// SPDX-License-Identifier: Apache-2.0
// Numbers of the change-set format, version 1. FORMAT.md explains them; nothing else may know an offset.

export const MAGIC = 0x53435353; // 'SSCS' read as little-endian
export const FORMAT_VERSION = 1;
/** Size of the fixed header, in bytes. */
export const HEADER_BYTES = 160;
/** Size of one row of the entry table, in bytes. */
export const ENTRY_BYTES = 32;
/** Most entries of one set. */
export const ENTRIES_MAX = 16_384;
/** Most data bytes of one set: one write of 32 MiB, the longest that a tap accepts. */
export const DATA_BYTES_MAX = 32 * 1024 * 1024;
/** Data bytes at which a set is sealed (one longer write may exceed it). */
export const DATA_BYTES_TARGET = 8 * 1024 * 1024;
/** Most content (entry table plus data) of one set. */
export const CONTENT_BYTES_MAX = DATA_BYTES_MAX + ENTRIES_MAX * ENTRY_BYTES;
/** Most bytes on the wire or on disk: content that does not compress, plus the header and the compressor's framing. */
export const CHANGE_SET_BYTES_MAX = HEADER_BYTES + CONTENT_BYTES_MAX + 64 * 1024;
/** Longest marker, as JSON. */
export const MARKER_BYTES_MAX = 16 * 1024;
/** Longest range of a single entry. */
export const ENTRY_LENGTH_MAX = 0xffffffff;

export const FLAG_FOLDED = 1;
export const FLAG_ZSTD = 2;

const TWO_32 = 2 ** 32;

/** Writes a whole number below 2^53 as 64 bits little-endian; BigInt would cost an allocation per write. */
export function setUint53(view: DataView, at: { readonly position: number; readonly value: number }): void {
  view.setUint32(at.position, at.value >>> 0, true);
  view.setUint32(at.position + 4, Math.floor(at.value / TWO_32), true);
}

/** Reads 64 bits little-endian; NaN when the number is above 2^53-1, so that every later comparison fails. */
export function getUint53(view: DataView, position: number): number {
  const high = view.getUint32(position + 4, true);
  if (high > 0x1fffff) return Number.NaN;
  return high * TWO_32 + view.getUint32(position, true);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
