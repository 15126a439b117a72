// SPDX-License-Identifier: Apache-2.0
// A sealed segment, merged or not, whose data file lies in the cold store; what opening a journal or a view needs is in a file here. Invariants: the
// file gets its name only when the objects are confirmed and all of it is durable, so a file of its name is complete; it never changes.
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import { allEnded } from './all-ended';
import type { BlockPlace } from './cold-blocks';
import {
  blockCount, COLD_BLOCK_BYTES, COLD_HEADER_BYTES, COLD_OBJECT_BLOCKS, COLD_ROW_BYTES, type ColdFacts, type ColdPlace, coldName, coldNameOf, decodeColdHeader, decodeRows,
  type DecodedColdHeader, objectName,
} from './cold-format';
import type { ColdTier } from './cold-tier';
import { coldStoreMissing, damaged } from './journal-failures';
import type { DataBlock, SegmentFile, StoredSegment } from './stored-segment';
import type { TimelineRecord } from './timeline';
import type { JournalPosition, UndoEntries } from './undo-entries';
import type { VerifiedPiece } from './verify-records';

interface ColdSegmentParts {
  readonly directory: StorageDirectory;
  readonly name: string;
  readonly address: JournalPosition;
  /** Undefined: nothing can be read. */
  readonly tier: ColdTier | undefined;
}

export class ColdSegment implements StoredSegment, SegmentFile {
  readonly sealed = true;
  readonly cold = true;
  readonly name: string;
  readonly address: JournalPosition;
  readonly timeline: TimelineRecord;
  readonly #directory: StorageDirectory;
  readonly #tier: ColdTier | undefined;
  readonly #header: DecodedColdHeader;
  readonly #objects: string;

  private constructor({ directory, name, address, tier }: ColdSegmentParts, { header, facts }: { readonly header: DecodedColdHeader; readonly facts: ColdFacts }) {
    this.#directory = directory;
    this.name = name;
    this.address = address;
    this.#tier = tier;
    this.#header = header;
    this.#objects = facts.objects;
    this.timeline = facts.timeline;
  }

  /** Undefined when header or timeline are not as written. Reads nothing of the cold store. `address`: see StoredSegment. */
  static async open(parts: ColdSegmentParts): Promise<ColdSegment | undefined> {
    const { directory, name } = parts;
    const token = coldNameOf(name)?.token;
    return using(directory, name, async (file) => {
      const header = decodeColdHeader(await bytesOf(file, { at: 0, bytes: COLD_HEADER_BYTES }));
      if (!header || token === undefined || coldName({ ...header, token }) !== name || file.size() < header.places.fileBytes) return undefined;
      const facts = header.facts(await bytesOf(file, header.places.facts));
      return facts && new ColdSegment(parts, { header, facts });
    });
  }

  /** Itself: bytes of the data file are read from the cold store. */
  get file(): SegmentFile {
    return this;
  }

  get base(): JournalPosition {
    return this.#header.base;
  }

  get end(): JournalPosition {
    return this.#header.end;
  }

  get merged(): boolean {
    return this.#header.merged;
  }

  get names(): readonly string[] {
    return [this.name];
  }

  get lastTime(): TimeMicros {
    return this.timeline.end.lastTime;
  }

  get storedBytes(): ByteCount {
    return this.#header.places.fileBytes;
  }

  get coldBytes(): ByteCount {
    return this.#header.objectBytes;
  }

  get dataBytes(): ByteCount {
    return this.#header.dataBytes;
  }

  get entryCount(): number {
    return this.#header.entryCount;
  }

  async loadEntries(): Promise<UndoEntries> {
    const entries = this.#header.entries(await this.#bytesAt(this.#header.places.entries));
    if (!entries) throw damaged(this.name);
    entries.shiftPositions(this.address);
    return entries;
  }

  async *blocks(): AsyncGenerator<DataBlock> {
    for (let index = 0; index < blockCount(this.dataBytes); index++) {
      yield { position: this.address + index * COLD_BLOCK_BYTES, data: await this.#block(index) };
    }
  }

  /** Nothing: each block is checked when it is read, and to read them all would be paid for. */
  async *verify(): AsyncGenerator<VerifiedPiece> {}

  /** Bytes of the data file, checked. Fails as ColdBlocks says. */
  async read(into: Uint8Array, offset: number): Promise<ByteCount> {
    const end = Math.min(offset + into.length, this.dataBytes);
    const reads: Promise<void>[] = [];
    for (let at = offset; at < end; ) {
      const index = Math.floor(at / COLD_BLOCK_BYTES);
      const until = Math.min(end, (index + 1) * COLD_BLOCK_BYTES);
      const [target, from] = [into.subarray(at - offset, until - offset), at - index * COLD_BLOCK_BYTES];
      reads.push(this.#block(index).then((block) => target.set(block.subarray(from, from + target.length))));
      at = until;
    }
    await allEnded(reads);
    return Math.max(0, end - offset);
  }

  /** No file of it is kept open. */
  async close(): Promise<void> {}

  #block(index: number): Promise<Uint8Array> {
    if (!this.#tier) return Promise.reject(coldStoreMissing(this.name));
    return this.#tier.blocks.block(`${this.name}/${index}`, () => this.#placeOf(index));
  }

  /** By the rows of the blocks before it in the same object. */
  async #placeOf(index: number): Promise<BlockPlace> {
    const first = index - (index % COLD_OBJECT_BLOCKS);
    const place = { at: this.#header.places.rows.at + first * COLD_ROW_BYTES, bytes: (index - first + 1) * COLD_ROW_BYTES };
    const rows = decodeRows(await this.#bytesAt(place));
    const row = rows[index - first];
    if (!row) throw damaged(this.name);
    return {
      object: objectName(this.#objects, first / COLD_OBJECT_BLOCKS),
      offset: rows.slice(0, -1).reduce((sum, { storedBytes }) => sum + storedBytes, 0),
      bytes: Math.min(COLD_BLOCK_BYTES, this.dataBytes - index * COLD_BLOCK_BYTES),
      ...row,
    };
  }

  #bytesAt(place: ColdPlace): Promise<Uint8Array> {
    return using(this.#directory, this.name, (file) => bytesOf(file, place));
  }
}

async function using<Result>(directory: StorageDirectory, name: string, use: (file: StorageFile) => Promise<Result>): Promise<Result> {
  const file = await directory.open(name);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function bytesOf(file: StorageFile, { at, bytes }: ColdPlace): Promise<Uint8Array> {
  const into = new Uint8Array(bytes);
  return into.subarray(0, await file.read(into, at));
}
