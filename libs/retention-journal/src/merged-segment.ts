// SPDX-License-Identifier: Apache-2.0
// A merged segment: one file that replaces neighbouring segments of the chain and holds, between two kept points, per byte only the oldest undo.
// Invariants: it is written whole under another name, synced and renamed, so a file of its name is complete; it never changes.
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import type { FileRange } from './journal-damage';
import { damaged } from './journal-failures';
import { ReusedMemory } from './journal-memory';
import { CHUNK_BYTES, chunkIsWhole, decodeMergedHeader, type DecodedMergedHeader, MERGED_HEADER_BYTES, mergedName } from './merged-format';
import type { DataBlock, StoredSegment } from './stored-segment';
import type { TimelineRecord } from './timeline';
import type { JournalPosition, UndoEntries } from './undo-entries';
import { readableAt, type VerifiedPiece } from './verify-records';

export class MergedSegment implements StoredSegment {
  readonly merged = true;
  readonly cold = false;
  readonly coldBytes = 0;
  readonly sealed = true;
  readonly address: JournalPosition;
  readonly file: StorageFile;
  readonly timeline: TimelineRecord;
  readonly #header: DecodedMergedHeader;

  private constructor(parts: { readonly file: StorageFile; readonly header: DecodedMergedHeader; readonly timeline: TimelineRecord; readonly address: JournalPosition }) {
    this.file = parts.file;
    this.timeline = parts.timeline;
    this.address = parts.address;
    this.#header = parts.header;
  }

  /** Undefined when header or timeline are not as written. `address`: see StoredSegment. */
  static async open(directory: StorageDirectory, { name, address }: { readonly name: string; readonly address: JournalPosition }): Promise<MergedSegment | undefined> {
    const file = await directory.open(name);
    const header = decodeMergedHeader(await bytesAt(file, { at: 0, bytes: MERGED_HEADER_BYTES }));
    const named = header !== undefined && mergedName(header) === name && file.size() >= header.places.fileBytes;
    const timeline = named ? header.timeline(await bytesAt(file, header.places.timeline)) : undefined;
    if (header && timeline) return new MergedSegment({ file, header, timeline, address });
    await file.close();
    return undefined;
  }

  get base(): JournalPosition {
    return this.#header.base;
  }

  get end(): JournalPosition {
    return this.#header.end;
  }

  get names(): readonly string[] {
    return [mergedName(this.#header)];
  }

  get lastTime(): TimeMicros {
    return this.timeline.end.lastTime;
  }

  get storedBytes(): ByteCount {
    return this.#header.places.fileBytes;
  }

  get dataBytes(): ByteCount {
    return this.#header.places.fileBytes;
  }

  get entryCount(): number {
    return this.#header.entryCount;
  }

  async loadEntries(_directory: StorageDirectory, memory = new ReusedMemory()): Promise<UndoEntries> {
    const entries = this.#header.entries(await bytesAt(this.file, this.#header.places.entries, memory));
    if (!entries) throw damaged(this.file.name);
    entries.shiftPositions(this.address);
    return entries;
  }

  async *blocks(memory = new ReusedMemory()): AsyncGenerator<DataBlock> {
    const { dataBytes, places } = this.#header;
    const checksums = this.#header.chunkChecksums(await bytesAt(this.file, places.checksums));
    if (!checksums) throw damaged(this.file.name);
    for (let at = 0; at < dataBytes; at += CHUNK_BYTES) {
      const data = await bytesAt(this.file, { at: MERGED_HEADER_BYTES + at, bytes: Math.min(CHUNK_BYTES, dataBytes - at) }, memory);
      if (!chunkIsWhole(data, { checksums, index: at / CHUNK_BYTES })) throw damaged(this.file.name);
      yield { position: this.address + MERGED_HEADER_BYTES + at, data };
    }
  }

  /** Data by chunk, then what stands behind it as a whole. */
  async *verify(_directory: StorageDirectory, memory = new ReusedMemory()): AsyncGenerator<VerifiedPiece> {
    const { dataBytes, places } = this.#header;
    const checksums = this.#header.chunkChecksums(await readableAt(this.file, rangeOf(places.checksums)));
    for (let at = 0; checksums && at < dataBytes; at += CHUNK_BYTES) {
      const chunk = { at: MERGED_HEADER_BYTES + at, bytes: Math.min(CHUNK_BYTES, dataBytes - at) };
      const isWhole = chunkIsWhole(await readableAt(this.file, rangeOf(chunk), memory), { checksums, index: at / CHUNK_BYTES });
      yield { bytes: chunk.bytes, ...(isWhole ? {} : { damaged: { at: chunk.at, length: chunk.bytes } }) };
    }
    const header = decodeMergedHeader(await readableAt(this.file, { at: 0, length: MERGED_HEADER_BYTES }));
    const entries = this.#header.entries(await readableAt(this.file, rangeOf(places.entries)));
    const timeline = this.#header.timeline(await readableAt(this.file, rangeOf(places.timeline)));
    const bytes = places.fileBytes - places.checksums.at;
    yield { bytes, ...(checksums && header && entries && timeline ? {} : { damaged: { at: places.checksums.at, length: bytes } }) };
  }
}

function rangeOf({ at, bytes }: { readonly at: number; readonly bytes: ByteCount }): FileRange {
  return { at, length: bytes };
}

async function bytesAt(file: StorageFile, { at, bytes }: { readonly at: number; readonly bytes: ByteCount }, memory = new ReusedMemory()): Promise<Uint8Array> {
  const into = memory.take(bytes);
  return into.subarray(0, await file.read(into, at));
}
