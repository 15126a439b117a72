// SPDX-License-Identifier: Apache-2.0
import type { ChangeEntry, EntryKind } from './change-set';
import { ENTRY_BYTES, getUint53, MARKER_BYTES_MAX, setUint53, viewOf } from './change-set-layout';

const KINDS: readonly EntryKind[] = ['write', 'zero', 'trim', 'resync-write', 'resync-zero', 'marker'];
const CODE_OF_KIND: Readonly<Record<EntryKind, number>> = { write: 1, zero: 2, trim: 3, 'resync-write': 4, 'resync-zero': 5, marker: 6 };

/** True for kinds whose bytes stand in the data area. */
export function carriesData(kind: EntryKind): boolean {
  return kind === 'write' || kind === 'resync-write' || kind === 'marker';
}

/** Writes row `index` of the entry table. */
export function encodeEntry(table: DataView, index: number, entry: ChangeEntry): void {
  const position = index * ENTRY_BYTES;
  setUint53(table, { position, value: entry.time });
  setUint53(table, { position: position + 8, value: entry.offset });
  table.setUint32(position + 16, entry.length, true);
  table.setUint32(position + 20, entry.dataPosition, true);
  table.setUint32(position + 24, entry.dataLength, true);
  table.setUint32(position + 28, CODE_OF_KIND[entry.kind], true);
}

/** The rows that are markers, found by their kinds alone: far cheaper than decoding every row. */
export function* markerEntries(bytes: Uint8Array, entryCount: number): Generator<ChangeEntry> {
  const table = viewOf(bytes);
  for (let index = 0; index < entryCount; index++) {
    if (table.getUint32(index * ENTRY_BYTES + 28, true) !== CODE_OF_KIND.marker) continue;
    const entry = decodeEntry(table, index);
    if (entry) yield entry;
  }
}

/** Reads row `index`, or undefined when its kind is not known. */
export function decodeEntry(table: DataView, index: number): ChangeEntry | undefined {
  const position = index * ENTRY_BYTES;
  const kind = KINDS[table.getUint32(position + 28, true) - 1];
  if (kind === undefined) return undefined;
  return {
    kind,
    time: getUint53(table, position),
    offset: getUint53(table, position + 8),
    length: table.getUint32(position + 16, true),
    dataPosition: table.getUint32(position + 20, true),
    dataLength: table.getUint32(position + 24, true),
  };
}

/** What an entry table must satisfy as a whole. */
export interface TableBounds {
  readonly entryCount: number;
  readonly dataBytes: number;
  readonly firstTime: number;
  readonly lastTime: number;
  readonly folded: boolean;
}

/** Checks every row (known kind, times in order, data packed without gaps, lengths that fit). Entries, or what is wrong in words. */
export function decodeEntryTable(bytes: Uint8Array, bounds: TableBounds): ChangeEntry[] | string {
  const table = viewOf(bytes);
  const entries: ChangeEntry[] = [];
  let time = bounds.firstTime;
  let dataEnd = 0;
  for (let index = 0; index < bounds.entryCount; index++) {
    const entry = decodeEntry(table, index);
    if (!entry) return `entry ${index} is of an unknown kind`;
    const fault = faultOfEntry(entry);
    if (fault !== undefined) return `entry ${index}: ${fault}`;
    if (!(entry.time >= time)) return `entry ${index}: time goes back`;
    if (entry.dataPosition !== dataEnd) return `entry ${index}: data is not packed`;
    time = entry.time;
    dataEnd += entry.dataLength;
    entries.push(entry);
  }
  if (dataEnd !== bounds.dataBytes) return `the entries cover ${dataEnd} of ${bounds.dataBytes} data bytes`;
  if (time !== bounds.lastTime) return 'the last entry is not at the last time';
  if (!bounds.folded && entries[0]?.time !== bounds.firstTime) return 'the first entry is not at the first time';
  return entries;
}

function faultOfEntry(entry: ChangeEntry): string | undefined {
  if (!Number.isSafeInteger(entry.offset + entry.length) || Number.isNaN(entry.time)) return 'numbers out of range';
  if (entry.kind === 'marker') {
    const plausible = entry.length === 0 && entry.offset === 0 && entry.dataLength > 0 && entry.dataLength <= MARKER_BYTES_MAX;
    return plausible ? undefined : 'a marker covers no block and has a short text';
  }
  if (entry.length === 0) return 'it covers nothing';
  if (entry.dataLength !== (carriesData(entry.kind) ? entry.length : 0)) return 'its data is not as long as the range it covers';
  return undefined;
}
