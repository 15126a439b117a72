// SPDX-License-Identifier: Apache-2.0
// Where the bytes of journal positions are. A view keeps the positions that it was opened with, so files that a merge has replaced stay until the
// last view that was open then is closed. Invariant: no two files ever share an address while the journal is open.
import type { ByteCount } from '@secondsite/units';
import type { SegmentFile, StoredSegment } from './stored-segment';
import type { JournalPosition } from './undo-entries';
import type { ViewMap } from './view-map';

/** Positions in merged segments count from here on; those of the chain itself never get so far. */
const MERGED_ADDRESSES = 2 ** 52;

export class SegmentFiles {
  /** In ascending order of address. */
  #segments: StoredSegment[] = [];
  /** Replaced segments, and the views that still read them. */
  readonly #holders = new Map<StoredSegment, Set<ViewMap>>();
  #nextAddress = MERGED_ADDRESSES;

  /** A fresh address for a merged or cold segment of this stretch of the chain; its header and data are never longer than the stretch. */
  addressFor({ base, end }: { readonly base: JournalPosition; readonly end: JournalPosition }): JournalPosition {
    const address = this.#nextAddress;
    this.#nextAddress += end - base;
    return address;
  }

  add(segment: StoredSegment): void {
    const at = this.#segments.findLastIndex((other) => other.address < segment.address);
    this.#segments.splice(at + 1, 0, segment);
  }

  forget(segment: StoredSegment): void {
    this.#segments = this.#segments.filter((other) => other !== segment);
  }

  /** The same bytes are elsewhere now, at the same address. */
  exchange(segment: StoredSegment, by: StoredSegment): void {
    this.#segments = this.#segments.map((other) => (other === segment ? by : other));
  }

  locate(position: JournalPosition): { readonly file: SegmentFile; readonly offset: number } {
    let low = 0;
    for (let high = this.#segments.length; high - low > 1; ) {
      const middle = (low + high) >>> 1;
      if ((this.#segments[middle] as StoredSegment).address <= position) low = middle;
      else high = middle;
    }
    const segment = this.#segments[low] as StoredSegment;
    return { file: segment.file, offset: position - segment.address };
  }

  /** The segment was replaced; `views` go on reading it. */
  retire(segment: StoredSegment, views: Iterable<ViewMap>): void {
    this.#holders.set(segment, new Set(views));
  }

  release(view: ViewMap): void {
    for (const views of this.#holders.values()) views.delete(view);
  }

  get retired(): Iterable<StoredSegment> {
    return this.#holders.keys();
  }

  get retiredBytes(): ByteCount {
    return [...this.#holders.keys()].reduce((sum, segment) => sum + segment.storedBytes, 0);
  }

  /** Replaced segments that nobody reads any more, and of which `isBusy` says no; they are forgotten. */
  takeUnneeded(isBusy: (segment: StoredSegment) => boolean): StoredSegment[] {
    const unneeded = [...this.#holders].filter(([segment, views]) => views.size === 0 && !isBusy(segment)).map(([segment]) => segment);
    for (const segment of unneeded) {
      this.#holders.delete(segment);
      this.forget(segment);
    }
    return unneeded;
  }
}
