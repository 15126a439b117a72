// SPDX-License-Identifier: Apache-2.0
// A pair moves from one process server to another, and both have change sets of it (ADR 20). Invariants: neither takes for lost what the target
// misses, for the other one may bring it; the new one begins no epoch at the target while the old one may have something of the epoch before.
import type { Handover } from '@secondsite/contracts';
import type { Epoch } from '@secondsite/units';
import type { EpochQueue } from '../spool/epoch-queue';
import type { PairSpool } from '../spool/pair-spool';
import type { StreamPlace } from '../spool/pair-state';
import type { Timers } from '../timers';

export interface HandoverWaitOptions {
  readonly handover?: Handover | undefined;
  readonly spool: PairSpool;
  readonly timers: Timers;
}

/** What the target has missed for so long although it answers does not come any more. */
const IN_VAIN_MILLIS = 30_000;

export class HandoverWait {
  readonly #options: HandoverWaitOptions;
  #targetEpoch: Epoch = 0;
  /** Where the target stood when it answered first without having moved since. */
  #standing: (StreamPlace & { readonly sinceMillis: number }) | undefined;

  constructor(options: HandoverWaitOptions) {
    this.#options = options;
  }

  get isOn(): boolean {
    return this.#options.handover !== undefined;
  }

  /** Everything that could be sent of the queue was: what is left needs sets before it that the other process server has. */
  comesFirst(queue: EpochQueue): boolean {
    const { handover } = this.#options;
    if (!handover || queue.damaged || queue.setCount === 0) return false;
    return queue.forwarded === queue.received || (handover === 'to' && this.#targetEpoch < queue.epoch);
  }

  /** … and it has been waited for so long that the old process server goes on without them. */
  comesInVain(queue: EpochQueue): boolean {
    return this.#options.handover === 'from' && this.comesFirst(queue) && this.#isInVain;
  }

  /** What the target said where it is; undefined: it did not say it. */
  answered(position: StreamPlace | undefined): void {
    if (position) this.#targetEpoch = position.epoch;
    const standing = this.#standing;
    if (position && standing?.epoch === position.epoch && standing.sequence === position.sequence) return;
    this.#standing = position && { epoch: position.epoch, sequence: position.sequence, sinceMillis: this.#options.timers.millis() };
  }

  /** For the old process server: the spool is empty, or what is left waits in vain or cannot be read. */
  get isDrained(): boolean {
    const { spool } = this.#options;
    if (spool.spoolBytes === 0) return true;
    return [...spool.queues()].every((queue) => queue.damaged || queue.setCount === 0 || this.comesInVain(queue));
  }

  get #isInVain(): boolean {
    return this.#standing !== undefined && this.#options.timers.millis() - this.#standing.sinceMillis > IN_VAIN_MILLIS;
  }
}
