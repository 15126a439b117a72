// SPDX-License-Identifier: Apache-2.0
import type { ByteCount, ByteOffset, Epoch, SequenceNumber, TimeMicros } from '@secondsite/units';

/**
 * What an entry of a change set does to the volume. `write`, `zero` and `trim` are the application's own writes at their time.
 * `resync-write` and `resync-zero` bring a block to the content that the source had at this place of the stream (baseline and
 * resynchronisation); they carry the time at which they were read. `marker` changes no block: its data is a JSON `StreamMarker`.
 */
export type EntryKind = 'write' | 'zero' | 'trim' | 'resync-write' | 'resync-zero' | 'marker';

export interface ChangeEntry {
  readonly kind: EntryKind;
  /** Microseconds, host clock, never decreasing inside a volume; for a write: when it was acknowledged. */
  readonly time: TimeMicros;
  readonly offset: ByteOffset;
  /** Bytes of the volume covered; 0 for a marker. */
  readonly length: ByteCount;
  /** Where the bytes start in the change set's data area. `dataLength` is 0 for zero, trim, resync-zero; else `length` (marker: JSON bytes). */
  readonly dataPosition: ByteCount;
  readonly dataLength: ByteCount;
}

/** Signals that travel inside the stream, in order with the writes. */
export type StreamMarker =
  | { readonly kind: 'heartbeat' }
  | { readonly kind: 'epoch-started'; readonly reason: ResyncReason; readonly volumeBytes: ByteCount; readonly resyncBytes: ByteCount; readonly base?: StreamBase }
  | { readonly kind: 'resync-started'; readonly reason: ResyncReason; readonly resyncBytes: ByteCount }
  /** All regions were read: step 1 is over; when this is applied step 2 is over too and the replica is the source at this cut. */
  | { readonly kind: 'resync-read' }
  | BookmarkMarker;

/**
 * A named cut. `level`: what stood still. `hosts`: it cuts so many hosts, and counts only where it was recorded that all of them were cut and stood
 * still as it says; absent: it counts by itself.
 */
export interface BookmarkMarker {
  readonly kind: 'bookmark';
  readonly bookmarkId: string;
  readonly name: string;
  readonly level: BookmarkLevel;
  readonly hosts?: number;
}

export type BookmarkLevel = 'crash' | 'file-system' | 'application' | 'user';

/**
 * What an epoch builds on: the replica holds everything up to this place durably, so the source does not send it again. A replica that does
 * not reach it refuses the epoch. Absent: the epoch brings the whole volume.
 */
export interface StreamBase {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
}

/** Why regions are (re)sent. `none`: the epoch begins with replica and source equal. `target-request`: an operator asked for it. */
export type ResyncReason =
  | 'none' | 'baseline' | 'agent-crash' | 'bitmap-mode' | 'target-request' | 'tap-interrupted' | 'stream-broken' | 'replica-lost' | 'bitmap-lost'
  | 'volume-grown';

export interface ChangeSetHeader {
  /** UUID of the replication pair. */
  readonly pairId: string;
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  /** Times of the first and last entry; equal to each other in a set of one marker. */
  readonly firstTime: TimeMicros;
  readonly lastTime: TimeMicros;
  /** Last write wins was applied inside: only `lastTime` is a recovery point. */
  readonly folded: boolean;
  readonly entryCount: number;
  /** Bytes of entry table plus data as stored (after compression) and before it; equal when `compression` is `none`. */
  readonly storedBytes: ByteCount;
  readonly contentBytes: ByteCount;
  readonly compression: 'none' | 'zstd';
  /** W3C trace context of the set's trace, or undefined when it is not traced. */
  readonly traceparent: string | undefined;
}
