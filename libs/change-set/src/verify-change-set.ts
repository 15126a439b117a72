// SPDX-License-Identifier: Apache-2.0
import type { ChangeEntry, ChangeSetHeader, StreamMarker } from './change-set';
import { decodeHeader, type DecodedHeader } from './change-set-header';
import { ENTRY_BYTES, HEADER_BYTES } from './change-set-layout';
import { checksum, sameChecksum } from './checksum';
import { decodeEntryTable, markerEntries } from './entry-table';
import { type Refusal, refusal } from './refusal';
import { decodeMarker } from './stream-marker';

/** A change set of which every byte was checked. `data` and the header's text share memory with the bytes given. */
export interface VerifiedChangeSet {
  readonly ok: true;
  readonly header: ChangeSetHeader;
  /** Every entry, in order; the same array at each call. */
  entries(): readonly ChangeEntry[];
  /** The data area: an entry's bytes are `data.subarray(dataPosition, dataPosition + dataLength)`. */
  readonly data: Uint8Array;
}

/** Header and stored bytes are whole; compressed content has not been looked into. Enough to keep and forward a set. */
export interface StoredChangeSet extends DecodedHeader {
  /** Entry table and data as stored. */
  readonly stored: Uint8Array;
}

/** Checks header, length and the checksum of the stored bytes. `bytes` must hold exactly one change set. */
export function verifyStored(bytes: Uint8Array): StoredChangeSet | Refusal {
  const decoded = decodeHeader(bytes);
  if (!decoded.ok) return decoded;
  const stored = bytes.subarray(HEADER_BYTES);
  if (stored.byteLength !== decoded.header.storedBytes) {
    return refusal('change-set/truncated', `${stored.byteLength} bytes follow the header, it announces ${decoded.header.storedBytes}`);
  }
  if (!sameChecksum(checksum([stored]), decoded.checksums.stored)) return refusal('change-set/corrupt', 'the checksum of the stored bytes does not match');
  return { ...decoded, stored };
}

/** Checks everything of an uncompressed change set; a compressed one is refused as `change-set/compressed` (see decompressChangeSet). */
export function verifyChangeSet(bytes: Uint8Array): VerifiedChangeSet | Refusal {
  const stored = verifyStored(bytes);
  if (!stored.ok) return stored;
  if (stored.header.compression !== 'none') return refusal('change-set/compressed', 'the content is compressed');
  return verifyContent(stored, stored.stored);
}

/** Checks entry table and data of a set whose header was decoded. The result's header describes the content uncompressed. */
export function verifyContent({ header, checksums }: DecodedHeader, content: Uint8Array): VerifiedChangeSet | Refusal {
  if (content.byteLength !== header.contentBytes) return refusal('change-set/malformed', `${content.byteLength} bytes of content, the header announces ${header.contentBytes}`);
  const known = header.compression === 'none' ? checksums.stored : checksum([content]);
  if (!sameChecksum(known, checksums.content)) return refusal('change-set/corrupt', 'the checksum of the content does not match');
  const tableBytes = header.entryCount * ENTRY_BYTES;
  const data = content.subarray(tableBytes);
  const entries = decodeEntryTable(content.subarray(0, tableBytes), { ...header, dataBytes: data.byteLength });
  if (typeof entries === 'string') return refusal('change-set/malformed', entries);
  const unreadable = entries.findIndex((entry) => entry.kind === 'marker' && decodeMarker(bytesOf(entry, data)) === undefined);
  if (unreadable >= 0) return refusal('change-set/malformed', `entry ${unreadable} is an unknown marker`);
  return { ok: true, header: { ...header, compression: 'none', storedBytes: header.contentBytes }, entries: () => entries, data };
}

/** The signals of a stored set in order, without checking its other entries; none of a set whose content is compressed. */
export function markersOf({ header, stored }: StoredChangeSet): StreamMarker[] {
  const tableBytes = header.entryCount * ENTRY_BYTES;
  if (header.compression !== 'none' || stored.byteLength < tableBytes) return [];
  const data = stored.subarray(tableBytes);
  const markers: StreamMarker[] = [];
  for (const entry of markerEntries(stored.subarray(0, tableBytes), header.entryCount)) {
    const marker = decodeMarker(bytesOf(entry, data));
    if (marker) markers.push(marker);
  }
  return markers;
}

/** The bytes of one entry, sharing memory with `data`. */
export function bytesOf(entry: ChangeEntry, data: Uint8Array): Uint8Array {
  return data.subarray(entry.dataPosition, entry.dataPosition + entry.dataLength);
}
