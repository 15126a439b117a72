// SPDX-License-Identifier: Apache-2.0
import type { ByteCount, Epoch } from '@secondsite/units';
import type { WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import { Backoff } from './backoff';
import type { ChangeSetSender } from './change-set-shipper';
import type { NewEpoch } from './interruption';
import type { WholeResync } from './whole-resync';

export interface EpochRaiserOptions {
  readonly pairId: string;
  readonly volumeBytes: ByteCount;
  readonly bitmap: WriteIntentBitmap;
  readonly whole: WholeResync;
  readonly sender: ChangeSetSender;
  /** Monotonic. */
  readonly millis: () => number;
  readonly timeLimit: (millis: number) => AbortSignal;
  /** Only the newest interruption begins an epoch: one that is overtaken while it waits has nothing to begin any more. */
  readonly isNewest: (interruption: NewEpoch) => boolean;
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
    else if (interruption.step === 'to-raise' && !this.#options.whole.waits) void this.#raise(interruption);
  }

  /** The whole volume is marked, and why is kept, when it resolves. Throws when that could not be made durable; it is tried again by itself. */
  async markAll(interruption: NewEpoch): Promise<void> {
    const { bitmap, whole, volumeBytes, failed } = this.#options;
    interruption.step = 'marking';
    try {
      await Promise.all([bitmap.mark({ offset: 0, length: volumeBytes }), whole.keep()]);
      interruption.step = 'to-raise';
    } catch (error) {
      failed(error);
      this.#backoff.fail();
      interruption.step = 'to-mark';
      throw error;
    }
  }

  async #raise(interruption: NewEpoch): Promise<void> {
    const { bitmap, sender, pairId, timeLimit, isNewest, raised, failed } = this.#options;
    interruption.step = 'raising';
    try {
      const position = await sender.position(pairId, timeLimit(POSITION_MILLIS_MAX));
      if (!isNewest(interruption)) return;
      const epoch = await bitmap.raiseEpoch({ atLeast: position.kind === 'known' ? position.epoch + 1 : 1 });
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
