// SPDX-License-Identifier: Apache-2.0
// Reads regions that the target may lack and puts their content into the stream at a place where it was true: no write touched the
// range between the start of the read and its place in the stream, else it is read again. Invariant: a region leaves `toResync` in the
// same turn in which its content enters the stream.
import { ENTRY_LENGTH_MAX } from '@secondsite/change-set';
import type { StorageFile } from '@secondsite/durable-storage';
import type { ByteCount } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';
import type { ChangeStream } from './change-stream';
import type { RegionLedger } from './region-ledger';

export interface ResyncReaderOptions {
  readonly file: StorageFile;
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

interface ActiveRead extends ByteRange {
  readonly region: number;
  overlapped: boolean;
}

const OVERLAPS_MAX = 3;

export class ResyncReader {
  readonly #options: ResyncReaderOptions;
  readonly #readsMax: number;
  readonly #active = new Map<number, ActiveRead>();
  readonly #overlaps = new Map<number, number>();
  readonly #buffers: Buffer[] = [];
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
    this.#overlaps.clear();
    this.#cursor = 0;
    this.#doneBytes = 0;
  }

  /** Results of reads under way are dropped; their regions stay to be read. */
  stop(): void {
    this.#running = false;
    for (const read of this.#active.values()) read.overlapped = true;
  }

  /** The application wrote here: a read of the range under way must not enter the stream. */
  overlap({ offset, length }: ByteRange): void {
    if (this.#active.size === 0) return;
    for (const read of this.#active.values()) {
      if (offset < read.offset + read.length && read.offset < offset + length) read.overlapped = true;
    }
  }

  /** Starts what may be read now. Called after every change and regularly. */
  pump(): void {
    while (this.#running && this.#active.size < this.#readsMax) {
      const region = this.#nextRegion();
      if (region === undefined) return;
      const range = this.#rangeOf(region);
      if (!this.#options.mayRead(range.length) || !this.#options.stream.makeRoom(0)) return;
      this.#cursor = region + 1;
      if (!this.#skipHole(range)) this.#read(region, range);
    }
  }

  #nextRegion(): number | undefined {
    const { toResync } = this.#options.ledger;
    for (let round = 0; round < 2; round++) {
      let region = toResync.nextFrom(this.#cursor);
      while (region !== undefined && this.#active.has(region)) region = toResync.nextFrom(region + 1);
      if (region !== undefined) return region;
      this.#cursor = 0;
    }
    return undefined;
  }

  #rangeOf(region: number): ByteRange {
    const offset = region * this.#options.regionBytes;
    return { offset, length: Math.min(this.#options.regionBytes, this.#options.volumeBytes - offset) };
  }

  /** A hole is known at once, so it enters the stream at once, together with the regions behind it that are holes and to be read. */
  #skipHole({ offset, length }: ByteRange): boolean {
    const { file, ledger, regionBytes, stream, volumeBytes } = this.#options;
    const dataStart = Math.min(file.nextData(offset)?.offset ?? volumeBytes, volumeBytes);
    if (dataStart < offset + length) return false;
    const first = offset / regionBytes;
    const longest = first + Math.floor(ENTRY_LENGTH_MAX / regionBytes);
    const regionsOfHole = dataStart === volumeBytes ? ledger.toResync.regionCount : Math.floor(dataStart / regionBytes);
    let end = first;
    while (end < Math.min(regionsOfHole, longest) && ledger.toResync.has(end) && !this.#active.has(end)) end++;
    const hole = { offset, length: Math.min(end * regionBytes, volumeBytes) - offset };
    stream.appendRange({ kind: 'resync-zero', ...hole });
    this.#finish(hole);
    this.#cursor = end;
    return true;
  }

  #read(region: number, range: ByteRange): void {
    if ((this.#overlaps.get(region) ?? 0) >= OVERLAPS_MAX) return this.#readNow(region, range);
    const read: ActiveRead = { ...range, region, overlapped: false };
    const buffer = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(this.#options.regionBytes);
    this.#active.set(region, read);
    const bytes = buffer.subarray(0, range.length);
    this.#options.file.read(bytes, range.offset).then(
      (count) => this.#arrived(read, bytes.fill(0, count), buffer),
      (error: unknown) => this.#gone(read, error),
    );
  }

  #arrived(read: ActiveRead, bytes: Buffer, buffer: Buffer): void {
    this.#active.delete(read.region);
    if (!read.overlapped) this.#insert(read, bytes);
    else this.#overlaps.set(read.region, (this.#overlaps.get(read.region) ?? 0) + 1);
    this.#buffers.push(buffer);
    this.pump();
  }

  #gone(read: ActiveRead, error: unknown): void {
    this.#active.delete(read.region);
    this.#options.failed(error);
  }

  /** A region that is written without pause is read in one turn, between two writes. */
  #readNow(region: number, range: ByteRange): void {
    const bytes = Buffer.alloc(range.length);
    try {
      this.#options.file.readNow(bytes, range.offset);
    } catch (error) {
      return this.#options.failed(error);
    }
    this.#insert({ ...range, region, overlapped: false }, bytes);
  }

  /** Without memory the region just stays to be read. */
  #insert(read: ActiveRead, bytes: Buffer): void {
    const { stream } = this.#options;
    if (!this.#running || !stream.makeRoom(bytes.byteLength)) return;
    stream.appendBytes({ kind: 'resync-write', offset: read.offset }, [bytes]);
    this.#overlaps.delete(read.region);
    this.#finish(read);
  }

  #finish(range: ByteRange): void {
    const { ledger, regionBytes, stream } = this.#options;
    ledger.touch(range, stream.openSequence);
    for (let region = range.offset / regionBytes; region * regionBytes < range.offset + range.length; region++) ledger.toResync.delete(region);
    this.#doneBytes += range.length;
  }
}
