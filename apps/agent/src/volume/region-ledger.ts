// SPDX-License-Identifier: Apache-2.0
// Which regions still have to be read for a resync, and since which change set each marked region is quiet. A region's bit in the
// write-intent bitmap is cleared only when nothing of it is on its way any more.
import type { ByteCount, SequenceNumber } from '@secondsite/units';
import { type ByteRange, RegionSet, type WriteIntentBitmap } from '@secondsite/write-intent-bitmap';

export class RegionLedger {
  /** Regions whose content at the target may differ and which must be read. */
  readonly toResync: RegionSet;
  readonly #bitmap: WriteIntentBitmap;
  /** Per region: the newest change set of this epoch that touches it; 0: none. */
  readonly #touchedBy: Float64Array;
  #sequenceAtLastSweep: SequenceNumber = 0;

  constructor(bitmap: WriteIntentBitmap) {
    this.#bitmap = bitmap;
    this.toResync = new RegionSet(bitmap.regionCount);
    this.#touchedBy = new Float64Array(bitmap.regionCount);
  }

  get toResyncBytes(): ByteCount {
    return this.toResync.size * this.#bitmap.regionBytes;
  }

  /** A range stands in the change set of this sequence. */
  touch(range: ByteRange, sequence: SequenceNumber): void {
    const { first, last } = this.#bitmap.regionsOf(range);
    for (let region = first; region <= last; region++) this.#touchedBy[region] = sequence;
  }

  /** A range changed without being captured. */
  miss(range: ByteRange): void {
    const { first, last } = this.#bitmap.regionsOf(range);
    for (let region = first; region <= last; region++) this.toResync.add(region);
  }

  /** A new epoch: whatever is marked has to be read again. */
  beginEpoch(): void {
    for (let region = this.#bitmap.nextMarked(0); region !== undefined; region = this.#bitmap.nextMarked(region + 1)) this.toResync.add(region);
    this.#touchedBy.fill(0);
    this.#sequenceAtLastSweep = 0;
  }

  /**
   * Unmarks regions of which every change set is applied at the target, and which were quiet since the last sweep (call it every few
   * seconds). `everything`: also those just written. Returns how many.
   */
  sweep({ applied, sealed, everything = false }: { readonly applied: SequenceNumber; readonly sealed: SequenceNumber; readonly everything?: boolean }): number {
    const limit = everything ? applied : Math.min(applied, this.#sequenceAtLastSweep);
    this.#sequenceAtLastSweep = sealed;
    let cleared = 0;
    for (let region = this.#bitmap.nextMarked(0); region !== undefined; region = this.#bitmap.nextMarked(region + 1)) {
      if (this.toResync.has(region) || (this.#touchedBy[region] as number) > limit) continue;
      this.#bitmap.clear(region);
      cleared += 1;
    }
    return cleared;
  }
}
