// SPDX-License-Identifier: Apache-2.0
import type { ResyncReason } from '@secondsite/change-set';
import type { ByteCount, Epoch, SequenceNumber } from '@secondsite/units';
import type { WhyResync } from './interruption';
import type { BitmapModeReason, ReplicationFact } from './replication-fact';
import type { ResyncCounts } from './resync-reader';

export interface PairFactsOptions {
  readonly pairId: string;
  readonly volumeBytes: ByteCount;
  readonly onFact: (fact: ReplicationFact) => void;
  /** Monotonic. */
  readonly millis: () => number;
  readonly epoch: () => Epoch;
}

/** Tells what happens to a pair at its agent. */
export class PairFacts {
  readonly #options: PairFactsOptions;
  #flowControlledMillis = 0;

  constructor(options: PairFactsOptions) {
    this.#options = options;
  }

  required(why: WhyResync, { isWhole }: { readonly isWhole: boolean }): void {
    const { onFact, pairId } = this.#options;
    onFact({ kind: 'resync-required', pairId, cause: why.cause, detail: why.detail, work: isWhole ? 'whole' : 'regions' });
  }

  /** How the pair goes on; a resynchronisation of `resyncBytes` starts unless that is nothing. */
  goesOn(why: WhyResync, { isWhole, reason, resyncBytes }: { readonly isWhole: boolean; readonly reason: ResyncReason; readonly resyncBytes: ByteCount }): void {
    const { onFact, pairId, volumeBytes, epoch } = this.#options;
    const work = resyncBytes === 0 ? 'nothing' : isWhole ? 'whole' : 'regions';
    onFact({ kind: 'resync-chosen', pairId, epoch: epoch(), cause: why.cause, detail: why.detail, work, resyncBytes, volumeBytes });
    if (resyncBytes > 0) onFact({ kind: 'resync-started', pairId, epoch: epoch(), reason, resyncBytes, volumeBytes });
  }

  resyncRead(sequence: SequenceNumber, counts: ResyncCounts): void {
    const { onFact, pairId, epoch } = this.#options;
    if (counts.comparedBlocks > 0) onFact({ kind: 'resync-compared', pairId, epoch: epoch(), ...counts });
    onFact({ kind: 'resync-read', pairId, epoch: epoch(), sequence });
  }

  bitmapModeEntered(reason: BitmapModeReason): void {
    const { onFact, pairId, epoch } = this.#options;
    onFact({ kind: 'bitmap-mode-entered', pairId, epoch: epoch(), reason });
  }

  bitmapModeLeft(dirtyBytes: ByteCount): void {
    const { onFact, pairId, epoch } = this.#options;
    onFact({ kind: 'bitmap-mode-left', pairId, epoch: epoch(), dirtyBytes });
  }

  flowControl({ on, heldBytes }: { readonly on: boolean; readonly heldBytes: ByteCount }): void {
    const { onFact, pairId, millis } = this.#options;
    const now = millis();
    if (on) onFact({ kind: 'flow-control-started', pairId, heldBytes });
    else onFact({ kind: 'flow-control-ended', pairId, seconds: (now - this.#flowControlledMillis) / 1000 });
    this.#flowControlledMillis = now;
  }

  refused({ code, detail, sequence }: { readonly code: string; readonly detail: string; readonly sequence: SequenceNumber }): void {
    const { onFact, pairId, epoch } = this.#options;
    onFact({ kind: 'change-set-refused', pairId, epoch: epoch(), sequence, code, reason: detail });
  }
}
