// SPDX-License-Identifier: Apache-2.0
import type { ResyncReason } from '@secondsite/change-set';
import type { ByteCount, Epoch, SequenceNumber } from '@secondsite/units';
import type { ResyncCounts } from './resync-reader';

/** Something that happened to a pair at its agent; the main thread makes domain events of them. Crosses threads, so plain data. */
export type ReplicationFact =
  | { readonly kind: 'bitmap-mode-entered'; readonly pairId: string; readonly epoch: Epoch; readonly reason: BitmapModeReason }
  | { readonly kind: 'bitmap-mode-left'; readonly pairId: string; readonly epoch: Epoch; readonly dirtyBytes: ByteCount }
  | { readonly kind: 'resync-required'; readonly pairId: string; readonly epoch: Epoch; readonly reason: string }
  | { readonly kind: 'resync-started'; readonly pairId: string; readonly epoch: Epoch; readonly reason: ResyncReason; readonly resyncBytes: ByteCount; readonly volumeBytes: ByteCount }
  | ({ readonly kind: 'resync-compared'; readonly pairId: string; readonly epoch: Epoch } & ResyncCounts)
  | { readonly kind: 'resync-read'; readonly pairId: string; readonly epoch: Epoch; readonly sequence: SequenceNumber }
  | { readonly kind: 'flow-control-started'; readonly pairId: string; readonly heldBytes: ByteCount }
  | { readonly kind: 'flow-control-ended'; readonly pairId: string; readonly seconds: number }
  | { readonly kind: 'change-set-refused'; readonly pairId: string; readonly epoch: Epoch; readonly sequence: SequenceNumber; readonly code: string; readonly reason: string };

export type BitmapModeReason = 'buffer-full' | 'process-server-unreachable' | 'flow-controlled' | 'requested';
