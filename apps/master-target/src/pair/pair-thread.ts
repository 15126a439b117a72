// SPDX-License-Identifier: Apache-2.0
import type { KeptSet } from '@secondsite/change-set';
import type { PointRequest, ResolvedPoint, RetentionLimits } from '@secondsite/retention-journal';
import type { CompareOutcome, CopyOutcome, StoreOutcome } from '@secondsite/transport';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import type { OfferedBookmark, PointRange, Span, Stretch } from '@secondsite/retention-journal';
import type { TlsOptions } from 'node:tls';
import type { ColdStoreConfig } from '../cold/cold-config';
import type { OpenView } from '../views/view-registry';
import type { PairLimits } from './pair-limits';
import type { PairEvent, PairStatus, SetHops, StreamPlace } from './pair-types';

/** What a pair's thread is started with. */
export interface PairThreadData {
  readonly path: string;
  readonly pairId: string;
  readonly sizeBytes: ByteCount;
  readonly retention: RetentionLimits;
  /** Number of the newest move that made the pair at home here. */
  readonly placement: number;
  readonly limits: Partial<PairLimits>;
  readonly cold?: ColdStoreConfig | undefined;
  readonly socketFolder: string;
  readonly listenHost: string;
  readonly advertiseHost: string;
  /** Whether change sets may refer to what is written here. */
  readonly deduplication: boolean;
  /** What the pairs of the target share for it; undefined: nothing. */
  readonly sharedBlocks?: { readonly tenantId: string; readonly memory: SharedArrayBuffer; readonly pairsFolder: string } | undefined;
  readonly tls?: { readonly options: Pick<TlsOptions, 'key' | 'cert' | 'ca' | 'minVersion' | 'ciphers' | 'secureOptions'>; readonly tenantId: string } | undefined;
}

export interface PairPoints {
  readonly spans: readonly Span[];
  readonly bookmarks: readonly OfferedBookmark[];
  readonly ranges: readonly PointRange[];
  readonly coveredTime: TimeMicros;
  readonly latest: TimeMicros | undefined;
  /** Views of older points read from the cold store; 0: none does. */
  readonly localFrom: TimeMicros;
}

/** What other limits would drop of the points that are offered now. */
export interface RetentionPreview {
  readonly earliestNow: TimeMicros | undefined;
  readonly earliestThen: TimeMicros | undefined;
  readonly dropped: readonly Stretch[];
  readonly droppedBookmarks: readonly OfferedBookmark[];
  readonly freedBytes: ByteCount;
}

export type OpenViewAnswer = { readonly ok: true; readonly view: OpenView } | (ResolvedPoint & { readonly ok: false });

/** Requests, notices and events between the main thread and a pair's thread. */
export interface PairThread {
  requests: {
    store(input: StreamPlace & { readonly body: Uint8Array; readonly receivedAt: TimeMicros; readonly lateTraces: readonly StreamPlace[] }): StoreOutcome;
    compare(input: StreamPlace & { readonly question: Uint8Array }): CompareOutcome;
    /** `placement`: number of the move that goes on. */
    copy(input: { readonly question: Uint8Array; readonly placement: number }): CopyOutcome;
    position(): ReturnType<import('./target-pair').TargetPair['position']>;
    status(): PairStatus;
    points(input: { readonly from?: TimeMicros; readonly to?: TimeMicros }): PairPoints;
    resolve(input: PointRequest): ResolvedPoint;
    previewRetention(limits: RetentionLimits): RetentionPreview;
    hold(input: { readonly time: TimeMicros; readonly micros: TimeMicros }): boolean;
    openView(input: { readonly viewId: string; readonly pointTime: TimeMicros; readonly readWrite: boolean }): OpenViewAnswer;
    closeView(viewId: string): boolean;
    listViews(): OpenView[];
    hops(place: StreamPlace | null): SetHops | undefined;
    quarantined(): KeptSet[];
    /** Begins to read everything again, unless it is being read. */
    scrub(): void;
  };
  events: {
    pairEvent: PairEvent;
    traced: SetHops;
    failed: { readonly code: string };
    /** Memory of a set given to `store`, for the next one. */
    recycled: ArrayBufferLike;
  };
  notices: {
    retention: RetentionLimits;
    /** The pair is at home here after so many moves. */
    atHome: number;
    certificate: TlsOptions;
    deduplication: boolean;
  };
}
