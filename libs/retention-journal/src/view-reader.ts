// SPDX-License-Identifier: Apache-2.0
// Reads the disk as of an instant without a lock. Apply, on the same thread, adds a block to the map before it begins to overwrite it. So what the
// map does not cover is as it was for as long as this thread does nothing else (`readNow`). A read that waits (`read`) reads the replica *first*, then
// looks into the map, then overlays: whatever the replica read may have caught, the map knows by then.
import type { StorageFile } from '@secondsite/durable-storage';
import type { ByteCount, ByteOffset } from '@secondsite/units';
import { UNCOVERED, ZEROS } from './extent-map';
import type { RetentionJournal } from './retention-journal';
import type { ViewMap } from './view-map';

/** A run of a view; `hole`: reads as zeros and nothing is stored for it. */
export interface ViewExtent {
  readonly length: ByteCount;
  readonly hole: boolean;
}

export class ViewReader {
  readonly #journal: RetentionJournal;
  readonly #replica: StorageFile;
  readonly map: ViewMap;
  /** Of the read under way: start, end and value of each piece, and whether one is uncovered. */
  readonly #pieces: number[] = [];
  #uncovered = false;
  readonly #notePiece = (start: ByteOffset, end: ByteOffset, value: number): void => {
    this.#pieces.push(start, end, value);
    this.#uncovered ||= value === UNCOVERED;
  };

  constructor({ journal, replica, map }: { journal: RetentionJournal; replica: StorageFile; map: ViewMap }) {
    this.#journal = journal;
    this.#replica = replica;
    this.map = map;
  }

  /** Fills `into` from `offset`, blocking the thread. */
  readNow(into: Uint8Array, offset: ByteOffset): void {
    const pieces = this.#pieces;
    pieces.length = 0;
    this.#uncovered = false;
    this.map.visit(offset, offset + into.length, this.#notePiece);
    if (this.#uncovered) zeroRest(into, this.#replica.readNow(into, offset));
    for (let piece = 0; piece < pieces.length; piece += 3) {
      const value = pieces[piece + 2] as number;
      if (value === UNCOVERED) continue;
      const target = into.subarray((pieces[piece] as number) - offset, (pieces[piece + 1] as number) - offset);
      if (value === ZEROS) target.fill(0);
      else this.#readUndoNow(target, value);
    }
  }

  /** The same through the thread pool. `into` must not be used until it resolves. */
  async read(into: Uint8Array, offset: ByteOffset): Promise<void> {
    zeroRest(into, await this.#replica.read(into, offset));
    const reads: Promise<void>[] = [];
    this.map.visit(offset, offset + into.length, (start, end, value) => {
      const target = into.subarray(start - offset, end - offset);
      if (value === ZEROS) target.fill(0);
      else if (value !== UNCOVERED) reads.push(this.#readUndo(target, value));
    });
    await Promise.all(reads);
  }

  /** Runs from `offset` on, at most `length` bytes and `limit` runs; at least one. */
  extents({ offset, length, limit = 1024 }: { readonly offset: ByteOffset; readonly length: ByteCount; readonly limit?: number }): ViewExtent[] {
    const runs: { length: number; hole: boolean }[] = [];
    const push = (run: ViewExtent): void => {
      const last = runs.at(-1);
      if (last?.hole === run.hole) last.length += run.length;
      else if (runs.length <= limit) runs.push({ ...run });
    };
    this.map.visit(offset, offset + length, (start, end, value) => {
      if (runs.length > limit) return;
      if (value !== UNCOVERED) push({ length: end - start, hole: value === ZEROS });
      else this.#replicaRuns({ start, end, push });
    });
    return runs.slice(0, limit);
  }

  #replicaRuns({ start, end, push }: { start: number; end: number; push: (run: ViewExtent) => void }): void {
    for (let at = start; at < end; ) {
      const data = this.#replica.nextData(at);
      const dataStart = Math.max(at, Math.min(end, data?.offset ?? end));
      if (dataStart > at) push({ length: dataStart - at, hole: true });
      const dataEnd = data ? Math.min(end, data.offset + data.length) : end;
      if (dataEnd > dataStart) push({ length: dataEnd - dataStart, hole: false });
      at = Math.max(dataStart, dataEnd);
    }
  }

  #readUndoNow(target: Uint8Array, position: number): void {
    const { file, offset } = this.#journal.locate(position);
    zeroRest(target, file.readNow(target, offset));
  }

  async #readUndo(target: Uint8Array, position: number): Promise<void> {
    const { file, offset } = this.#journal.locate(position);
    zeroRest(target, await file.read(target, offset));
  }
}

/** The replica may end inside the last sector of a volume; what is past a file's end reads as zeros. */
function zeroRest(into: Uint8Array, read: ByteCount): void {
  if (read < into.length) into.fill(0, read);
}
