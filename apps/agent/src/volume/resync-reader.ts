// SPDX-License-Identifier: Apache-2.0
// Reads regions that the target may lack and puts their content into the stream. What the application wrote between the start of a read
// and its place in the stream is left out: its newest content stands in the stream already. Of a region of which it is known what was missed just
// that is read (ADR 27). Where there is a replica, runs of other regions are compared with it first, and only blocks that differ are read
// (ADR 15). Invariant: a region leaves `toResync` in the same turn in which the
// last of its content enters the stream, or in which it is known that the target lacks nothing of it.
import { BlockLayout } from '@secondsite/block-checksums';
import { ENTRY_LENGTH_MAX } from '@secondsite/change-set';
import { readBuffer } from '@secondsite/durable-storage';
import { type ByteCount, KIB, type SequenceNumber } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';
import type { ChangeStream } from './change-stream';
import type { RegionLedger } from './region-ledger';
import type { RegionComparer, Verdict } from './region-comparer';
import { ActiveRead, intersection, joinNear, ResyncActivity, touches, withoutWritten } from './resync-activity';
import type { Outcome } from './pair-faults';
import type { DataRange, ResyncSource } from './resync-source';

export interface ResyncReaderOptions {
  readonly source: ResyncSource;
  readonly volumeBytes: ByteCount;
  readonly regionBytes: ByteCount;
  readonly ledger: RegionLedger;
  readonly stream: ChangeStream;
  /** False: the pair has to wait with its resynchronisation; what is under way goes on. */
  readonly mayBegin: () => boolean;
  /** True when so much, in all, may be under way from the disk into the stream: memory is not short for the application's writes. */
  readonly mayRead: (bytes: ByteCount) => boolean;
  /** Of reads; the region of one that failed stays to be read and is tried again later. */
  readonly outcome: Outcome;
  /** Something that was under way has ended. */
  readonly ended: () => void;
  /** Asks the target; undefined: everything is sent. */
  readonly comparer?: RegionComparer | undefined;
  /** Reads under way at once; default 4. */
  readonly readsMax?: number;
}

/** What a resync had to do, in blocks; holes do not count. */
export interface ResyncCounts {
  readonly comparedBlocks: number;
  readonly sentBlocks: number;
  /** Compared, and the same. */
  readonly skippedBlocks: number;
}

/** Comparisons under way at once, when what they find is worth it. */
const COMPARISONS_MAX = 8;
/** Regions that are compared and wait to be read. */
const DIFFERENT_MAX = 64;
/** After a comparison of which most differed so many regions are sent without one. */
const UNCOMPARED_REGIONS = 256;
/** What lies between two parts is read with them when it is no more: a read costs about as much as copying that. */
const READ_GAP_BYTES = 32 * KIB;

export class ResyncReader {
  readonly #options: ResyncReaderOptions;
  readonly #readsMax: number;
  readonly #active = new Set<ResyncActivity>();
  readonly #buffers: Buffer[] = [];
  /** Blocks of compared regions that are still to be read. */
  readonly #different = new Map<number, readonly ByteRange[]>();
  readonly #counts = { comparedBlocks: 0, sentBlocks: 0, skippedBlocks: 0 };
  #lookingUp: ActiveRead | undefined;
  #cursor = 0;
  #reads = 0;
  #readingBytes: ByteCount = 0;
  #comparing = false;
  #comparisons = 0;
  #comparisonsMax = 1;
  #uncomparedRegions = 0;
  #running = false;

  constructor(options: ResyncReaderOptions) {
    this.#options = options;
    this.#readsMax = options.readsMax ?? 4;
  }

  get isIdle(): boolean {
    return this.#active.size === 0;
  }

  /** Since `start`. */
  get counts(): ResyncCounts {
    return this.#counts;
  }

  /**
   * `compareFrom`: the target has a replica that may have most of it already, and can be asked when it has applied this set, which holds the
   * marker that begins the resync.
   */
  start({ compareFrom }: { readonly compareFrom: SequenceNumber | undefined }): void {
    this.#running = true;
    this.#cursor = 0;
    this.#comparing = compareFrom !== undefined && this.#options.comparer !== undefined;
    if (compareFrom !== undefined) this.#options.comparer?.start(compareFrom);
    this.#comparisonsMax = 1;
    this.#uncomparedRegions = 0;
    Object.assign(this.#counts, { comparedBlocks: 0, sentBlocks: 0, skippedBlocks: 0 } satisfies ResyncCounts);
    this.pump();
  }

  /** Results of reads under way are dropped; their regions stay to be read. */
  stop(): void {
    this.#running = false;
    for (const activity of this.#active) activity.dropped = true;
    this.#different.clear();
    this.#options.comparer?.stop();
  }

  /** The application wrote here, and that stands in the stream: a read of the range under way leaves it out. */
  overlap(range: ByteRange): void {
    for (const activity of this.#active) if (activity instanceof ActiveRead && touches(range, activity)) activity.wrote(range);
  }

  /** Starts what may be started now. Called after every change and regularly. */
  pump(): void {
    this.#options.comparer?.pump();
    while (this.#running && !this.#lookingUp && this.#options.mayBegin() && (this.#readDifferent() || this.#startNext()));
  }

  #goOn(): void {
    this.pump();
    this.#options.ended();
  }

  /** Reads the blocks of a compared region. False: there is none, or it has to wait. */
  #readDifferent(): boolean {
    for (const [region, parts] of this.#different) {
      if (this.#activeEnd(region) !== undefined) continue;
      const range = this.#rangeOf(region);
      if (!this.#mayRead(range)) return false;
      this.#read(range, parts);
      return true;
    }
    return false;
  }

  /** Begins with the next region. False: there is none, or it has to wait. */
  #startNext(): boolean {
    const { source, stream } = this.#options;
    const region = this.#nextRegion();
    if (region === undefined || !stream.makeRoom(0)) return false;
    const range = this.#rangeOf(region);
    if (!(this.#isToCompare(region) ? this.#comparisons < this.#comparisonsMax && this.#different.size < DIFFERENT_MAX : this.#mayRead(range))) return false;
    this.#cursor = region + 1;
    const data = source.nextData(range.offset);
    if (data instanceof Promise) this.#lookUp(region, data);
    else if (!this.#skipHole(this.#holeFrom(region, data), [])) this.#begin(region);
    return true;
  }

  #isToCompare(region: number): boolean {
    return this.#comparing && this.#uncomparedRegions === 0 && !this.#options.ledger.isPartlyMissed(region);
  }

  #mayRead({ length }: ByteRange): boolean {
    return this.#reads < this.#readsMax && this.#options.mayRead(this.#readingBytes + length);
  }

  #nextRegion(): number | undefined {
    const { toResync } = this.#options.ledger;
    for (let round = 0; round < 2; round++) {
      let region = toResync.nextFrom(this.#cursor);
      while (region !== undefined && !this.#isFree(region)) region = toResync.nextFrom(this.#activeEnd(region) ?? region + 1);
      if (region !== undefined) return region;
      this.#cursor = 0;
    }
    return undefined;
  }

  /** Nothing has been begun with it. */
  #isFree(region: number): boolean {
    return !this.#different.has(region) && this.#activeEnd(region) === undefined;
  }

  /** The region after the activity that covers this one, undefined when none does. */
  #activeEnd(region: number): number | undefined {
    const { regionBytes } = this.#options;
    const offset = region * regionBytes;
    for (const activity of this.#active) {
      if (activity.covers(offset)) return Math.ceil((activity.offset + activity.length) / regionBytes);
    }
    return undefined;
  }

  #rangeOf(first: number, end: number = first + 1): ByteRange {
    const { regionBytes, volumeBytes } = this.#options;
    const offset = first * regionBytes;
    return { offset, length: Math.min(end * regionBytes, volumeBytes) - offset };
  }

  /** The regions from `first` on, all to be read, that lie before the next data; undefined when `first` itself has data. */
  #holeFrom(first: number, data: DataRange | undefined, last?: number): ByteRange | undefined {
    const { ledger, regionBytes } = this.#options;
    const regionsOfHole = data === undefined ? ledger.toResync.regionCount : Math.floor(data.offset / regionBytes);
    if (regionsOfHole <= first) return undefined;
    const end = Math.min(regionsOfHole, last ?? this.#endOfRun(first));
    return end > first ? this.#rangeOf(first, end) : undefined;
  }

  /** Regions in a row that are to be read and not being read, as many as so many bytes hold; by default as one entry can name. */
  #endOfRun(first: number, bytesMax: ByteCount = ENTRY_LENGTH_MAX): number {
    const { ledger, regionBytes } = this.#options;
    const longest = first + Math.max(1, Math.floor(bytesMax / regionBytes));
    let end = first;
    while (end < longest && end < ledger.toResync.regionCount && ledger.toResync.has(end) && this.#isFree(end)) end++;
    return end;
  }

  /** A known hole enters the stream at once. */
  #skipHole(hole: ByteRange | undefined, written: readonly ByteRange[]): boolean {
    if (!hole) return false;
    const { regionBytes, stream } = this.#options;
    this.#cursor = Math.ceil((hole.offset + hole.length) / regionBytes);
    for (const gap of withoutWritten([hole], written)) {
      if (!stream.makeRoom(0)) return true;
      stream.appendRange({ kind: 'resync-zero', ...gap });
    }
    this.#finish(hole);
    return true;
  }

  #lookUp(region: number, data: Promise<DataRange | undefined>): void {
    const end = this.#endOfRun(region);
    const read = new ActiveRead(this.#rangeOf(region, end));
    this.#active.add(read);
    this.#lookingUp = read;
    const ended = (): void => {
      this.#lookingUp = undefined;
      this.#active.delete(read);
    };
    data.then(
      (found) => {
        ended();
        if (this.#running && !read.dropped && !this.#skipHole(this.#holeFrom(region, found, end), read.written)) this.#begin(region);
        this.#goOn();
      },
      (error: unknown) => {
        ended();
        this.#options.outcome.failed(error);
      },
    );
  }

  #begin(region: number): void {
    const { comparer, ledger } = this.#options;
    if (comparer && this.#isToCompare(region)) return this.#compare(comparer, region);
    if (!ledger.isPartlyMissed(region)) this.#uncomparedRegions = Math.max(0, this.#uncomparedRegions - 1);
    return this.#read(this.#rangeOf(region), ledger.missedParts(region));
  }

  #compare(comparer: RegionComparer, region: number): void {
    const { ledger } = this.#options;
    const longest = this.#endOfRun(region, comparer.runBytes);
    let end = region + 1;
    while (end < longest && !ledger.isPartlyMissed(end)) end++;
    const comparison = new ResyncActivity(this.#rangeOf(region, end));
    this.#cursor = end;
    this.#active.add(comparison);
    this.#comparisons += 1;
    const ended = (): void => {
      this.#active.delete(comparison);
      this.#comparisons -= 1;
    };
    comparer.compare(comparison).then(
      (verdict) => {
        ended();
        if (this.#running && !comparison.dropped) this.#judge(comparison, verdict);
        this.#goOn();
      },
      (error: unknown) => {
        ended();
        this.#options.outcome.failed(error);
      },
    );
  }

  /** Regions that are the same are done; of the others only what differs remains to be read. */
  #judge(run: ByteRange, verdict: Verdict): void {
    if (verdict.kind === 'refused') this.#comparing = false;
    if (verdict.kind !== 'compared') return;
    const { different } = verdict;
    const { regionBytes } = this.#options;
    for (let region = run.offset / regionBytes; region * regionBytes < run.offset + run.length; region++) {
      const range = this.#rangeOf(region);
      const parts = different.filter((part) => touches(part, range)).map((part) => intersection(part, range));
      if (parts.length === 0) this.#finish(range);
      else this.#different.set(region, parts);
    }
    const differentBlocks = this.#blocksOf(different);
    const blocks = this.#blocksOf([run]);
    this.#counts.comparedBlocks += blocks;
    this.#counts.skippedBlocks += blocks - differentBlocks;
    const isWorthIt = differentBlocks * 2 <= blocks;
    this.#comparisonsMax = isWorthIt ? Math.min(this.#comparisonsMax * 2, COMPARISONS_MAX) : 1;
    if (!isWorthIt) this.#uncomparedRegions = UNCOMPARED_REGIONS;
  }

  /** Reads parts of a region into the stream. */
  #read(range: ByteRange, parts: readonly ByteRange[]): void {
    const read = new ActiveRead(range);
    this.#active.add(read);
    this.#reads += 1;
    this.#readingBytes += range.length;
    const buffer = this.#buffers.pop() ?? readBuffer(this.#options.regionBytes);
    const ended = (): void => {
      this.#active.delete(read);
      this.#reads -= 1;
      this.#readingBytes -= range.length;
    };
    Promise.all(joinNear(parts, READ_GAP_BYTES).map((part) => this.#readPart(buffer, range, part))).then(
      () => {
        ended();
        this.#options.outcome.worked();
        if (this.#running && !read.dropped) this.#insert(read, { bytes: buffer, parts });
        this.#buffers.push(buffer);
        this.#goOn();
      },
      (error: unknown) => {
        ended();
        this.#options.outcome.failed(error);
      },
    );
  }

  async #readPart(buffer: Buffer, range: ByteRange, { offset, length }: ByteRange): Promise<void> {
    const bytes = buffer.subarray(offset - range.offset, offset - range.offset + length);
    bytes.fill(0, await this.#options.source.read(bytes, offset));
  }

  /** Without memory the region just stays to be read. */
  #insert(read: ActiveRead, { bytes, parts }: { readonly bytes: Buffer; readonly parts: readonly ByteRange[] }): void {
    const { stream } = this.#options;
    for (const { offset, length } of withoutWritten(parts, read.written)) {
      if (!stream.makeRoom(length)) return;
      stream.appendBytes({ kind: 'resync-write', offset }, [bytes.subarray(offset - read.offset, offset - read.offset + length)]);
    }
    this.#counts.sentBlocks += this.#blocksOf(parts);
    this.#finish(read);
  }

  #finish(range: ByteRange): void {
    const { ledger, stream } = this.#options;
    ledger.resync(range, stream.openSequence);
    this.#different.delete(Math.floor(range.offset / this.#options.regionBytes));
  }

  /** Blocks with something of these parts, which are ascending. */
  #blocksOf(parts: readonly ByteRange[]): number {
    const { blockBytes } = (this.#options.comparer ?? { layout: BlockLayout.standard }).layout;
    let blocks = 0;
    let counted = 0;
    for (const { offset, length } of parts) {
      const end = Math.ceil((offset + length) / blockBytes);
      blocks += end - Math.max(counted, Math.floor(offset / blockBytes));
      counted = end;
    }
    return blocks;
  }
}
