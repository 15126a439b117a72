// SPDX-License-Identifier: Apache-2.0
import { allEnded, UNCOVERED, type ViewReader, ZEROS } from '@secondsite/retention-journal';
import type { BlockDevice, Completion, Extent, WriteFlags } from '@secondsite/nbd';
import { type ByteCount, type ByteOffset, KIB, OperationError } from '@secondsite/units';
import type { WriteOverlay } from './write-overlay';

/** Up to this length a read blocks the thread: from the page cache that is faster than a trip through the thread pool. */
const BLOCKING_READ_BYTES = 256 * KIB;
const EXTENTS_MAX = 512;

export interface ViewDeviceOptions {
  readonly sizeBytes: ByteCount;
  readonly reader: ViewReader;
  /** Absent: read-only. */
  readonly overlay?: WriteOverlay | undefined;
}

/** The disk as of an instant, for NBD clients; with an overlay they may write, which changes neither replica nor journal. */
export class ViewDevice implements BlockDevice {
  readonly sizeBytes: ByteCount;
  readonly readOnly: boolean;
  readonly #reader: ViewReader;
  readonly #overlay: WriteOverlay | undefined;

  constructor({ sizeBytes, reader, overlay }: ViewDeviceOptions) {
    this.sizeBytes = sizeBytes;
    this.readOnly = overlay === undefined;
    this.#reader = reader;
    this.#overlay = overlay;
  }

  read(into: Uint8Array, offset: ByteOffset): Completion {
    if (this.#overlay) return this.#readOverlaid(into, offset);
    if (into.length > BLOCKING_READ_BYTES || !this.#reader.readNow(into, offset)) return this.#reader.read(into, offset);
    return undefined;
  }

  #readOverlaid(into: Uint8Array, offset: ByteOffset): Completion {
    const later: Promise<void>[] = [];
    this.#overlay?.visit(offset, offset + into.length, (start, end, value) => {
      const target = into.subarray(start - offset, end - offset);
      if (value === ZEROS) target.fill(0);
      else if (value !== UNCOVERED) this.#overlay?.readNow(target, start);
      else if (!this.#reader.readNow(target, start)) later.push(this.#reader.read(target, start));
    });
    return later.length > 0 ? allEnded(later) : undefined;
  }

  write(offset: ByteOffset, parts: readonly Uint8Array[], { fua }: WriteFlags): Completion {
    const overlay = this.#writable();
    overlay.write(offset, parts);
    return fua ? overlay.flush() : undefined;
  }

  zero(offset: ByteOffset, length: ByteCount, { fua }: WriteFlags): Completion {
    const overlay = this.#writable();
    overlay.zero(offset, length);
    return fua ? overlay.flush() : undefined;
  }

  trim(offset: ByteOffset, length: ByteCount, flags: WriteFlags): Completion {
    return this.zero(offset, length, flags);
  }

  flush(): Completion {
    return this.#overlay?.flush();
  }

  allocation(offset: ByteOffset, length: ByteCount): Extent[] {
    const runs: Extent[] = [];
    const add = (run: { length: ByteCount; hole: boolean }): void => {
      if (runs.length < EXTENTS_MAX) runs.push({ length: run.length, hole: run.hole, zero: run.hole });
    };
    const underneath = (start: number, end: number): void => this.#reader.extents({ offset: start, length: end - start, limit: EXTENTS_MAX }).forEach(add);
    if (!this.#overlay) {
      underneath(offset, offset + length);
      return runs;
    }
    let complete = true;
    this.#overlay.visit(offset, offset + length, (start, end, value) => {
      if (!complete) return;
      const covered = runs.reduce((sum, run) => sum + run.length, 0);
      complete = runs.length < EXTENTS_MAX && offset + covered === start;
      if (!complete) return;
      if (value === UNCOVERED) underneath(start, end);
      else add({ length: end - start, hole: value === ZEROS });
    });
    return runs;
  }

  #writable(): WriteOverlay {
    if (this.#overlay) return this.#overlay;
    throw new OperationError({ code: 'storage/read-only', operation: 'write to view', retryable: false, hint: 'Open the view read-write.' });
  }
}
