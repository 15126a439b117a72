// SPDX-License-Identifier: Apache-2.0
// Folding: last write wins inside a change set. Walks the entries from the last to the first and keeps what no later entry covers.
import type { ByteCount, ByteOffset } from '@secondsite/units';
import type { ChangeEntry } from './change-set';
import { ENTRIES_MAX } from './change-set-layout';
import { type ChangeSetIdentity, encodeChangeSet, type LooseEntry, type SealedChangeSet } from './encode-change-set';
import { carriesData } from './entry-table';
import { decodeMarker } from './stream-marker';
import { bytesOf, type VerifiedChangeSet } from './verify-change-set';

interface Range {
  readonly start: ByteOffset;
  readonly end: ByteOffset;
}

/**
 * The folded set (marked so), with the same final content at `lastTime`, sharing memory with `set.data`. Undefined when folding saves
 * no data bytes, would need more entries than a set may have, or a bookmark stands before the end (its point must stay exact).
 */
export function foldChangeSet(set: VerifiedChangeSet, identity: ChangeSetIdentity = set.header): SealedChangeSet | undefined {
  const entries = set.entries();
  if (entries.slice(0, -1).some((entry) => isBookmark(entry, set.data))) return undefined;
  const kept = survivors(entries, set.data);
  const dataBytes = kept.reduce((sum, entry) => sum + (carriesData(entry.kind) ? bytesIn(entry) : 0), 0);
  if (kept.length > ENTRIES_MAX || dataBytes >= set.data.byteLength) return undefined;
  return encodeChangeSet(identity, kept, { firstTime: set.header.firstTime });
}

function survivors(entries: readonly ChangeEntry[], data: Uint8Array): LooseEntry[] {
  const covered = new CoveredRanges();
  const kept: LooseEntry[] = [];
  for (const entry of entries.toReversed()) {
    const bytes = bytesOf(entry, data);
    if (entry.kind === 'marker') kept.push({ ...entry, bytes: [bytes] });
    else kept.push(...covered.add({ start: entry.offset, end: entry.offset + entry.length }).toReversed().map((range) => fragment(entry, range, bytes)));
  }
  return kept.reverse();
}

function fragment(entry: ChangeEntry, range: Range, bytes: Uint8Array): LooseEntry {
  const part = carriesData(entry.kind) ? [bytes.subarray(range.start - entry.offset, range.end - entry.offset)] : [];
  return { kind: entry.kind, time: entry.time, offset: range.start, length: range.end - range.start, bytes: part };
}

function bytesIn(entry: LooseEntry): ByteCount {
  return entry.bytes.reduce((sum, part) => sum + part.byteLength, 0);
}

function isBookmark(entry: ChangeEntry, data: Uint8Array): boolean {
  return entry.kind === 'marker' && decodeMarker(bytesOf(entry, data))?.kind === 'bookmark';
}

/** Disjoint ranges in ascending order. */
class CoveredRanges {
  #ranges: Range[] = [];

  /** Adds a range; returns the parts of it that were not covered before, ascending. */
  add(range: Range): Range[] {
    const first = this.#firstEndingAtOrAfter(range.start);
    const fresh: Range[] = [];
    let cursor = range.start;
    let { start, end } = range;
    let last = first;
    for (let hit = this.#ranges[last]; hit && hit.start <= range.end; hit = this.#ranges[++last]) {
      if (hit.start > cursor) fresh.push({ start: cursor, end: hit.start });
      cursor = Math.max(cursor, hit.end);
      start = Math.min(start, hit.start);
      end = Math.max(end, hit.end);
    }
    if (cursor < range.end) fresh.push({ start: cursor, end: range.end });
    this.#ranges.splice(first, last - first, { start, end });
    return fresh;
  }

  #firstEndingAtOrAfter(offset: ByteOffset): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ranges[middle] as Range).end < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
