// SPDX-License-Identifier: Apache-2.0
// What a client wrote to a read-write view: a sparse file with the bytes at their offsets, and a log of the extents that count. Durable on
// flush: first the bytes, then the log; extents that were not flushed are forgotten after a crash. Log layout: FORMAT.md.
import { checksum } from '@secondsite/change-set';
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import { ExtentMap, type PieceVisitor, UNCOVERED, ZEROS } from '@secondsite/retention-journal';
import type { ByteCount, ByteOffset } from '@secondsite/units';

const ENTRY_BYTES = 24;
const DATA = 0;

export interface OverlayNames {
  readonly data: string;
  readonly log: string;
}

export function overlayNames(viewId: string): OverlayNames {
  return { data: `${viewId}.overlay`, log: `${viewId}.extents` };
}

export class WriteOverlay {
  readonly #data: StorageFile;
  readonly #log: StorageFile;
  /** All that counts: data extents have their own offset as value. */
  readonly #map = new ExtentMap();
  #pending = new ExtentMap();
  #logBytes = 0;
  #flushing: Promise<void> = Promise.resolve();

  private constructor(data: StorageFile, log: StorageFile) {
    this.#data = data;
    this.#log = log;
  }

  static async open(directory: StorageDirectory, names: OverlayNames, sizeBytes: ByteCount): Promise<WriteOverlay> {
    const overlay = new WriteOverlay(await directory.open(names.data, { create: true }), await directory.open(names.log, { create: true }));
    if (overlay.#data.size() < sizeBytes) await overlay.#data.truncate(sizeBytes);
    overlay.#readLog();
    await overlay.#log.truncate(overlay.#logBytes);
    await overlay.#log.sync();
    await directory.sync();
    return overlay;
  }

  get extentCount(): number {
    return this.#map.extentCount;
  }

  visit(start: ByteOffset, end: ByteOffset, visitor: PieceVisitor): void {
    this.#map.visit(start, end, visitor);
  }

  readNow(into: Uint8Array, offset: ByteOffset): void {
    into.fill(0, this.#data.readNow(into, offset));
  }

  write(offset: ByteOffset, parts: readonly Uint8Array[]): void {
    let at: number = offset;
    for (const part of parts) {
      this.#data.writeNow(part, at);
      at += part.length;
    }
    this.#map.overwrite(offset, at, offset);
    this.#pending.overwrite(offset, at, DATA);
  }

  zero(offset: ByteOffset, length: ByteCount): void {
    this.#data.punchHole(offset, length);
    this.#map.overwrite(offset, offset + length, ZEROS);
    this.#pending.overwrite(offset, offset + length, ZEROS);
  }

  /** Everything written before the call is durable when it resolves. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#flushOnce());
    return this.#flushing;
  }

  async #flushOnce(): Promise<void> {
    const pending = this.#pending;
    if (pending.extentCount === 0) return;
    this.#pending = new ExtentMap();
    await this.#data.sync();
    const entries: Uint8Array[] = [];
    pending.visit(0, Number.MAX_SAFE_INTEGER, (start, end, value) => {
      if (value !== UNCOVERED) entries.push(encodeEntry({ start, end, zero: value === ZEROS }));
    });
    await this.#log.write([Buffer.concat(entries)], this.#logBytes);
    await this.#log.sync();
    this.#logBytes += entries.length * ENTRY_BYTES;
  }

  #readLog(): void {
    const bytes = Buffer.alloc(this.#log.size());
    this.#log.readNow(bytes, 0);
    for (; this.#logBytes + ENTRY_BYTES <= bytes.length; this.#logBytes += ENTRY_BYTES) {
      const entry = decodeEntry(bytes.subarray(this.#logBytes, this.#logBytes + ENTRY_BYTES));
      if (!entry) return;
      this.#map.overwrite(entry.start, entry.end, entry.zero ? ZEROS : entry.start);
    }
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#data.close();
    await this.#log.close();
  }
}

interface OverlayEntry {
  readonly start: ByteOffset;
  readonly end: ByteOffset;
  readonly zero: boolean;
}

function encodeEntry({ start, end, zero }: OverlayEntry): Uint8Array {
  const bytes = Buffer.alloc(ENTRY_BYTES);
  bytes.writeDoubleLE(start, 0);
  bytes.writeUInt32LE(zero ? 1 : 0, 8);
  bytes.writeDoubleLE(end - start, 12);
  bytes.set(checksum([bytes.subarray(0, 20)]).subarray(0, 4), 20);
  return bytes;
}

function decodeEntry(bytes: Buffer): OverlayEntry | undefined {
  if (!bytes.subarray(20).equals(checksum([bytes.subarray(0, 20)]).subarray(0, 4))) return undefined;
  const start = bytes.readDoubleLE(0);
  return { start, end: start + bytes.readDoubleLE(12), zero: bytes.readUInt32LE(8) === 1 };
}
