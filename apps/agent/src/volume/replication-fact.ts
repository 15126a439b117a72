// SPDX-License-Identifier: Apache-2.0
import type { ResyncReason } from '@secondsite/change-set';
import type { ResyncCause, ResyncWork } from '@secondsite/contracts';
import type { ByteCount, Epoch, SequenceNumber } from '@secondsite/units';
import type { ResyncCounts } from './resync-reader';

/** Something that happened to a pair at its agent; the main thread makes domain events of them. Crosses threads, so plain data. */
export type ReplicationFact =
  | { readonly kind: 'bitmap-mode-entered'; readonly pairId: string; readonly epoch: Epoch; readonly reason: BitmapModeReason }
  | { readonly kind: 'bitmap-mode-left'; readonly pairId: string; readonly epoch: Epoch; readonly dirtyBytes: ByteCount }
  | { readonly kind: 'resync-required'; readonly pairId: string; readonly cause: ResyncCause; readonly work: 'regions' | 'whole'; readonly detail?: string | undefined }
  | ResyncChosen
  | { readonly kind: 'volume-grown'; readonly pairId: string; readonly fromBytes: ByteCount; readonly toBytes: ByteCount }
  | { readonly kind: 'volume-shrunk'; readonly pairId: string; readonly volumeBytes: ByteCount; readonly sourceBytes: ByteCount }
  | { readonly kind: 'volume-restored'; readonly pairId: string; readonly volumeBytes: ByteCount }
  | { readonly kind: 'resync-started'; readonly pairId: string; readonly epoch: Epoch; readonly reason: ResyncReason; readonly resyncBytes: ByteCount; readonly volumeBytes: ByteCount }
  | ({ readonly kind: 'resync-compared'; readonly pairId: string; readonly epoch: Epoch } & ResyncCounts)
  | { readonly kind: 'resync-read'; readonly pairId: string; readonly epoch: Epoch; readonly sequence: SequenceNumber }
  | { readonly kind: 'flow-control-started'; readonly pairId: string; readonly heldBytes: ByteCount }
  | { readonly kind: 'flow-control-ended'; readonly pairId: string; readonly seconds: number }
  | { readonly kind: 'change-set-refused'; readonly pairId: string; readonly epoch: Epoch; readonly sequence: SequenceNumber; readonly code: string; readonly reason: string };

/** How a pair goes on after an interruption, and why. */
export interface ResyncChosen {
  readonly kind: 'resync-chosen';
  readonly pairId: string;
  readonly epoch: Epoch;
  readonly cause: ResyncCause;
  readonly work: ResyncWork;
  readonly resyncBytes: ByteCount;
  readonly volumeBytes: ByteCount;
  /** What whoever noticed it said. */
  readonly detail?: string | undefined;
}

export type BitmapModeReason = 'buffer-full' | 'process-server-unreachable' | 'flow-controlled' | 'requested';
