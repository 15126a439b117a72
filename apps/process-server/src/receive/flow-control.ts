// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';

export interface SpoolLimits {
  readonly resync: ByteCount;
  readonly differential: ByteCount;
}

export interface FlowControlObserver {
  started(heldBytes: ByteCount): void;
  ended(seconds: number): void;
}

/** Goes on only when a tenth of the limit is free again, so that a pair does not change its state with every set. */
const goOnBelow = 0.9;

/** Holds the agent off while a pair's spool is full (F11). */
export class FlowControl {
  #since: number | undefined;

  constructor(
    private readonly observer: FlowControlObserver,
    private readonly nowMillis: () => number,
  ) {}

  get active(): boolean {
    return this.#since !== undefined;
  }

  /** How many more bytes the agent may have on their way; 0 while it is held off. */
  credit(spoolBytes: ByteCount, limitBytes: ByteCount): ByteCount {
    this.#update(spoolBytes, limitBytes);
    return this.active ? 0 : Math.max(0, limitBytes - spoolBytes);
  }

  #update(spoolBytes: ByteCount, limitBytes: ByteCount): void {
    if (this.#since === undefined && spoolBytes >= limitBytes) {
      this.#since = this.nowMillis();
      this.observer.started(spoolBytes);
    } else if (this.#since !== undefined && spoolBytes < limitBytes * goOnBelow) {
      const seconds = (this.nowMillis() - this.#since) / 1000;
      this.#since = undefined;
      this.observer.ended(seconds);
    }
  }
}
