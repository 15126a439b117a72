// SPDX-License-Identifier: Apache-2.0
// Undo records that take a replica back in time. Invariants: undo is durable before the replica changes (I4, see JournalGroup); segments
// form one chain without gaps; a segment that an open view needs is never removed (I5). After opening, the caller first rewrites the sets
// up to `recorded` to the replica; only then are views exact.
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import { type ByteCount, MIB, OperationError, type TimeMicros } from '@secondsite/units';
import { JournalGroup } from './journal-group';
import { baseOfName, JournalSegment, segmentName } from './journal-segment';
import { compareStreamPlaces, initialStreamState, type StreamState } from './stream-state';
import type { TimelineRecord } from './timeline';
import { type OldContent, UndoBuilder } from './undo-builder';
import type { JournalPosition, UndoEntries } from './undo-entries';
import { ViewMap } from './view-map';

export interface JournalOptions {
  /** A segment is sealed when it is this large; default 64 MiB. */
  readonly segmentBytes?: ByteCount;
  /** … or has so many entries; default 2^18. */
  readonly segmentEntries?: number;
  /** … or covers so much time; default 1 hour. */
  readonly segmentMicros?: TimeMicros;
  /** The replica is at least here: a journal that ends before it was damaged, is set aside and begun anew. */
  readonly replicaState?: StreamState;
}

export interface RetentionLimits {
  /** Instants within this span before the newest are kept. */
  readonly windowMicros: TimeMicros;
  /** The oldest instants go when the journal is larger; undefined: no limit. */
  readonly spaceBytes?: ByteCount;
}

/** What opening found: files that could not be part of the chain any more. */
export interface OpenReport {
  readonly damaged: readonly string[];
  readonly removed: readonly string[];
}

export class RetentionJournal {
  readonly #directory: StorageDirectory;
  readonly #segments: JournalSegment[];
  readonly #views = new Set<ViewMap>();
  #limits: Required<Omit<JournalOptions, 'replicaState'>>;
  #builder: { old: OldContent; builder: UndoBuilder } | undefined;
  #recorded: StreamState;
  readonly report: OpenReport;

  private constructor(parts: { directory: StorageDirectory; segments: JournalSegment[]; options: JournalOptions; report: OpenReport }) {
    this.#directory = parts.directory;
    this.#segments = parts.segments;
    this.#limits = { segmentBytes: 64 * MIB, segmentEntries: 1 << 18, segmentMicros: 3600e6, ...parts.options };
    this.report = parts.report;
    this.#recorded = parts.segments.at(-1)?.timeline.end ?? initialStreamState;
  }

  /** Opens or makes the journal in `directory`; drops a torn tail. Afterwards every recorded set has its complete, checked undo. */
  static async open(directory: StorageDirectory, options: JournalOptions = {}): Promise<RetentionJournal> {
    const { segments, report } = await openChain(directory);
    const start = options.replicaState ?? initialStreamState;
    const end = segments.at(-1)?.timeline.end ?? initialStreamState;
    if (compareStreamPlaces(end, start) < 0) await dropAll({ directory, segments, report, setAside: true });
    await segments.at(-1)?.cutTail();
    for (const segment of segments.slice(0, -1)) await segment.seal(directory);
    const journal = new RetentionJournal({ directory, segments, options, report });
    if (!segments.at(-1) || segments.at(-1)?.sealed) await journal.#addSegment(start);
    return journal;
  }

  /** The last set whose undo is complete and durable. */
  get recorded(): StreamState {
    return this.#recorded;
  }

  /** Timelines of all segments, oldest first (see RecoveryPoints). */
  get timelines(): readonly TimelineRecord[] {
    return this.#segments.map((segment) => segment.timeline);
  }

  /** The last set whose instants are offered. */
  get applied(): StreamState {
    return this.#newest.timeline.end;
  }

  get storedBytes(): ByteCount {
    return this.#segments.reduce((sum, segment) => sum + segment.storedBytes, 0);
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  get openViews(): number {
    return this.#views.size;
  }

  get #newest(): JournalSegment {
    return this.#segments.at(-1) as JournalSegment;
  }

  setLimits(options: JournalOptions): void {
    this.#limits = { ...this.#limits, ...options };
  }

  /** Begins a group of sets after `recorded`. One group at a time; `old` is the replica before it. */
  beginGroup(old: OldContent): JournalGroup {
    if (this.#builder?.old !== old) this.#builder = { old, builder: new UndoBuilder(old) };
    return new JournalGroup({
      segment: this.#newest,
      builder: this.#builder.builder,
      state: this.#recorded,
      committed: (entries, state) => this.#committed(entries, state),
    });
  }

  #committed(entries: UndoEntries, state: StreamState): void {
    this.#recorded = state;
    for (const view of this.#views) view.addLive(entries);
  }

  /**
   * Opens the map of the disk as of `pointTime`, which must be an instant offered (see RecoveryPoints) and not before the oldest segment.
   * Until `closeView` no segment that it needs is removed.
   */
  async openView(pointTime: TimeMicros): Promise<ViewMap> {
    if (pointTime < (this.#segments[0]?.timeline.start.lastTime ?? 0)) throw viewFailure('the instant is older than the journal', pointTime);
    const view = new ViewMap(pointTime);
    const needed = this.#segments.filter((segment) => segment.lastTime > pointTime || !segment.sealed);
    const newest = await this.#registerView(view, needed);
    for (const segment of needed) view.addSegment(segment.base === newest.base ? newest.entries : await segment.loadEntries(this.#directory));
    view.finishLoading();
    return view;
  }

  /** From here on new undo reaches the view; what the open segment had before is copied in the same turn. */
  async #registerView(view: ViewMap, needed: readonly JournalSegment[]): Promise<{ base: number; entries: UndoEntries }> {
    this.#views.add(view);
    const segment = needed.at(-1) ?? this.#newest;
    return { base: segment.base, entries: await segment.loadEntries(this.#directory) };
  }

  closeView(view: ViewMap): void {
    this.#views.delete(view);
  }

  /** The segment file that holds `position`, and the place in it. */
  locate(position: JournalPosition): { readonly file: StorageFile; readonly offset: number } {
    let low = 0;
    for (let high = this.#segments.length; high - low > 1; ) {
      const middle = (low + high) >>> 1;
      if ((this.#segments[middle] as JournalSegment).base <= position) low = middle;
      else high = middle;
    }
    const segment = this.#segments[low] as JournalSegment;
    return { file: segment.file, offset: position - segment.base };
  }

  /** Removes what retention does not keep and seals a segment that is large or old enough. Call it before each group; may be repeated after a failure. */
  async maintain(limits: RetentionLimits): Promise<void> {
    await this.#prune(limits);
    if (this.#newest.sealed) await this.#addSegment();
    else await this.#rollIfFull(limits);
  }

  async #rollIfFull({ windowMicros, spaceBytes }: RetentionLimits): Promise<void> {
    const { bytes, entryCount, timeline } = this.#newest;
    const age = timeline.end.lastTime - Math.max(timeline.start.lastTime, this.#segments.length === 1 ? (timeline.spans[0]?.from ?? timeline.end.lastTime) : 0);
    const sizeLimit = Math.min(this.#limits.segmentBytes, spaceBytes === undefined ? Infinity : Math.max(1 * MIB, spaceBytes / 8));
    const ageLimit = Math.min(this.#limits.segmentMicros, Math.max(10e6, windowMicros / 24));
    if (bytes >= sizeLimit || entryCount >= this.#limits.segmentEntries || age >= ageLimit) await this.roll();
  }

  /** What was recorded before the call is durable when it resolves, also of groups without undo. */
  async sync(): Promise<void> {
    await this.#newest.file.sync();
  }

  /** Seals the open segment and begins the next. No group may be under way. */
  async roll(): Promise<void> {
    await this.#newest.seal(this.#directory);
    await this.#addSegment();
  }

  async #addSegment(first: StreamState = initialStreamState): Promise<void> {
    const last = this.#segments.at(-1);
    const start = last?.timeline.end ?? first;
    this.#segments.push(await JournalSegment.create(this.#directory, { base: last?.end ?? 0, start }));
    this.#recorded = start;
  }

  async #prune({ windowMicros, spaceBytes = Infinity }: RetentionLimits): Promise<void> {
    let removed = 0;
    for (;;) {
      const [oldest, next] = this.#segments;
      if (!oldest || !next || !this.#isFree(oldest)) break;
      const outside = next.timeline.start.lastTime <= this.applied.lastTime - windowMicros;
      if (!outside && this.storedBytes <= spaceBytes) break;
      this.#segments.shift();
      await oldest.file.close();
      await removeSegment(this.#directory, oldest.base);
      removed++;
    }
    if (removed > 0) await this.#directory.sync();
  }

  /** True when no open view needs undo of the segment. */
  #isFree(segment: JournalSegment): boolean {
    for (const view of this.#views) if (segment.lastTime > view.pointTime) return false;
    return true;
  }

  async close(): Promise<void> {
    for (const segment of this.#segments) await segment.file.close();
  }
}

/** Opens the segments that form an unbroken chain up to the newest; what cannot belong to it is removed or set aside. */
async function openChain(directory: StorageDirectory): Promise<{ segments: JournalSegment[]; report: Drop['report'] }> {
  const names = await directory.list();
  const bases = names.map((name) => baseOfName(name, 'undo')).filter((base) => base !== undefined).sort((left, right) => left - right);
  const segments: JournalSegment[] = [];
  const report = { damaged: [] as string[], removed: [] as string[] };
  for (const base of bases) {
    const segment = await JournalSegment.open(directory, base);
    const isLast = base === bases.at(-1);
    const previous = segments.at(-1);
    if (segment && previous && previous.end !== base) await dropAll({ directory, segments, report, setAside: !previous.sealed || report.damaged.length > 0 });
    if (segment) segments.push(segment);
    else if (isLast) await drop({ directory, base, report, setAside: false });
    else await drop({ directory, base, report, setAside: true });
  }
  for (const base of names.map((name) => baseOfName(name, 'index'))) {
    if (base !== undefined && !bases.includes(base)) await directory.remove(segmentName(base, 'index'));
  }
  await directory.sync();
  return { segments, report };
}

interface Drop {
  readonly directory: StorageDirectory;
  readonly report: { damaged: string[]; removed: string[] };
  /** Keep the file under another name for an inquiry: it was damaged, not just half removed. */
  readonly setAside: boolean;
}

async function dropAll({ segments, ...how }: Drop & { segments: JournalSegment[] }): Promise<void> {
  for (const segment of segments.splice(0)) {
    await segment.file.close();
    await drop({ ...how, base: segment.base });
  }
}

async function drop({ directory, base, report, setAside }: Drop & { base: JournalPosition }): Promise<void> {
  const name = segmentName(base, 'undo');
  (setAside ? report.damaged : report.removed).push(name);
  if (setAside) await directory.rename(name, `${name}.damaged`);
  else await removeSegment(directory, base);
}

async function removeSegment(directory: StorageDirectory, base: JournalPosition): Promise<void> {
  const names = await directory.list();
  for (const name of [segmentName(base, 'index'), segmentName(base, 'undo')]) if (names.includes(name)) await directory.remove(name);
}

function viewFailure(hint: string, pointTime: TimeMicros): OperationError {
  return new OperationError({ code: 'journal/point-pruned', operation: 'open view map', context: { pointTime }, retryable: false, hint });
}
