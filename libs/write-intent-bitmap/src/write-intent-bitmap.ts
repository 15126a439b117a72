// SPDX-License-Identifier: Apache-2.0
// The durable record of which regions of a volume may differ from its replica. Invariants: when `mark` is done, the regions are set on
// stable storage and stay so until `clear` (I1); commits are one at a time, so a page on disk is always one that was in memory;
// whatever a power cut does, the recovered regions contain every region marked and not cleared; a disk that hangs holds nobody but who waits.
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import { type ByteCount, type ByteOffset, type Epoch, OperationError } from '@secondsite/units';
import { type BitmapHeader, encodeBitmapHeader, encodePage, HEADER_SLOTS, PAGE_BYTES, PAGES_START, REGIONS_PER_PAGE } from './bitmap-layout';
import { MarkNeighbours, type Regions } from './mark-neighbours';
import { type BitmapRecovery, type BitmapVolume, recoverBitmap } from './recover-bitmap';
import { RegionSet } from './region-set';

export interface BitmapOptions extends BitmapVolume {
  readonly directory: StorageDirectory;
  /** File name inside the folder. */
  readonly name: string;
  /** At most so many regions, a power of two, are marked around one that a write waits for, while many writes wait; default 1. */
  readonly aroundMax?: number;
}

/** A range of the volume, in bytes, never empty. */
export interface ByteRange {
  readonly offset: ByteOffset;
  readonly length: ByteCount;
}

export class WriteIntentBitmap {
  readonly regionBytes: ByteCount;
  readonly regionCount: number;
  /** What stood in the file when it was opened. */
  readonly recovery: BitmapRecovery;
  readonly #file: StorageFile;
  readonly #marked: RegionSet;
  /** Regions of which the bit surely is on stable storage. Shrinks when a page without the bit begins to be written. */
  readonly #durable: RegionSet;
  readonly #changedPages = new Set<number>();
  readonly #neighbours: MarkNeighbours;
  #header: BitmapHeader;
  #nextCommit: PromiseWithResolvers<void> | undefined;
  #working: Promise<void> = Promise.resolve();

  private constructor(file: StorageFile, recovery: BitmapRecovery, aroundMax: number) {
    this.#file = file;
    this.recovery = recovery;
    this.#header = recovery.header;
    this.regionBytes = recovery.header.regionBytes;
    this.regionCount = recovery.dirty.regionCount;
    this.#marked = new RegionSet(this.regionCount);
    this.#durable = new RegionSet(this.regionCount);
    this.#marked.addAll(recovery.dirty);
    this.#durable.addAll(recovery.dirty);
    this.#neighbours = new MarkNeighbours(this.#marked, { aroundMax });
  }

  /**
   * Opens the file, or makes it with every region marked. What it recovers is on stable storage when this resolves, also after a crash of
   * the process alone. Every region counts as marked after damage.
   */
  static async open(options: BitmapOptions): Promise<WriteIntentBitmap> {
    const file = await options.directory.open(options.name, { create: true });
    const recovery = await recoverBitmap(file, options);
    if (recovery.origin !== 'recovered' || recovery.changed) {
      await writeWhole(file, recovery);
      await options.directory.sync();
    }
    return new WriteIntentBitmap(file, recovery, options.aroundMax ?? 1);
  }

  get epoch(): Epoch {
    return this.#header.epoch;
  }

  /** Bytes in marked regions (the last region counts whole). */
  get markedBytes(): ByteCount {
    return this.#marked.size * this.regionBytes;
  }

  get markedRegions(): number {
    return this.#marked.size;
  }

  isMarked(region: number): boolean {
    return this.#marked.has(region);
  }

  /** The first marked region at or after `region`, undefined when none follows. */
  nextMarked(region: number): number | undefined {
    return this.#marked.nextFrom(region);
  }

  /** First and last region that a range touches. */
  regionsOf({ offset, length }: ByteRange): Regions {
    return { first: Math.floor(offset / this.regionBytes), last: Math.floor((offset + length - 1) / this.regionBytes) };
  }

  /**
   * Marks the regions of a range, and neighbours that will be needed soon. `undefined`: the range's are on stable storage already. Otherwise wait: many
   * callers share one sync. Rejects with the storage's OperationError; the regions are then marked in memory only.
   */
  mark(range: ByteRange): undefined | Promise<void> {
    const regions = this.regionsOf(range);
    const soon = this.#neighbours.asked(regions);
    if (soon) {
      this.#markAll(soon);
      void this.#commit();
    }
    if (this.#markAll(regions)) return undefined;
    if (!this.#nextCommit) this.#neighbours.waits();
    this.#markAll(this.#neighbours.of(regions));
    return this.#commit();
  }

  /** Unmarks a region, later also on disk (with the next commit or `flush`); a crash before that only costs a needless resync. */
  clear(region: number): void {
    if (this.#marked.delete(region)) this.#changedPages.add(Math.floor(region / REGIONS_PER_PAGE));
  }

  /** Writes what was cleared since the last commit; durable when it resolves. */
  async flush(): Promise<void> {
    if (this.#changedPages.size === 0) await this.#working;
    if (this.#changedPages.size > 0) await this.#commit();
  }

  /** A new epoch, greater than the last and at least `atLeast`, durable when this resolves. The file counts as not clean from then on. */
  async raiseEpoch(options: { readonly atLeast?: Epoch } = {}): Promise<Epoch> {
    const epoch = Math.max(this.#header.epoch + 1, options.atLeast ?? 0);
    await this.#queue(() => this.#writeHeader({ epoch, clean: false }));
    return epoch;
  }

  /** Makes everything durable and closes the file. `clean`: every change of the volume is applied at the target. Not to be used afterwards. */
  async close(options: { readonly clean: boolean }): Promise<void> {
    await this.flush();
    await this.#queue(() => this.#writeHeader({ epoch: this.#header.epoch, clean: options.clean }));
    await this.#file.close();
  }

  /** True when the bits are on stable storage. */
  #markAll({ first, last }: Regions): boolean {
    let durable = true;
    for (let region = first; region <= Math.min(last, this.regionCount - 1); region++) {
      if (this.#marked.add(region)) this.#changedPages.add(Math.floor(region / REGIONS_PER_PAGE));
      durable = this.#durable.has(region) && durable;
    }
    return durable;
  }

  #commit(): Promise<void> {
    this.#nextCommit ??= this.#scheduleCommit();
    return this.#nextCommit.promise;
  }

  #scheduleCommit(): PromiseWithResolvers<void> {
    const commit = Promise.withResolvers<void>();
    commit.promise.catch(() => undefined); // Nobody may wait for it; whoever needs a region whose mark failed hears of it.
    void this.#queue(() => {
      this.#nextCommit = undefined;
      return this.#writePages();
    }).then(commit.resolve, commit.reject);
    return commit;
  }

  async #writePages(): Promise<void> {
    const pages = [...this.#changedPages];
    this.#changedPages.clear();
    const written = pages.map((page) => ({ page, regions: this.#forgetCleared(page), bytes: encodePage(page, this.#marked) }));
    try {
      for (const { page, bytes } of written) await this.#file.write([bytes], PAGES_START + page * PAGE_BYTES);
      await this.#file.sync();
    } catch (error) {
      for (const page of pages) this.#changedPages.add(page);
      throw bitmapFailure(error, this.#file.name);
    }
    for (const { regions } of written) for (const region of regions) this.#durable.add(region);
  }

  /** Before a page is written: bits that it lacks are no longer surely on disk. Returns the regions whose bits it has. */
  #forgetCleared(page: number): number[] {
    const set: number[] = [];
    const end = Math.min((page + 1) * REGIONS_PER_PAGE, this.regionCount);
    for (let region = page * REGIONS_PER_PAGE; region < end; region++) {
      if (this.#marked.has(region)) set.push(region);
      else this.#durable.delete(region);
    }
    return set;
  }

  async #writeHeader(change: Pick<BitmapHeader, 'epoch' | 'clean'>): Promise<void> {
    const header = { ...this.#header, ...change, generation: this.#header.generation + 1 };
    try {
      await this.#file.write([encodeBitmapHeader(header)], HEADER_SLOTS[header.generation % 2 === 0 ? 0 : 1]);
      await this.#file.sync();
    } catch (error) {
      throw bitmapFailure(error, this.#file.name);
    }
    this.#header = header;
  }

  /** One thing at a time touches the file. A failure reaches the one who asked, not those behind. */
  #queue(work: () => Promise<void>): Promise<void> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => undefined);
    return done;
  }
}

/** Pages first, header after them: a file that was cut in between has no valid header and counts as all dirty. */
async function writeWhole(file: StorageFile, { header, dirty }: BitmapRecovery): Promise<void> {
  const pages = Array.from({ length: Math.ceil(dirty.regionCount / REGIONS_PER_PAGE) }, (_, page) => encodePage(page, dirty));
  await file.write(pages, PAGES_START);
  await file.sync();
  const bytes = encodeBitmapHeader(header);
  await file.write([bytes], HEADER_SLOTS[header.generation % 2 === 0 ? 0 : 1]);
  await file.sync();
}

function bitmapFailure(cause: unknown, name: string): OperationError {
  return new OperationError({
    code: 'bitmap/not-durable',
    operation: 'make write-intent bitmap durable',
    context: { name },
    retryable: true,
    hint: 'Look at the disk of the data folder. If the agent ends before it takes marks again, the whole volume is compared.',
    cause,
  });
}
