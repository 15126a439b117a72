// SPDX-License-Identifier: Apache-2.0
// Which regions still have to be read for a resync, which blocks of them when that is known, and since which change set each marked region is
// quiet. A region's bit in the write-intent bitmap is cleared only when nothing of it is on its way any more.
import type { StreamBase } from '@secondsite/change-set';
import type { ByteCount, Epoch, SequenceNumber } from '@secondsite/units';
import { type ByteRange, RegionSet, type WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import { MissedBlocks } from './missed-blocks';
import { intersection } from './resync-activity';

export class RegionLedger {
  /** Regions whose content at the target may differ and which must be read. */
  readonly toResync: RegionSet;
  /** Regions of `toResync` of which the target lacks nothing but `#missed`. */
  readonly #partly: RegionSet;
  /** Of regions of `#partly` only. */
  readonly #missed: MissedBlocks;
  readonly #bitmap: WriteIntentBitmap;
  readonly #volumeBytes: ByteCount;
  /** Per region: the newest change set of this epoch with something of it, and the newest with a write; 0: none. */
  readonly #touchedBy: Float64Array;
  readonly #writtenBy: Float64Array;
  /** The furthest place that the replica was ever said to hold durably. */
  #held: StreamBase | undefined;
  /** Newest set at the last two quiet marks; what was not written since the older one is quiet. */
  #quietMarks: readonly [older: SequenceNumber, newer: SequenceNumber] = [0, 0];

  constructor(bitmap: WriteIntentBitmap, volumeBytes: ByteCount) {
    this.#bitmap = bitmap;
    this.#volumeBytes = volumeBytes;
    this.toResync = new RegionSet(bitmap.regionCount);
    this.#partly = new RegionSet(bitmap.regionCount);
    this.#missed = new MissedBlocks({ volumeBytes, regionBytes: bitmap.regionBytes });
    this.#touchedBy = new Float64Array(bitmap.regionCount);
    this.#writtenBy = new Float64Array(bitmap.regionCount);
    // What is not marked was applied at the target once, so that it holds the beginning of the stream at least.
    if (bitmap.markedRegions < bitmap.regionCount) this.#held = { epoch: 1, sequence: 1 };
  }

  get toResyncBytes(): ByteCount {
    return (this.toResync.size - this.#partly.size) * this.#bitmap.regionBytes + this.#missed.bytes;
  }

  /** What a new epoch builds on that brings `toResync`; undefined when that is everything. */
  get base(): StreamBase | undefined {
    return this.toResync.size === this.toResync.regionCount ? undefined : this.#held;
  }

  /** The replica holds everything up to this place durably; a place before one that is known changes nothing. */
  learnHeld({ epoch, sequence }: { readonly epoch: Epoch; readonly sequence: SequenceNumber }): void {
    const known = this.#held ?? { epoch: 0, sequence: 0 };
    if (epoch > known.epoch || (epoch === known.epoch && sequence > known.sequence)) this.#held = { epoch, sequence };
  }

  /** The application changed a range, and that stands in the change set of this sequence. */
  write(range: ByteRange, sequence: SequenceNumber): void {
    const { first, last } = this.#bitmap.regionsOf(range);
    for (let region = first; region <= last; region++) this.#touchedBy[region] = this.#writtenBy[region] = sequence;
  }

  /** The content of a range was read into the change set of this sequence. */
  resync(range: ByteRange, sequence: SequenceNumber): void {
    const { first, last } = this.#bitmap.regionsOf(range);
    for (let region = first; region <= last; region++) {
      this.#touchedBy[region] = sequence;
      this.toResync.delete(region);
      this.#forgetMissed(region);
    }
  }

  /** A range changed without being captured. */
  miss(range: ByteRange): void {
    const { first, last } = this.#bitmap.regionsOf(range);
    for (let region = first; region <= last; region++) {
      const part = intersection(range, this.#rangeOf(region));
      if (part.length === this.#rangeOf(region).length) this.#missWhole(region);
      else {
        if (this.toResync.add(region)) this.#partly.add(region);
        if (this.#partly.has(region)) this.#missed.add(part);
      }
    }
  }

  /** A region of `toResync` of which only known parts were missed. */
  isPartlyMissed(region: number): boolean {
    return this.#partly.has(region);
  }

  /** The parts of a region of `toResync` that the target may lack, ascending. */
  missedParts(region: number): readonly ByteRange[] {
    const range = this.#rangeOf(region);
    return this.#partly.has(region) ? this.#missed.partsOf(range) : [range];
  }

  /** A new epoch: whatever is marked has to be read again. */
  beginEpoch(): void {
    for (let region = this.#bitmap.nextMarked(0); region !== undefined; region = this.#bitmap.nextMarked(region + 1)) this.#missWhole(region);
    this.#touchedBy.fill(0);
    this.#writtenBy.fill(0);
    this.#quietMarks = [0, 0];
  }

  /** Called every few seconds: a region that is not written between two marks is quiet. */
  markQuiet(sealed: SequenceNumber): void {
    this.#quietMarks = [this.#quietMarks[1], sealed];
  }

  /** Marked regions of which every change set is applied at the target; with `quietOnly` without those written not long ago. */
  settled({ applied, quietOnly }: { readonly applied: SequenceNumber; readonly quietOnly: boolean }): RegionSet {
    const quiet = quietOnly ? this.#quietMarks[0] : applied;
    const settled = new RegionSet(this.#bitmap.regionCount);
    for (let region = this.#bitmap.nextMarked(0); region !== undefined; region = this.#bitmap.nextMarked(region + 1)) {
      const done = (this.#touchedBy[region] as number) <= applied && (this.#writtenBy[region] as number) <= quiet;
      if (done && !this.toResync.has(region)) settled.add(region);
    }
    return settled;
  }

  #missWhole(region: number): void {
    this.toResync.add(region);
    this.#forgetMissed(region);
  }

  #forgetMissed(region: number): void {
    if (this.#partly.delete(region)) this.#missed.delete(this.#rangeOf(region));
  }

  #rangeOf(region: number): ByteRange {
    const { regionBytes } = this.#bitmap;
    const offset = region * regionBytes;
    return { offset, length: Math.min(regionBytes, this.#volumeBytes - offset) };
  }
}
