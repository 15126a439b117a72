// SPDX-License-Identifier: Apache-2.0
// Reads the disk as of an instant without a lock. Apply, on the same thread, adds a block to the map before it begins to overwrite it. So what the
// map does not cover is as it was for as long as this thread does nothing else (`readNow`). A read that waits (`read`) reads the replica *first*, then
// looks into the map, then overlays: whatever the replica read may have caught, the map knows by then.
import type { StorageFile } from '@secondsite/durable-storage';
import type { ByteCount, ByteOffset } from '@secondsite/units';
import { allEnded } from './all-ended';
import { LOST, UNCOVERED, ZEROS } from './extent-map';
import { bytesLost } from './journal-failures';
import type { RetentionJournal } from './retention-journal';
import type { OldContent } from './undo-builder';
import type { ViewMap } from './view-map';

/** A run of a view; `hole`: reads as zeros and nothing is stored for it. */
export interface ViewExtent {
  readonly length: ByteCount;
  readonly hole: boolean;
}

export class ViewReader {
  readonly #journal: RetentionJournal;
  readonly #replica: StorageFile;
  readonly #lostIn: OldContent['lostIn'];
  readonly map: ViewMap;
  /** Of the read under way: start, end and value of each piece, and whether one is uncovered. */
  readonly #pieces: number[] = [];
  #uncovered = false;
  readonly #notePiece = (start: ByteOffset, end: ByteOffset, value: number): void => {
    this.#pieces.push(start, end, value);
    this.#uncovered ||= value === UNCOVERED;
  };

  /** `lostIn`: parts of the replica that are known not to hold what was written. */
  constructor({ journal, replica, lostIn, map }: { journal: RetentionJournal; replica: StorageFile; lostIn?: OldContent['lostIn']; map: ViewMap }) {
    this.#journal = journal;
    this.#replica = replica;
    this.#lostIn = lostIn;
    this.map = map;
  }

  /**
   * Fills `into` from `offset`, blocking the thread. False when a part is in the cold store: then only `read` can. Throws `journal/bytes-lost` or
   * `journal/damaged` when some of it is not known.
   */
  readNow(into: Uint8Array, offset: ByteOffset): boolean {
    this.#assertReplicaHolds(offset, into.length);
    const pieces = this.#pieces;
    pieces.length = 0;
    this.#uncovered = false;
    this.map.visit(offset, offset + into.length, this.#notePiece);
    if (this.#uncovered) zeroRest(into, this.#replica.readNow(into, offset));
    for (let piece = 0; piece < pieces.length; piece += 3) {
      const [start, end, value] = [pieces[piece] as number, pieces[piece + 1] as number, pieces[piece + 2] as number];
      if (value === UNCOVERED) continue;
      if (value === LOST) throw bytesLost({ offset: start, length: end - start });
      const target = into.subarray(start - offset, end - offset);
      if (value === ZEROS) target.fill(0);
      else if (!this.#journal.readUndoNow(target, value)) return false;
    }
    return true;
  }

  /** The same through the thread pool, and from the cold store; rejects when that cannot be reached or gives other bytes than it got. `into` must not be used until it settles. */
  async read(into: Uint8Array, offset: ByteOffset): Promise<void> {
    this.#assertReplicaHolds(offset, into.length);
    zeroRest(into, await this.#replica.read(into, offset));
    const reads: Promise<void>[] = [];
    this.map.visit(offset, offset + into.length, (start, end, value) => {
      const target = into.subarray(start - offset, end - offset);
      if (value === LOST) reads.push(Promise.reject(bytesLost({ offset: start, length: end - start })));
      else if (value === ZEROS) target.fill(0);
      else if (value !== UNCOVERED) reads.push(this.#journal.readUndo(target, value));
    });
    await allEnded(reads);
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

  /** Before the replica is read: what is damaged now and repaired meanwhile may have been read before that. */
  #assertReplicaHolds(offset: ByteOffset, length: ByteCount): void {
    for (const lost of this.#lostIn?.(offset, offset + length) ?? []) {
      this.map.visit(lost.offset, lost.offset + lost.length, (start, end, value) => {
        if (value === UNCOVERED) throw bytesLost({ offset: start, length: end - start });
      });
    }
  }
}

/** The replica may end inside the last sector of a volume; what is past its end reads as zeros. */
function zeroRest(into: Uint8Array, read: ByteCount): void {
  if (read < into.length) into.fill(0, read);
}
