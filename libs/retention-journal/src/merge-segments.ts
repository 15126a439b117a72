// SPDX-License-Identifier: Apache-2.0
// Writes one merged segment in place of several: between two kept points, per byte the oldest undo. Works in pieces and gives the thread away
// between them. Invariants: the inputs are not touched; the file gets its name only when all of it is durable. Memory: the columns of the
// inputs' entries (28 bytes each), as much again for the result, and two blocks of data.
import { checksum } from '@secondsite/change-set';
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import { advanced } from './extent-map';
import { ExtentRun } from './extent-run';
import { damaged } from './journal-failures';
import { type JournalMemory, ReusedMemory } from './journal-memory';
import type { MergePlan } from './merge-plan';
import { CHUNK_BYTES, encodeMergedHeader, MERGED_HEADER_BYTES, mergedName, placesOf } from './merged-format';
import { sortedOrder } from './sorted-order';
import type { StoredSegment } from './stored-segment';
import type { TimelineRecord } from './timeline';
import { type JournalPosition, UNDO_LENGTH_MAX, UndoEntries } from './undo-entries';

/** Name of a merged segment that is being written; what is left of it after a crash is removed at opening. */
export const temporaryName = '.merging';

export interface MergeTools {
  readonly directory: StorageDirectory;
  /** Gives the thread to others for a moment. When it rejects the merge is given up and nothing has changed. */
  readonly pause: () => Promise<void>;
  readonly memory?: JournalMemory | undefined;
}

/** Writes the plan's merged segment, durable on return, and returns its name. The replaced files are still there. */
export async function mergeSegments(plan: MergePlan, tools: MergeTools): Promise<string> {
  const memory = new ReusedMemory(tools.memory);
  try {
    return await mergeIn(memory, plan, tools);
  } finally {
    memory.close();
  }
}

async function mergeIn(memory: ReusedMemory, plan: MergePlan, { directory, pause }: MergeTools): Promise<string> {
  const entries = await oldestPerStretch(plan, { directory, pause, memory });
  const file = await directory.open(temporaryName, { create: true });
  try {
    await file.truncate(0);
    const copied = await copyData(entries, { file, sources: plan.segments, pause, memory });
    await writeRest(file, { plan, entries, ...copied });
    await file.sync();
  } catch (error) {
    await file.close();
    // It takes space, and there may be none; when it cannot be removed now, the next merge or opening does.
    await directory.remove(temporaryName).catch(() => undefined);
    throw error;
  }
  await file.close();
  const name = mergedName(stretchOf(plan));
  await directory.rename(temporaryName, name);
  await directory.sync();
  return name;
}

export function stretchOf({ segments }: MergePlan): { readonly base: JournalPosition; readonly end: JournalPosition } {
  return { base: (segments[0] as StoredSegment).base, end: (segments.at(-1) as StoredSegment).end };
}

/** Undo entries that views of the kept points need, each with the time of the end of its stretch, by offset inside a stretch. */
async function oldestPerStretch({ segments, instants, isOldest }: MergePlan, { directory, pause, memory }: Pick<DataCopy, 'pause' | 'memory'> & Pick<MergeTools, 'directory'>): Promise<UndoEntries> {
  const all = new UndoEntries();
  for (const segment of segments) {
    all.append(await segment.loadEntries(directory, memory));
    await pause();
  }
  const [first, last] = [segments[0] as StoredSegment, segments.at(-1) as StoredSegment];
  let after = isOldest ? (instants[0] ?? last.lastTime) : first.timeline.start.lastTime;
  const entries = new UndoEntries();
  for (const until of [...instants, last.lastTime]) {
    if (until <= after) continue;
    pushRun(entries, ExtentRun.ofEntries(all, { from: all.firstAfter(after), to: all.firstAfter(until) }), until);
    after = until;
    await pause();
  }
  return entries;
}

function pushRun(entries: UndoEntries, run: ExtentRun, time: TimeMicros): void {
  for (let index = 0; index < run.count; index++) {
    const end = run.ends[index] as number;
    const value = run.values[index] as number;
    for (let offset = run.starts[index] as number, position = value; offset < end; ) {
      const length = Math.min(UNDO_LENGTH_MAX, end - offset);
      entries.push({ time, offset, length, position });
      offset += length;
      position = advanced(position, length);
    }
  }
}

interface CopiedData {
  /** Place of each entry's bytes in the file, or what it says instead (ZEROS, LOST). */
  readonly positions: Float64Array;
  readonly checksums: Uint8Array;
  readonly dataBytes: ByteCount;
}

interface DataCopy {
  readonly file: StorageFile;
  readonly sources: readonly StoredSegment[];
  readonly pause: () => Promise<void>;
  readonly memory: ReusedMemory;
}

/** Copies the bytes of the entries in the order in which they stand in their sources, so that both are read and written in sequence. */
async function copyData(entries: UndoEntries, { file, sources, pause, memory }: DataCopy): Promise<CopiedData> {
  const { positions: from, lengths } = entries.columns();
  const order = sortedOrder(from.map((position) => Math.max(0, position))).filter((index) => (from[index] as number) >= 0);
  const positions = from.slice();
  const writer = new ChunkWriter(file);
  let next = 0;
  let done = 0;
  for (const source of [...sources].sort((left, right) => left.address - right.address)) {
    for await (const { position, data } of source.blocks(memory)) {
      while (next < order.length) {
        const index = order[next] as number;
        const start = (from[index] as number) + done - position;
        if (start >= data.length) break;
        if (start < 0) throw damaged(source.file.name);
        const piece = data.subarray(start, start + (lengths[index] as number) - done);
        if (done === 0) positions[index] = writer.at;
        await writer.append(piece);
        done += piece.length;
        if (done < (lengths[index] as number)) break;
        [next, done] = [next + 1, 0];
      }
      await pause();
    }
  }
  if (next < order.length) throw damaged((sources.at(-1) as StoredSegment).file.name);
  return { positions, ...(await writer.finish()) };
}

/** Appends data behind the header in checksummed chunks. */
class ChunkWriter {
  readonly #file: StorageFile;
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  readonly #checksums: Uint8Array[] = [];
  #used = 0;

  constructor(file: StorageFile) {
    this.#file = file;
  }

  /** Where the next byte goes in the file. */
  get at(): number {
    return MERGED_HEADER_BYTES + this.#checksums.length * CHUNK_BYTES + this.#used;
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const piece = bytes.subarray(done, done + CHUNK_BYTES - this.#used);
      this.#chunk.set(piece, this.#used);
      this.#used += piece.length;
      done += piece.length;
      if (this.#used === CHUNK_BYTES) await this.#write();
    }
  }

  async finish(): Promise<{ checksums: Uint8Array; dataBytes: ByteCount }> {
    const dataBytes = this.at - MERGED_HEADER_BYTES;
    if (this.#used > 0) await this.#write();
    return { checksums: Buffer.concat(this.#checksums), dataBytes };
  }

  async #write(): Promise<void> {
    const chunk = this.#chunk.subarray(0, this.#used);
    await this.#file.write([chunk], this.at - this.#used);
    this.#checksums.push(checksum([chunk]));
    this.#used = 0;
  }
}

async function writeRest(file: StorageFile, { plan, entries, positions, checksums, dataBytes }: CopiedData & { plan: MergePlan; entries: UndoEntries }): Promise<void> {
  const placed = new UndoEntries(Math.max(1, entries.count));
  for (let index = 0; index < entries.count; index++) placed.push({ ...entries.at(index), position: positions[index] as number });
  const tail = { checksums, entries: placed.encode(), timeline: Buffer.from(JSON.stringify(timelineOf(plan))) };
  const header = { ...stretchOf(plan), dataBytes, entryCount: placed.count, timelineBytes: tail.timeline.length };
  await file.write([tail.checksums, tail.entries, tail.timeline], placesOf(header).checksums.at);
  await file.write([encodeMergedHeader({ ...header, hasLost: placed.hasLost }, tail)], 0);
}

function timelineOf({ segments, instants }: MergePlan): TimelineRecord {
  const kept = new Set(instants);
  return {
    start: (segments[0] as StoredSegment).timeline.start,
    end: (segments.at(-1) as StoredSegment).timeline.end,
    spans: instants.map((time) => ({ from: time, to: time, gapBefore: 'merged' })),
    bookmarks: segments.flatMap(({ timeline }) => timeline.bookmarks).filter(({ time }) => kept.has(time)),
  };
}
