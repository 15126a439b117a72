// SPDX-License-Identifier: Apache-2.0
// One segment file of the journal and its index. Invariants: a sealed segment never changes, unless the disk changed what can be made again; only the newest may have a torn tail; sets do
// not cross segments. Opening and the torn-write rule: FORMAT.md.
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import { damaged } from './journal-failures';
import { ReusedMemory } from './journal-memory';
import { positionName } from './merged-format';
import { decodeIndexHeader, encodeIndex, INDEX_HEADER_BYTES } from './segment-index';
import { readDataBlocks, scanRecords } from './scan-records';
import type { DataBlock, StoredSegment } from './stored-segment';
import type { SetFacts, StreamState } from './stream-state';
import { Timeline, type TimelineRecord } from './timeline';
import { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER_BYTES } from './undo-record';
import { type JournalPosition, UNDO_ENTRY_BYTES, UndoEntries } from './undo-entries';
import { readableAt, type VerifiedPiece, verifyRecords } from './verify-records';

export function segmentName(base: JournalPosition, kind: 'undo' | 'index'): string {
  return `${positionName(base)}.${kind}`;
}

/** Base of a segment or index file by its name; undefined for other files. */
export function baseOfName(name: string, kind: 'undo' | 'index'): JournalPosition | undefined {
  const match = /^([0-9a-f]{14})\.(undo|index)$/.exec(name);
  return match && match[2] === kind ? parseInt(match[1] as string, 16) : undefined;
}

export class JournalSegment implements StoredSegment {
  readonly merged = false;
  readonly cold = false;
  readonly coldBytes = 0;
  readonly base: JournalPosition;
  readonly file: StorageFile;
  #bytes: ByteCount;
  #indexBytes: ByteCount = 0;
  /** Columns of the open segment; a sealed one has them in its index file. */
  #entries: UndoEntries | undefined;
  #sealedEntries: number;
  #timeline: TimelineRecord;

  private constructor(parts: { base: number; file: StorageFile; bytes: number; timeline: TimelineRecord; entries?: UndoEntries; indexBytes?: number; sealedEntries?: number }) {
    this.base = parts.base;
    this.file = parts.file;
    this.#bytes = parts.bytes;
    this.#timeline = parts.timeline;
    this.#entries = parts.entries;
    this.#indexBytes = parts.indexBytes ?? 0;
    this.#sealedEntries = parts.sealedEntries ?? 0;
  }

  /** Makes a new, empty segment; its header and name are durable on return. */
  static async create(directory: StorageDirectory, { base, start }: { base: JournalPosition; start: StreamState }): Promise<JournalSegment> {
    const file = await directory.open(segmentName(base, 'undo'), { create: true });
    await file.truncate(0);
    file.writeNow(encodeSegmentHeader({ base, start }), 0);
    await file.sync();
    await directory.sync();
    return new JournalSegment({ base, file, bytes: SEGMENT_HEADER_BYTES, timeline: new Timeline(start), entries: new UndoEntries() });
  }

  /** Opens one by its index, or by scanning it. Undefined when its header is not whole. A torn tail is not cut yet (see `cutTail`). */
  static async open(directory: StorageDirectory, base: JournalPosition): Promise<JournalSegment | undefined> {
    const file = await directory.open(segmentName(base, 'undo'));
    const headerBytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    const header = file.readNow(headerBytes, 0) === SEGMENT_HEADER_BYTES ? decodeSegmentHeader(headerBytes) : undefined;
    if (!header || header.base !== base) {
      await file.close();
      return undefined;
    }
    const indexed = await readTimeline(directory, base);
    if (indexed && indexed.segmentBytes <= file.size()) {
      return new JournalSegment({ base, file, bytes: indexed.segmentBytes, ...indexed });
    }
    const scanned = scanRecords(file, header);
    return new JournalSegment({ base, file, ...scanned });
  }

  /** Positions in the chain are the addresses. */
  get address(): JournalPosition {
    return this.base;
  }

  get names(): readonly string[] {
    return [segmentName(this.base, 'undo'), segmentName(this.base, 'index')];
  }

  get sealed(): boolean {
    return this.#entries === undefined;
  }

  /** Bytes of whole sets, header included: where the next record goes. */
  get bytes(): ByteCount {
    return this.#bytes;
  }

  get dataBytes(): ByteCount {
    return this.#bytes;
  }

  get end(): JournalPosition {
    return this.base + this.#bytes;
  }

  /** Bytes on disk, index included. */
  get storedBytes(): ByteCount {
    return this.#bytes + this.#indexBytes;
  }

  get timeline(): TimelineRecord {
    return this.#timeline;
  }

  get lastTime(): TimeMicros {
    return this.#timeline.end.lastTime;
  }

  get entryCount(): number {
    return this.#entries?.count ?? this.#sealedEntries;
  }

  /**
   * Removes what a crash left behind the last whole set. On return the file is durable as it is: after a crash of the process alone its last
   * records may stand in the page cache only, and the replica is overwritten on their word.
   */
  async cutTail(): Promise<void> {
    if (this.sealed) return;
    if (this.file.size() !== this.#bytes) await this.file.truncate(this.#bytes);
    await this.file.sync();
  }

  /** Counts bytes that were written behind `bytes`. */
  grow(byteCount: ByteCount): void {
    this.#bytes += byteCount;
  }

  /** Forgets bytes behind `bytes`. */
  async shrinkTo(bytes: ByteCount): Promise<void> {
    this.#bytes = bytes;
    await this.file.truncate(bytes);
  }

  /** Takes the entries of durable records into the index-to-be. */
  addEntries(entries: UndoEntries): void {
    this.#entries?.append(entries);
  }

  observe(facts: SetFacts): void {
    (this.#timeline as Timeline).observe(facts);
  }

  /** Writes the index, durable on return; afterwards the segment never changes. All its records must be durable. */
  async seal(directory: StorageDirectory): Promise<void> {
    if (!this.#entries) return;
    await this.file.sync();
    await this.#writeIndex(directory, this.#entries);
    this.#entries = undefined;
    // Undo is seldom read, and new pages for ever more of it cost more than those that are free again.
    this.file.dropCached();
  }

  async #writeIndex(directory: StorageDirectory, entries: UndoEntries): Promise<void> {
    const bytes = encodeIndex({ segmentBytes: this.#bytes, timeline: this.#timeline }, entries);
    const index = await directory.open(segmentName(this.base, 'index'), { create: true });
    await index.truncate(0);
    await index.write([bytes], 0);
    await index.sync();
    await index.close();
    await directory.sync();
    this.#indexBytes = bytes.length;
    this.#sealedEntries = entries.count;
  }

  /** The undo columns so far. Of a sealed segment they are read from the index, and from the records when that is damaged. */
  async loadEntries(directory: StorageDirectory, memory = new ReusedMemory()): Promise<UndoEntries> {
    if (this.#entries) return UndoEntries.decode(this.#entries.encode(memory.take(this.#entries.encodedBytes)), this.#entries.count);
    const indexed = await readEntries(directory, { base: this.base, memory });
    return indexed ?? this.#scanAll();
  }

  /** Throws `journal/damaged` when a record is not whole: without an index, those behind it are not known. */
  #scanAll(): UndoEntries {
    const { bytes, entries } = scanRecords(this.file, { base: this.base, start: this.#timeline.start });
    if (bytes !== this.#bytes) throw damaged(this.file.name);
    return entries;
  }

  blocks(memory?: ReusedMemory): AsyncGenerator<DataBlock> {
    return readDataBlocks(this.file, { base: this.base, bytes: this.#bytes, memory });
  }

  /** Header and index are written again when they are not as they were: the former is known, the latter stands in the records. */
  async *verify(directory: StorageDirectory, memory = new ReusedMemory()): AsyncGenerator<VerifiedPiece> {
    const header = encodeSegmentHeader({ base: this.base, start: this.#timeline.start });
    const found = new Uint8Array(SEGMENT_HEADER_BYTES);
    found.set(await readableAt(this.file, { at: 0, length: SEGMENT_HEADER_BYTES }));
    if (!header.every((byte, at) => byte === found[at])) await this.#mendHeader(header);
    yield { bytes: SEGMENT_HEADER_BYTES };
    yield* verifyRecords(this.file, { base: this.base, bytes: this.#bytes, memory });
    const isIndexed = (await readTimeline(directory, this.base)) && (await readEntries(directory, { base: this.base, memory }));
    yield { bytes: this.#indexBytes, ...(isIndexed || (await this.#mendIndex(directory)) ? {} : { damaged: { at: 0, length: this.#bytes } }) };
  }

  /** False when records are damaged too. */
  async #mendIndex(directory: StorageDirectory): Promise<boolean> {
    const { bytes, entries } = scanRecords(this.file, { base: this.base, start: this.#timeline.start });
    if (bytes === this.#bytes) await this.#writeIndex(directory, entries);
    return bytes === this.#bytes;
  }

  async #mendHeader(header: Uint8Array): Promise<void> {
    await this.file.write([header], 0);
    await this.file.sync();
  }
}

interface IndexedFacts {
  readonly segmentBytes: ByteCount;
  readonly indexBytes: ByteCount;
  readonly sealedEntries: number;
  readonly timeline: TimelineRecord;
}

async function readTimeline(directory: StorageDirectory, base: JournalPosition): Promise<IndexedFacts | undefined> {
  const index = await openIndex(directory, base);
  if (!index) return undefined;
  try {
    const bytes = new Uint8Array(index.header.timelineBytes);
    const whole = index.file.readNow(bytes, INDEX_HEADER_BYTES) === bytes.length;
    const timeline = whole ? index.header.timeline(bytes) : undefined;
    const { segmentBytes, timelineBytes, entryBytes } = index.header;
    const indexBytes = INDEX_HEADER_BYTES + timelineBytes + entryBytes;
    return timeline && index.file.size() >= indexBytes ? { segmentBytes, indexBytes, sealedEntries: entryBytes / UNDO_ENTRY_BYTES, timeline } : undefined;
  } finally {
    await index.file.close();
  }
}

async function readEntries(
  directory: StorageDirectory, { base, memory = new ReusedMemory() }: { readonly base: JournalPosition; readonly memory?: ReusedMemory },
): Promise<UndoEntries | undefined> {
  const index = await openIndex(directory, base);
  if (!index) return undefined;
  try {
    const bytes = memory.take(index.header.entryBytes);
    const read = await index.file.read(bytes, INDEX_HEADER_BYTES + index.header.timelineBytes);
    return read === bytes.length ? index.header.entries(bytes) : undefined;
  } finally {
    await index.file.close();
  }
}

async function openIndex(directory: StorageDirectory, base: JournalPosition) {
  const name = segmentName(base, 'index');
  if (!(await directory.list()).includes(name)) return undefined;
  const file = await directory.open(name);
  const bytes = new Uint8Array(INDEX_HEADER_BYTES);
  const header = file.readNow(bytes, 0) === bytes.length ? decodeIndexHeader(bytes) : undefined;
  if (!header) await file.close();
  return header && { file, header };
}
