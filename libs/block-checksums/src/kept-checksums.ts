// SPDX-License-Identifier: Apache-2.0
// Checksums of blocks that need not be computed again as long as nothing is written there, over restarts and power cuts. Invariants: a block is
// known only while its content is what the kept checksum is of; what is trusted after a start was unchanged since it was kept, because before
// a region with trusted checksums is written it is marked stale on stable storage, and its mark goes only after content and checksums are there.
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import type { ByteCount } from '@secondsite/units';
import { type ByteRange, RegionSet, WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import { BlockLayout, CHECKSUM_BYTES } from './block-layout';

/** Part of the name under which the marks are kept: those of another version mean nothing here. */
const VERSION = 'checksums-1';

export interface KeptChecksumsOptions {
  readonly directory: StorageDirectory;
  /** Of the files `<name>.checksums` and `<name>.stale`. */
  readonly name: string;
  readonly pairId: string;
  /**
   * A volume that grew since the files were written: nothing is known of its old last region and of the new part. When it grows while they are
   * open, its last block has to be named to `changing` before; of the new part nothing is known until they are opened again.
   */
  readonly volumeBytes: ByteCount;
  readonly layout?: BlockLayout | undefined;
}

/** False: in this place there are only zeros, which stand for a checksum that is not known. */
export function isSet(checksums: Buffer, index: number): boolean {
  const at = index * CHECKSUM_BYTES;
  return (checksums.readUInt32LE(at) | checksums.readUInt32LE(at + 4) | checksums.readUInt32LE(at + 8) | checksums.readUInt32LE(at + 12)) !== 0;
}

/** Blocks whose content is being read; what changes meanwhile is not kept. */
export interface Keeping extends ByteRange {
  readonly changed: Set<number>;
}

/** Computed, not written down yet. */
interface Kept extends Keeping {
  readonly checksums: Uint8Array;
}

/** Of so many chunks checksums are written down together. */
const WRITTEN_AT_ONCE = 256;
/** While the disk does not take them no more wait than of so many chunks. */
const UNWRITTEN_MAX = 1024;

export class KeptChecksums {
  readonly #layout: BlockLayout;
  readonly #file: StorageFile;
  /** Marked: the region's checksums in the file must not be trusted after a restart. */
  readonly #stale: WriteIntentBitmap;
  /** Blocks whose checksum in the file is right now. */
  readonly #known: RegionSet;
  readonly #keeping = new Set<Keeping>();
  /** Kept, and not in the file yet, the oldest first; of these `#batch` is not being written either. */
  readonly #unwritten = new Set<Kept>();
  #batch: Kept[] = [];
  #writing: Promise<void> = Promise.resolve();
  /** Regions wholly known and still marked stale. */
  #toTrust = new Set<number>();
  /** Of these content and checksums are being made durable. */
  #trusting = new Set<number>();
  #flushing: Promise<void> | undefined;

  private constructor(parts: { readonly file: StorageFile; readonly stale: WriteIntentBitmap; readonly volumeBytes: ByteCount; readonly layout: BlockLayout }) {
    this.#layout = parts.layout;
    this.#file = parts.file;
    this.#stale = parts.stale;
    this.#known = new RegionSet(parts.layout.blockCountOf(parts.volumeBytes));
    for (let region = 0; region < this.#stale.regionCount; region++) if (!this.#stale.isMarked(region)) this.#known.addRange(this.#blocksOf(region));
  }

  /** Opens or makes the files. What is known on return is true of a content that nobody changed without `changing`. */
  static async open({ directory, name, pairId, volumeBytes, layout = BlockLayout.standard }: KeptChecksumsOptions): Promise<KeptChecksums> {
    const file = await directory.open(`${name}.checksums`, { create: true });
    const stale = await WriteIntentBitmap.open({ directory, name: `${name}.stale`, volumeId: `${VERSION} ${pairId}`, volumeBytes, regionBytesMin: layout.chunkBytes });
    return new KeptChecksums({ file, stale, volumeBytes, layout });
  }

  /** How many blocks are known. */
  get knownBlocks(): number {
    return this.#known.size;
  }

  /**
   * Before a change of the range: `undefined` when it may happen in this turn, else wait and ask again. Rejects with the storage's
   * OperationError.
   */
  changing({ offset, length }: ByteRange): undefined | Promise<void> {
    const { blockBytes } = this.#layout;
    const [first, last] = [Math.floor(offset / blockBytes), Math.floor((offset + length - 1) / blockBytes)];
    for (const keeping of this.#keeping) this.#noteChanged(keeping, { first, last });
    const end = Math.min(offset + length, this.#known.regionCount * blockBytes);
    if (offset >= end) return undefined;
    const range = { offset, length: end - offset };
    for (let block = first; block * blockBytes < end; block++) this.#known.delete(block);
    const regions = this.#stale.regionsOf(range);
    for (let region = regions.first; region <= regions.last; region++) {
      this.#toTrust.delete(region);
      this.#trusting.delete(region);
    }
    return this.#stale.mark(range);
  }

  /** The known checksums of the blocks of a range, undefined for the others; true at some moment of the call. */
  async lookUp(range: ByteRange): Promise<(Buffer | undefined)[]> {
    const known = await this.known(range);
    return Array.from({ length: known.length / CHECKSUM_BYTES }, (_, index) =>
      isSet(known, index) ? known.subarray(index * CHECKSUM_BYTES, (index + 1) * CHECKSUM_BYTES) : undefined);
  }

  /** The same in one piece, one after another: see `isSet`. For long ranges. */
  async known({ offset, length }: ByteRange): Promise<Buffer> {
    const first = offset / this.#layout.blockBytes;
    const count = this.#layout.blockCountOf(length);
    const unknown: number[] = [];
    for (let index = 0; index < count; index++) if (!this.#isKnown(first + index)) unknown.push(index);
    const checksums = Buffer.alloc(count * CHECKSUM_BYTES);
    const unwritten = this.#unwrittenOf({ first, last: first + count - 1 });
    if (unknown.length < count) {
      await this.#file.read(checksums, first * CHECKSUM_BYTES);
      for (const index of unknown) checksums.fill(0, index * CHECKSUM_BYTES, (index + 1) * CHECKSUM_BYTES);
    }
    for (const { block, checksum } of unwritten) checksums.set(checksum, (block - first) * CHECKSUM_BYTES);
    return checksums;
  }

  /** Before the content of whole blocks is read, which is to be kept. Ends with `keep` or `forget`. */
  begin({ offset, length }: ByteRange): Keeping {
    const keeping = { offset, length, changed: new Set<number>() };
    this.#keeping.add(keeping);
    return keeping;
  }

  /**
   * Keeps what was computed of the content read since `begin`: known at once, from memory until it is written down, which is soon or with the next
   * `flush`. `checksums` must not change any more. What cannot be written down is computed again when it is needed.
   */
  keep(keeping: Keeping, checksums: Uint8Array): void {
    this.forget(keeping);
    if (this.#unwritten.size >= UNWRITTEN_MAX) return;
    const kept = { ...keeping, checksums };
    this.#keeping.add(kept);
    this.#unwritten.add(kept);
    this.#batch.push(kept);
    if (this.#batch.length >= WRITTEN_AT_ONCE) void this.#writeDown(() => this.#toTrust);
  }

  forget(keeping: Keeping): void {
    this.#keeping.delete(keeping);
  }

  /**
   * Makes what is known of whole regions outlast a restart; `syncContent` makes the content durable that was written before its call. One
   * at a time: a call while another is under way waits for that. Rejects with the storage's OperationError.
   */
  async flush(syncContent: () => Promise<void>): Promise<void> {
    if (!this.#flushing && this.#toTrust.size === 0 && this.#batch.length === 0) return;
    this.#flushing ??= this.#flush(syncContent).finally(() => (this.#flushing = undefined));
    await this.#flushing;
  }

  /** Flushes unless `syncContent` is undefined, and closes the files. Nothing is written or asked any more. */
  async close(syncContent: (() => Promise<void>) | undefined): Promise<void> {
    await this.#writing;
    if (syncContent) for (let flush = 0; flush < 2; flush++) await this.flush(syncContent); // One may be under way.
    await this.#stale.close({ clean: false });
    await this.#file.close();
  }

  async #flush(syncContent: () => Promise<void>): Promise<void> {
    [this.#trusting, this.#toTrust] = [this.#toTrust, new Set()];
    const written = this.#writeDown(() => this.#trusting);
    await Promise.all([syncContent(), written]);
    await this.#file.sync();
    // What was changed since then has left the set, also when it was kept again.
    for (const region of this.#trusting) this.#stale.clear(region);
    this.#trusting = new Set();
    await this.#stale.flush();
  }

  /** One batch after the other, since a block may be in two of them. Regions that are wholly known by it go to `toTrust`. Never rejects. */
  #writeDown(toTrust: () => Set<number>): Promise<void> {
    const batch = this.#batch.splice(0);
    this.#writing = this.#writing.then(async () => {
      for (const run of this.#inRows(batch)) await this.#writeRun(run, toTrust);
    });
    return this.#writing;
  }

  async #writeRun(run: readonly Kept[], toTrust: () => Set<number>): Promise<void> {
    try {
      await this.#file.write(run.map(({ checksums }) => checksums), this.#firstBlock(run[0] as Kept) * CHECKSUM_BYTES);
      for (const kept of run) this.#learn(kept, toTrust());
    } catch {
      // Nothing of it is known.
    } finally {
      for (const kept of run) {
        this.#keeping.delete(kept);
        this.#unwritten.delete(kept);
      }
    }
  }

  /** What is known of these blocks besides the file. */
  #unwrittenOf({ first, last }: { readonly first: number; readonly last: number }): { readonly block: number; readonly checksum: Uint8Array }[] {
    const found: { block: number; checksum: Uint8Array }[] = [];
    for (const kept of this.#unwritten) {
      const start = this.#firstBlock(kept);
      const end = Math.min(last + 1, start + this.#layout.blockCountOf(kept.length), this.#known.regionCount);
      for (let block = Math.max(first, start); block < end; block++) {
        const at = (block - start) * CHECKSUM_BYTES;
        if (!kept.changed.has(block)) found.push({ block, checksum: kept.checksums.subarray(at, at + CHECKSUM_BYTES) });
      }
    }
    return found;
  }

  #learn(kept: Kept, toTrust: Set<number>): void {
    const first = this.#firstBlock(kept);
    const end = Math.min(first + this.#layout.blockCountOf(kept.length), this.#known.regionCount);
    if (kept.changed.size === 0) this.#known.addRange({ first, end });
    else for (let block = first; block < end; block++) if (!kept.changed.has(block)) this.#known.add(block);
    const regions = this.#stale.regionsOf(kept);
    const last = Math.min(regions.last, this.#stale.regionCount - 1);
    for (let region = regions.first; region <= last; region++) if (this.#stale.isMarked(region) && this.#known.hasRange(this.#blocksOf(region))) toTrust.add(region);
  }

  /** Those that follow each other on the disk together, whatever order they were computed in; where two have the same block, in that order. */
  #inRows(batch: readonly Kept[]): Kept[][] {
    const rows: Kept[][] = [];
    let next = -1;
    const ascending = batch.toSorted((one, other) => one.offset - other.offset);
    const overlap = ascending.some(({ offset, length }, index) => offset + length > (ascending[index + 1]?.offset ?? Infinity));
    for (const kept of overlap ? batch : ascending) {
      if (this.#firstBlock(kept) === next) rows.at(-1)?.push(kept);
      else rows.push([kept]);
      next = this.#firstBlock(kept) + this.#layout.blockCountOf(kept.length);
    }
    return rows;
  }

  #firstBlock({ offset }: Keeping): number {
    return offset / this.#layout.blockBytes;
  }

  #isKnown(block: number): boolean {
    return block < this.#known.regionCount && this.#known.has(block);
  }

  #blocksOf(region: number): { readonly first: number; readonly end: number } {
    const blocks = this.#stale.regionBytes / this.#layout.blockBytes;
    return { first: region * blocks, end: Math.min((region + 1) * blocks, this.#known.regionCount) };
  }

  #noteChanged({ offset, length, changed }: Keeping, { first, last }: { readonly first: number; readonly last: number }): void {
    const start = offset / this.#layout.blockBytes;
    const end = Math.min(last + 1, start + this.#layout.blockCountOf(length));
    for (let block = Math.max(first, start); block < end; block++) changed.add(block);
  }
}
