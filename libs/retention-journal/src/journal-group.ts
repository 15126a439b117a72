// SPDX-License-Identifier: Apache-2.0
// A group of sets on its way into the journal: one sync for all. Order of calls: addSet … commit (undo durable, open views told) → the
// caller writes the replica → applied (the instants are offered). Invariant I4: nothing is written to the replica before commit.
import type { JournalSegment } from './journal-segment';
import { advanceStream, effectiveTime, factsOfSet, type JournalSet, type SetFacts, type StreamState } from './stream-state';
import { encodeRecord } from './undo-record';
import type { BuiltPart, UndoBuilder } from './undo-builder';
import { UndoEntries } from './undo-entries';
import { WriteGroup } from './write-group';

export interface GroupHooks {
  readonly segment: JournalSegment;
  readonly builder: UndoBuilder;
  readonly state: StreamState;
  /** Undo is durable: hand it to the open views and advance the recorded place. */
  readonly committed: (entries: UndoEntries, state: StreamState) => void;
}

export class JournalGroup {
  readonly #hooks: GroupHooks;
  readonly #group = new WriteGroup();
  readonly #entries = new UndoEntries(1024);
  readonly #facts: SetFacts[] = [];
  readonly #bytesBefore: number;
  #state: StreamState;

  constructor(hooks: GroupHooks) {
    this.#hooks = hooks;
    this.#state = hooks.state;
    this.#bytesBefore = hooks.segment.bytes;
  }

  /** Bytes of undo that the group takes so far. */
  get undoBytes(): number {
    return this.#hooks.segment.bytes - this.#bytesBefore;
  }

  /** Reads the old content of the set's ranges and writes its undo, not durable yet. The set's data stays in use until `commit`. */
  addSet(set: JournalSet): SetFacts {
    const facts = factsOfSet(set, this.#state);
    const undoSkipped = !this.#state.everGreen && !facts.steps.some((step) => step.kind === 'green');
    let part = 0;
    const write = (built: BuiltPart, lastPart: boolean): void => this.#write({ facts, part: part++, lastPart, undoSkipped, ...built });
    this.#group.beginSet(set.data);
    for (const entry of set.entries) {
      if (entry.kind === 'marker') continue;
      const time = effectiveTime(entry.time, this.#state.lastTime);
      if (!undoSkipped) this.#hooks.builder.add(entry, { time, group: this.#group, sink: (built) => write(built, false) });
      this.#group.add(entry);
    }
    this.#hooks.builder.finish((built) => write(built, true));
    this.#state = advanceStream(this.#state, facts);
    this.#facts.push(facts);
    return facts;
  }

  #write(part: Parameters<typeof encodeRecord>[0]): void {
    const { segment } = this.#hooks;
    const record = encodeRecord(part, segment.end);
    let at: number = segment.bytes;
    for (const bytes of record.parts) {
      segment.file.writeNow(bytes, at);
      at += bytes.length;
    }
    segment.grow(record.byteCount);
    this.#entries.append(part.entries);
  }

  /**
   * Makes all undo durable, then tells the open views. Only now may the replica be overwritten. Without undo there is nothing that has to be
   * durable first: then `RetentionJournal.sync` before a checkpoint is enough.
   */
  async commit(): Promise<void> {
    if (this.#entries.count > 0) await this.#hooks.segment.file.sync();
    this.#hooks.segment.addEntries(this.#entries);
    this.#hooks.committed(this.#entries, this.#state);
  }

  /** The replica holds the group: its instants count from now on. */
  applied(): void {
    for (const facts of this.#facts) this.#hooks.segment.observe(facts);
  }

  /** Takes back a group that was not committed (no space); the journal is as before. */
  async abandon(): Promise<void> {
    this.#hooks.builder.finish(() => undefined);
    await this.#hooks.segment.shrinkTo(this.#bytesBefore);
  }
}
