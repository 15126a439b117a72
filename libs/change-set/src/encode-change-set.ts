// SPDX-License-Identifier: Apache-2.0
import type { ByteCount, ByteOffset, Epoch, SequenceNumber, TimeMicros } from '@secondsite/units';
import type { ChangeSetHeader, EntryKind } from './change-set';
import { encodeHeader } from './change-set-header';
import { ENTRY_BYTES, viewOf } from './change-set-layout';
import { checksum } from './checksum';
import { carriesData, encodeEntry } from './entry-table';

/** The place of a set in its stream. */
export interface ChangeSetIdentity {
  readonly pairId: string;
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  readonly traceparent: string | undefined;
}

/** A complete change set: the concatenation of `parts` is what travels and what is stored. */
export interface SealedChangeSet {
  readonly header: ChangeSetHeader;
  /** Header, entry table (or compressed content), data. They share memory with whatever they were sealed from. */
  readonly parts: readonly Uint8Array[];
}

/** One entry with its bytes beside it. */
export interface LooseEntry {
  readonly kind: EntryKind;
  readonly time: TimeMicros;
  readonly offset: ByteOffset;
  readonly length: ByteCount;
  readonly bytes: readonly Uint8Array[];
}

/** Builds a set from loose entries without copying their bytes. `firstTime`: of the earliest write it stands for, when folded. */
export function encodeChangeSet(identity: ChangeSetIdentity, entries: readonly LooseEntry[], folded?: { readonly firstTime: TimeMicros }): SealedChangeSet {
  const table = new Uint8Array(entries.length * ENTRY_BYTES);
  const view = viewOf(table);
  let dataPosition = 0;
  entries.forEach((entry, index) => {
    const dataLength = carriesData(entry.kind) ? entry.bytes.reduce((sum, part) => sum + part.byteLength, 0) : 0;
    encodeEntry(view, index, { ...entry, dataPosition, dataLength });
    dataPosition += dataLength;
  });
  const times = { firstTime: folded?.firstTime ?? entries[0]?.time ?? 0, lastTime: entries.at(-1)?.time ?? 0, folded: folded !== undefined };
  return sealParts({ ...identity, ...times, entryCount: entries.length }, [table, ...entries.flatMap((entry) => entry.bytes)]);
}

/** Puts the header in front of uncompressed content (`parts` = entry table, data …). */
export function sealParts(
  fields: Omit<ChangeSetHeader, 'compression' | 'storedBytes' | 'contentBytes'>,
  parts: readonly Uint8Array[],
  headerSpace?: Uint8Array,
): SealedChangeSet {
  const contentBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const content = checksum(parts);
  const header: ChangeSetHeader = { ...fields, compression: 'none', storedBytes: contentBytes, contentBytes };
  return { header, parts: [encodeHeader(header, { stored: content, content }, headerSpace), ...parts] };
}
