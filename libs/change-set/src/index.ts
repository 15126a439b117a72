// SPDX-License-Identifier: Apache-2.0
export type { BookmarkLevel, BookmarkMarker, ChangeEntry, ChangeSetHeader, EntryKind, ResyncReason, StreamBase, StreamMarker } from './change-set';
export { type BytesEntry, ChangeSetBuilder, isAllZeros, type RangeEntry } from './change-set-builder';
export { type ContentChecksums, type DecodedHeader, decodeHeader, encodeHeader } from './change-set-header';
export { CHANGE_SET_BYTES_MAX, CONTENT_BYTES_MAX, DATA_BYTES_MAX, DATA_BYTES_TARGET, ENTRIES_MAX, ENTRY_BYTES, ENTRY_LENGTH_MAX, HEADER_BYTES } from './change-set-layout';
export { checksum } from './checksum';
export { type Compress, compressSealed, compressStored, type Decompress, decompressChangeSet } from './compress-change-set';
export { type ChangeSetIdentity, encodeChangeSet, type LooseEntry, type SealedChangeSet } from './encode-change-set';
export { carriesData } from './entry-table';
export { foldChangeSet } from './fold-change-set';
export { PassageMeter, type PassageReading } from './passage-meter';
export { type KeptSet, Quarantine, type QuarantineLimits } from './quarantine';
export type { ChangeSetFault, Refusal } from './refusal';
export { decodeMarker, encodeMarker } from './stream-marker';
export { isSampled, sampledTraceparent } from './trace-sampling';
export { bytesOf, type StoredChangeSet, type VerifiedChangeSet, verifyChangeSet, verifyContent, verifyStored, markersOf } from './verify-change-set';
