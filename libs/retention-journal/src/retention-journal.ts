// SPDX-License-Identifier: Apache-2.0
// Undo records that take a replica back in time. Invariants: undo is durable before the replica changes (I4, see JournalGroup); segments
// form one chain without gaps; a segment that an open view needs is never removed (I5). After opening, the caller first rewrites the sets
// up to `recorded` to the replica; only then are views exact.
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import { type ByteCount, GIB, MIB, type TimeMicros } from '@secondsite/units';
import { damaged, pointPruned } from './journal-failures';
import { JournalGroup } from './journal-group';
import { JournalSegment } from './journal-segment';
import { planMerge } from './merge-plan';
import { mergeSegments } from './merge-segments';
import { MergedSegment } from './merged-segment';
import { dropAll, openChain, type OpenReport, removeFiles } from './open-chain';
import { RecoveryPoints } from './recovery-points';
import { keptPoints, type RetentionLimits } from './retention-ladder';
import { SegmentFiles } from './segment-files';
import type { StoredSegment } from './stored-segment';
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
  /** Undo entries that one merge takes in, at most; default 2^19. It holds them in memory. */
  readonly mergeEntries?: number;
  /** … and bytes; default 4 GiB. */
  readonly mergeBytes?: ByteCount;
  /** The replica is at least here: a journal that ends before it was damaged, is set aside and begun anew. */
  readonly replicaState?: StreamState;
}

export interface PreviewedRetention {
  readonly points: RecoveryPoints;
  readonly freedBytes: ByteCount;
}

export class RetentionJournal {
  readonly #directory: StorageDirectory;
  readonly #segments: StoredSegment[];
  readonly #files: SegmentFiles;
  readonly #views = new Set<ViewMap>();
  /** Segments that are being merged: they are not pruned meanwhile. */
  #merging: readonly StoredSegment[] = [];
  #limits: Required<Omit<JournalOptions, 'replicaState'>>;
  #builder: { old: OldContent; builder: UndoBuilder } | undefined;
  #recorded: StreamState;
  #spaceFloor: TimeMicros = 0;
  readonly report: OpenReport;

  private constructor(parts: { directory: StorageDirectory; segments: StoredSegment[]; files: SegmentFiles; options: JournalOptions; report: OpenReport }) {
    this.#directory = parts.directory;
    this.#segments = parts.segments;
    this.#files = parts.files;
    for (const segment of parts.segments) parts.files.add(segment);
    this.#limits = { segmentBytes: 64 * MIB, segmentEntries: 1 << 18, segmentMicros: 3600e6, mergeEntries: 1 << 19, mergeBytes: 4 * GIB, ...parts.options };
    this.report = parts.report;
    this.#recorded = parts.segments.at(-1)?.timeline.end ?? initialStreamState;
  }

  /** Opens or makes the journal in `directory`; drops a torn tail. Afterwards every recorded set has its complete, checked undo. */
  static async open(directory: StorageDirectory, options: JournalOptions = {}): Promise<RetentionJournal> {
    const files = new SegmentFiles();
    const { segments, report } = await openChain(directory, (stretch) => files.addressFor(stretch));
    const start = options.replicaState ?? initialStreamState;
    const end = segments.at(-1)?.timeline.end ?? initialStreamState;
    if (compareStreamPlaces(end, start) < 0) await dropAll({ directory, segments, report, setAside: true });
    for (const segment of segments) {
      if (!(segment instanceof JournalSegment)) continue;
      if (segment === segments.at(-1)) await segment.cutTail();
      else await segment.seal(directory);
    }
    const journal = new RetentionJournal({ directory, segments, files, options, report });
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

  /** The points that the limits keep of those that are there. */
  points(limits: RetentionLimits): RecoveryPoints {
    return keptPoints(RecoveryPoints.ofVolume(this.timelines), limits, this.#spaceFloor);
  }

  /** What other limits would keep, and how many bytes would go at once; nothing is changed. */
  preview(limits: RetentionLimits): PreviewedRetention {
    const kept = this.points(limits);
    let [freedBytes, floor] = [0, 0];
    for (const [index, segment] of this.#segments.slice(0, -1).entries()) {
      const outside = this.#isOutside(segment, { next: this.#segments[index + 1] as StoredSegment, windowMicros: limits.windowMicros });
      const tooMuch = this.storedBytes - freedBytes > (limits.spaceBytes ?? Infinity);
      if (!this.#isFree(segment, limits.pins ?? []) || (!outside && !tooMuch)) break;
      freedBytes += segment.storedBytes;
      floor = segment.lastTime;
    }
    const spans = kept.spans.filter(({ to }) => to >= floor).map((span) => ({ ...span, from: Math.max(floor, span.from) }));
    return { points: RecoveryPoints.of({ spans, bookmarks: kept.bookmarks, coveredTime: kept.coveredTime }), freedBytes };
  }

  /** Up to here points of the window were dropped because space ran out; 0 while none were. */
  get spaceFloor(): TimeMicros {
    return this.#spaceFloor;
  }

  /** Bytes on disk, also of files that only open views still need. */
  get storedBytes(): ByteCount {
    return this.#segments.reduce((sum, segment) => sum + segment.storedBytes, this.#files.retiredBytes);
  }

  /** Names of the files that make the journal, without those that only open views still need. Files of a sealed segment never change; a later call may name others. */
  storedFiles(): readonly { readonly names: readonly string[]; readonly sealed: boolean }[] {
    return this.#segments.map(({ names, sealed }) => ({ names: sealed ? names : names.slice(0, 1), sealed }));
  }

  /** Of the segment that is being written. */
  get unsealedBytes(): ByteCount {
    return this.#newest.bytes;
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  get openViews(): number {
    return this.#views.size;
  }

  /** Never a merged one. */
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
    if (pointTime < (this.#segments[0]?.timeline.start.lastTime ?? 0)) throw pointPruned(pointTime);
    const view = new ViewMap(pointTime);
    const needed = this.#segments.filter((segment) => segment.lastTime > pointTime || !segment.sealed);
    const newest = await this.#registerView(view, needed);
    for (const segment of needed) view.addSegment(segment.base === newest.base ? newest.entries : await segment.loadEntries(this.#directory));
    view.finishLoading();
    return view;
  }

  /** From here on new undo reaches the view; what the open segment had before is copied in the same turn. */
  async #registerView(view: ViewMap, needed: readonly StoredSegment[]): Promise<{ base: number; entries: UndoEntries }> {
    this.#views.add(view);
    const segment = needed.at(-1) ?? this.#newest;
    return { base: segment.base, entries: await segment.loadEntries(this.#directory) };
  }

  closeView(view: ViewMap): void {
    this.#views.delete(view);
    this.#files.release(view);
  }

  /** The segment file that holds `position`, and the place in it. */
  locate(position: JournalPosition): { readonly file: StorageFile; readonly offset: number } {
    return this.#files.locate(position);
  }

  /** Removes what retention does not keep and seals a segment that is large or old enough. Call it before each group; may be repeated after a failure. */
  async maintain(limits: RetentionLimits): Promise<void> {
    await this.#prune(limits);
    await this.#removeRetired();
    if (this.#newest.sealed) await this.#addSegment();
    else await this.#rollIfFull(limits);
  }

  /**
   * Merges some neighbouring segments in which the limits keep single points only; false when there is nothing to merge. May run beside
   * everything else, but not beside itself; end it before `close`. Views keep what they need. Rejects with the journal as before when the disk fails or
   * `pause`, which is called between pieces of work to give the thread to others, rejects.
   */
  async mergeNext(limits: RetentionLimits, pause: () => Promise<void>): Promise<boolean> {
    const kept = this.points({ ...limits, pins: [...(limits.pins ?? []), ...[...this.#views].map((view) => view.pointTime)] });
    const { mergeEntries, mergeBytes, segmentBytes } = this.#limits;
    const bytesWithPoints = Math.min(mergeBytes, Math.max(segmentBytes, (limits.spaceBytes ?? Infinity) / 8));
    const plan = planMerge(this.#segments, { kept, limits: { entries: mergeEntries, bytes: mergeBytes, bytesWithPoints } });
    if (!plan) return false;
    this.#merging = plan.segments;
    try {
      const name = await mergeSegments(plan, { directory: this.#directory, pause });
      await this.#replaceWith(name);
    } finally {
      this.#merging = [];
    }
    await this.#removeRetired();
    return true;
  }

  /** Puts the merged segment in the place of those it was made of; those go when no view that was open before needs them any more. */
  async #replaceWith(name: string): Promise<void> {
    const replaced = this.#merging;
    const first = replaced[0] as StoredSegment;
    const address = this.#files.addressFor({ base: first.base, end: (replaced.at(-1) as StoredSegment).end });
    const merged = await MergedSegment.open(this.#directory, { name, address });
    if (!merged) throw damaged(name);
    this.#segments.splice(this.#segments.indexOf(first), replaced.length, merged);
    this.#files.add(merged);
    for (const segment of replaced) this.#files.retire(segment, [...this.#views].filter((view) => segment.lastTime > view.pointTime));
  }

  async #removeRetired(): Promise<void> {
    for (const segment of this.#files.takeUnneeded()) {
      await segment.file.close();
      const names = segment.names.filter((name) => !this.#segments.some((other) => other.names.includes(name)));
      await removeFiles(this.#directory, names);
    }
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
    const segment = await JournalSegment.create(this.#directory, { base: last?.end ?? 0, start });
    this.#segments.push(segment);
    this.#files.add(segment);
    this.#recorded = start;
  }

  async #prune({ windowMicros, spaceBytes = Infinity, pins = [] }: RetentionLimits): Promise<void> {
    let removed = 0;
    for (;;) {
      const [oldest, next] = this.#segments;
      if (!oldest || !next || !this.#isFree(oldest, pins)) break;
      const outside = this.#isOutside(oldest, { next, windowMicros });
      if (!outside && this.storedBytes <= spaceBytes) break;
      if (!outside) this.#spaceFloor = oldest.lastTime;
      this.#segments.shift();
      this.#files.forget(oldest);
      await oldest.file.close();
      await removeFiles(this.#directory, oldest.names);
      removed++;
    }
    if (removed > 0) await this.#directory.sync();
    this.#raiseFloor(this.storedBytes - spaceBytes);
  }

  #isOutside(oldest: StoredSegment, { next, windowMicros }: { readonly next: StoredSegment; readonly windowMicros: TimeMicros }): boolean {
    return next.timeline.start.lastTime <= this.applied.lastTime - windowMicros && (this.applied.green || this.#hasPointsAfter(oldest));
  }

  /**
   * A pin holds its undo and all behind it, so the points behind it go instead; merging frees what they needed. Waits for that before it takes
   * more. While an open view holds the oldest files nothing would be freed.
   */
  #raiseFloor(excessBytes: ByteCount): void {
    const oldest = this.#segments[0] as StoredSegment;
    const heldByView = this.#files.retiredBytes > 0 || [...this.#views].some((view) => oldest.lastTime > view.pointTime);
    const sealed = this.#segments.slice(0, -1);
    if (heldByView || this.#merging.length > 0 || sealed.some(({ merged, lastTime }) => !merged && lastTime <= this.#spaceFloor)) return;
    let excess = excessBytes;
    for (const { lastTime, storedBytes } of sealed) {
      if (excess <= 0) return;
      if (lastTime <= this.#spaceFloor) continue;
      this.#spaceFloor = lastTime;
      excess -= storedBytes;
    }
  }

  /** True when no open view and no pin needs undo of the segment, and no merge is reading it. */
  #isFree(segment: StoredSegment, pins: readonly TimeMicros[]): boolean {
    const { start, end } = segment.timeline;
    if (this.#merging.includes(segment) || pins.some((pin) => start.lastTime <= pin && pin < end.lastTime)) return false;
    for (const view of this.#views) if (segment.lastTime > view.pointTime) return false;
    return true;
  }

  /** While the replica is being resynchronised, the last points before that stay. */
  #hasPointsAfter(segment: StoredSegment): boolean {
    return this.#segments.some(({ timeline }) => timeline.spans.some(({ to }) => to >= segment.lastTime));
  }

  async close(): Promise<void> {
    for (const segment of this.#segments) await segment.file.close();
    for (const segment of this.#files.retired) await segment.file.close();
  }
}
