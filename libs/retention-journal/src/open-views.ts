// SPDX-License-Identifier: Apache-2.0
// The views that are open. Each holds the segments that have undo later than its instant, and learns of all undo recorded while it is open.
import type { StorageDirectory } from '@secondsite/durable-storage';
import type { TimeMicros } from '@secondsite/units';
import { type JournalMemory, ReusedMemory } from './journal-memory';
import type { SegmentFiles } from './segment-files';
import type { StoredSegment } from './stored-segment';
import type { UndoEntries } from './undo-entries';
import { ViewMap } from './view-map';

export class OpenViews {
  readonly #directory: StorageDirectory;
  readonly #files: SegmentFiles;
  readonly #memory: JournalMemory | undefined;
  readonly #views = new Set<ViewMap>();

  constructor({ directory, files, memory }: { readonly directory: StorageDirectory; readonly files: SegmentFiles; readonly memory: JournalMemory | undefined }) {
    this.#directory = directory;
    this.#files = files;
    this.#memory = memory;
  }

  get count(): number {
    return this.#views.size;
  }

  get pointTimes(): TimeMicros[] {
    return [...this.#views].map(({ pointTime }) => pointTime);
  }

  /** Those that need undo of the segment. */
  holdersOf(segment: StoredSegment): ViewMap[] {
    return [...this.#views].filter(({ pointTime }) => segment.lastTime > pointTime);
  }

  /** `needed`: all segments with undo later than the instant, and the newest; oldest first. A view that could not be opened holds nothing. */
  async open(pointTime: TimeMicros, needed: readonly StoredSegment[]): Promise<ViewMap> {
    const view = new ViewMap(pointTime, this.#memory);
    try {
      await this.#load(view, needed);
      return view;
    } catch (error) {
      this.close(view);
      throw error;
    }
  }

  async #load(view: ViewMap, needed: readonly StoredSegment[]): Promise<void> {
    const newest = needed.at(-1) as StoredSegment;
    const [ofNewest, ofOthers] = [new ReusedMemory(this.#memory), new ReusedMemory(this.#memory)];
    try {
      // From here on new undo reaches the view; what the newest segment had before is copied in the same turn.
      this.#views.add(view);
      const newestEntries = await newest.loadEntries(this.#directory, ofNewest);
      for (const segment of needed) view.addSegment(segment === newest ? newestEntries : await segment.loadEntries(this.#directory, ofOthers));
      view.finishLoading();
    } finally {
      for (const memory of [ofNewest, ofOthers]) memory.close();
    }
  }

  /** Undo of the newest segment, before the replica is overwritten. */
  addLive(entries: UndoEntries): void {
    for (const view of this.#views) view.addLive(entries);
  }

  /** The map must not be asked any more. */
  close(view: ViewMap): void {
    this.#views.delete(view);
    this.#files.release(view);
    view.close();
  }
}
