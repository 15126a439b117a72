// SPDX-License-Identifier: Apache-2.0
// Reads regions that the target may lack and puts their content into the stream. What the application wrote between the start of a read
// and its place in the stream is left out: its newest content stands in the stream already. Invariant: a region leaves `toResync` in the
// same turn in which the last of its content enters the stream.
import { ENTRY_LENGTH_MAX } from '@secondsite/change-set';
import type { ByteCount, ByteOffset } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';
import type { ChangeStream } from './change-stream';
import type { RegionLedger } from './region-ledger';
import type { DataRange, ResyncSource } from './resync-source';

export interface ResyncReaderOptions {
  readonly source: ResyncSource;
  readonly volumeBytes: ByteCount;
  readonly regionBytes: ByteCount;
  readonly ledger: RegionLedger;
  readonly stream: ChangeStream;
  /** True when so much may be read ahead now: memory is not short for the application's writes. */
  readonly mayRead: (bytes: ByteCount) => boolean;
  /** A read failed; the region stays to be read and is tried again later. */
  readonly failed: (error: unknown) => void;
  /** Reads under way at once; default 4. */
  readonly readsMax?: number;
}

/** Something asked of the source and not answered yet; covers whole regions. */
interface ActiveRead extends ByteRange {
  /** What the application changed meanwhile. */
  readonly written: ByteRange[];
  dropped: boolean;
}

/** A region written more often than this during one read is read again. */
const WRITTEN_MAX = 1024;

export class ResyncReader {
  readonly #options: ResyncReaderOptions;
  readonly #readsMax: number;
  readonly #active = new Set<ActiveRead>();
  readonly #buffers: Buffer[] = [];
  #lookingUp: ActiveRead | undefined;
  #cursor = 0;
  #running = false;
  #doneBytes: ByteCount = 0;

  constructor(options: ResyncReaderOptions) {
    this.#options = options;
    this.#readsMax = options.readsMax ?? 4;
  }

  /** Bytes put into the stream since `start`. */
  get doneBytes(): ByteCount {
    return this.#doneBytes;
  }

  get isIdle(): boolean {
    return this.#active.size === 0;
  }

  start(): void {
    this.#running = true;
    this.#cursor = 0;
    this.#doneBytes = 0;
  }

  /** Results of reads under way are dropped; their regions stay to be read. */
  stop(): void {
    this.#running = false;
    for (const read of this.#active) read.dropped = true;
  }

  /** The application wrote here, and that stands in the stream: a read of the range under way leaves it out. */
  overlap(range: ByteRange): void {
    for (const read of this.#active) {
      if (!touches(range, read)) continue;
      if (read.written.push(range) > WRITTEN_MAX) read.dropped = true;
    }
  }

  /** Starts what may be read now. Called after every change and regularly. */
  pump(): void {
    const { mayRead, source, stream } = this.#options;
    while (this.#running && !this.#lookingUp && this.#active.size < this.#readsMax) {
      const region = this.#nextRegion();
      if (region === undefined) return;
      const range = this.#rangeOf(region);
      if (!mayRead(range.length) || !stream.makeRoom(0)) return;
      this.#cursor = region + 1;
      const data = source.nextData(range.offset);
      if (data instanceof Promise) this.#lookUp(region, data);
      else if (!this.#skipHole(this.#holeFrom(region, data), [])) this.#read(range);
    }
  }

  #nextRegion(): number | undefined {
    const { toResync } = this.#options.ledger;
    for (let round = 0; round < 2; round++) {
      let region = toResync.nextFrom(this.#cursor);
      for (let end = this.#activeEnd(region); region !== undefined && end !== undefined; end = this.#activeEnd(region)) region = toResync.nextFrom(end);
      if (region !== undefined) return region;
      this.#cursor = 0;
    }
    return undefined;
  }

  /** The region after the read that covers this one, undefined when none does. */
  #activeEnd(region: number | undefined): number | undefined {
    if (region === undefined) return undefined;
    const { regionBytes } = this.#options;
    const offset = region * regionBytes;
    for (const read of this.#active) {
      if (read.offset <= offset && offset < read.offset + read.length) return Math.ceil((read.offset + read.length) / regionBytes);
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

  /** Regions in a row that are to be read and not being read, as many as one entry can name. */
  #endOfRun(first: number): number {
    const { ledger, regionBytes } = this.#options;
    const longest = first + Math.floor(ENTRY_LENGTH_MAX / regionBytes);
    let end = first;
    while (end < longest && end < ledger.toResync.regionCount && ledger.toResync.has(end) && this.#activeEnd(end) === undefined) end++;
    return end;
  }

  /** A known hole enters the stream at once. */
  #skipHole(hole: ByteRange | undefined, written: readonly ByteRange[]): boolean {
    if (!hole) return false;
    const { regionBytes, stream } = this.#options;
    this.#cursor = Math.ceil((hole.offset + hole.length) / regionBytes);
    for (const gap of withoutWritten(hole, written)) {
      if (!stream.makeRoom(0)) return true;
      stream.appendRange({ kind: 'resync-zero', ...gap });
    }
    this.#finish(hole);
    return true;
  }

  #lookUp(region: number, data: Promise<DataRange | undefined>): void {
    const end = this.#endOfRun(region);
    const read = this.#begin(this.#rangeOf(region, end));
    this.#lookingUp = read;
    const ended = (): void => {
      this.#lookingUp = undefined;
      this.#active.delete(read);
    };
    data.then(
      (found) => {
        ended();
        if (this.#running && !read.dropped && !this.#skipHole(this.#holeFrom(region, found, end), read.written)) this.#read(this.#rangeOf(region));
        this.pump();
      },
      (error: unknown) => {
        ended();
        this.#options.failed(error);
      },
    );
  }

  #begin(range: ByteRange): ActiveRead {
    const read: ActiveRead = { ...range, written: [], dropped: false };
    this.#active.add(read);
    return read;
  }

  #read(range: ByteRange): void {
    const read = this.#begin(range);
    const buffer = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(this.#options.regionBytes);
    const bytes = buffer.subarray(0, range.length);
    this.#options.source.read(bytes, range.offset).then(
      (count) => {
        this.#active.delete(read);
        if (this.#running && !read.dropped) this.#insert(read, bytes.fill(0, count));
        this.#buffers.push(buffer);
        this.pump();
      },
      (error: unknown) => {
        this.#active.delete(read);
        this.#options.failed(error);
      },
    );
  }

  /** Without memory the region just stays to be read. */
  #insert(read: ActiveRead, bytes: Buffer): void {
    const { stream } = this.#options;
    for (const { offset, length } of withoutWritten(read, read.written)) {
      if (!stream.makeRoom(length)) return;
      stream.appendBytes({ kind: 'resync-write', offset }, [bytes.subarray(offset - read.offset, offset - read.offset + length)]);
    }
    this.#finish(read);
  }

  #finish(range: ByteRange): void {
    const { ledger, stream } = this.#options;
    ledger.resync(range, stream.openSequence);
    this.#doneBytes += range.length;
  }
}

function touches(left: ByteRange, right: ByteRange): boolean {
  return left.offset < right.offset + right.length && right.offset < left.offset + left.length;
}

/** The parts of a range that none of the written ones covers, ascending. */
function withoutWritten({ offset, length }: ByteRange, written: readonly ByteRange[]): ByteRange[] {
  const gaps: ByteRange[] = [];
  let position: ByteOffset = offset;
  for (const range of written.toSorted((left, right) => left.offset - right.offset)) {
    const start = Math.min(range.offset, offset + length);
    if (start > position) gaps.push({ offset: position, length: start - position });
    position = Math.max(position, range.offset + range.length);
  }
  if (position < offset + length) gaps.push({ offset: position, length: offset + length - position });
  return gaps;
}
