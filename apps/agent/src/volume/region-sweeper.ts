// SPDX-License-Identifier: Apache-2.0
// Unmarks regions in the write-intent bitmap, late. A region is unmarked only when the target has applied everything of it, when it was
// not written for a while, and when the source disk has it durably: else a power cut could take back on the disk what the replica has.
import type { Epoch, SequenceNumber } from '@secondsite/units';
import type { WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import type { Outcome } from './pair-faults';
import type { RegionLedger } from './region-ledger';

export interface RegionSweeperOptions {
  readonly ledger: RegionLedger;
  readonly bitmap: WriteIntentBitmap;
  /** Everything that reached the source disk before the call survives a power cut when it resolves. */
  readonly syncSource: () => Promise<void>;
  /** Monotonic. */
  readonly millis: () => number;
  /** Of each sweep that had something to write; one that failed unmarked nothing on the disk and is tried again. */
  readonly outcome: Outcome;
}

/** Where the stream is. */
export interface StreamPosition {
  readonly epoch: Epoch;
  readonly sealed: SequenceNumber;
  /** Durably applied at the target. */
  readonly applied: SequenceNumber;
}

const SWEEP_MILLIS = 2000;
const QUIET_MILLIS = 5000;

export class RegionSweeper {
  readonly #options: RegionSweeperOptions;
  #sweptMillis: number;
  #quietMillis: number;
  #sweeping = false;
  /** What the last sweep wanted to write is still to be written, also when nothing is to be unmarked. */
  #hasFailed = false;

  constructor(options: RegionSweeperOptions) {
    this.#options = options;
    this.#sweptMillis = this.#quietMillis = options.millis();
  }

  /** Called often. `position` is asked again after the source was synced. */
  tick(position: () => StreamPosition | undefined): void {
    const { ledger, millis } = this.#options;
    const now = millis();
    const at = position();
    if (at === undefined || this.#sweeping) return;
    if (now - this.#sweptMillis >= SWEEP_MILLIS) {
      this.#sweptMillis = now;
      void this.#sweepQuiet(position);
    }
    if (now - this.#quietMillis >= QUIET_MILLIS) {
      this.#quietMillis = now;
      ledger.markQuiet(at.sealed);
    }
  }

  /** Unmarks whatever may be unmarked, also what was written a moment ago; nobody writes any more. */
  async finish(position: StreamPosition): Promise<void> {
    await this.#sweep(() => position, { quietOnly: false });
  }

  async #sweepQuiet(position: () => StreamPosition | undefined): Promise<void> {
    this.#sweeping = true;
    try {
      await this.#sweep(position, { quietOnly: true });
    } catch (error) {
      this.#hasFailed = true;
      this.#options.outcome.failed(error);
    } finally {
      this.#sweeping = false;
    }
  }

  async #sweep(position: () => StreamPosition | undefined, { quietOnly }: { readonly quietOnly: boolean }): Promise<void> {
    const { ledger, bitmap, syncSource, outcome } = this.#options;
    const before = position();
    if (before === undefined) return;
    const regions = ledger.settled({ applied: before.applied, quietOnly });
    if (regions.size === 0 && !this.#hasFailed) return;
    await syncSource();
    if (position()?.epoch !== before.epoch) return;
    // A region that was touched during the sync is beyond these bounds now and stays marked.
    const still = ledger.settled({ applied: before.applied, quietOnly });
    for (const region of regions) if (still.has(region)) bitmap.clear(region);
    await bitmap.flush();
    this.#hasFailed = false;
    outcome.worked();
  }
}
