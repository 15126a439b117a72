// SPDX-License-Identifier: Apache-2.0
import type { Epoch } from '@secondsite/units';
import { Backoff } from './backoff';
import type { ChangeSetSender } from './change-set-shipper';
import type { NewEpoch } from './interruption';
import type { MarkKeeper } from './mark-keeper';
import type { WholeResync } from './whole-resync';

export interface EpochRaiserOptions {
  readonly pairId: string;
  readonly marks: MarkKeeper;
  readonly whole: WholeResync;
  readonly sender: ChangeSetSender;
  /** Monotonic. */
  readonly millis: () => number;
  readonly timeLimit: (millis: number) => AbortSignal;
  /** Only the newest interruption begins an epoch: one that is overtaken while it waits has nothing to begin any more. */
  readonly isNewest: (interruption: NewEpoch) => boolean;
  /** The process server knows an epoch that the bitmap's file does not: everything may differ. */
  readonly behind: () => void;
  /** The epoch is durable, and its stream can begin. */
  readonly raised: (epoch: Epoch, interruption: NewEpoch) => void;
  /** A step failed; it is tried again after a while. */
  readonly failed: (error: unknown) => void;
}

const POSITION_MILLIS_MAX = 3000;

/** Takes an interruption to the beginning of its new epoch: everything marked, if that is needed, then an epoch that nobody had before. */
export class EpochRaiser {
  /** No epoch begins. */
  standby = false;
  readonly #options: EpochRaiserOptions;
  readonly #backoff: Backoff;

  constructor(options: EpochRaiserOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.millis);
  }

  /** Called often while the interruption is the newest. */
  goOn(interruption: NewEpoch): void {
    if (this.standby || !this.#backoff.isOver) return;
    if (interruption.step === 'to-mark') this.markAll(interruption).catch(() => undefined); // The pair was told.
    else if (interruption.step === 'to-raise' && (!this.#options.whole.waits || this.#options.marks.isGivingUp)) void this.#raise(interruption);
  }

  /** The whole volume is marked, and why is kept, when it resolves. Throws when that could not be made durable; it is tried again by itself. */
  async markAll(interruption: NewEpoch): Promise<void> {
    const { marks, whole, failed } = this.#options;
    interruption.step = 'marking';
    try {
      await Promise.all([marks.markAll(), marks.fault ? undefined : whole.keep()]);
      interruption.step = 'to-raise';
    } catch (error) {
      failed(error);
      this.#backoff.fail();
      interruption.step = 'to-mark';
      throw error;
    }
  }

  async #raise(interruption: NewEpoch): Promise<void> {
    const { marks, sender, pairId, timeLimit, isNewest, behind, raised, failed } = this.#options;
    interruption.step = 'raising';
    try {
      const position = await sender.position(pairId, timeLimit(POSITION_MILLIS_MAX));
      if (!isNewest(interruption)) return;
      if (position.kind === 'known') marks.learnEpoch(position.epoch);
      if (marks.isBehind) return behind();
      const epoch = await marks.raiseEpoch();
      if (!isNewest(interruption)) return;
      this.#backoff.reset();
      interruption.step = 'raised';
      raised(epoch, interruption);
    } catch (error) {
      failed(error);
      this.#backoff.fail();
      interruption.step = 'to-raise';
    }
  }
}
