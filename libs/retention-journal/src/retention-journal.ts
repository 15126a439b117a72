// SPDX-License-Identifier: Apache-2.0
// Undo records that take a replica back in time. Invariants: undo is durable before the replica changes (I4, see JournalGroup); segments
// form one chain without gaps; a segment that an open view needs is never removed (I5). After opening, the caller first rewrites the sets
// up to `recorded` to the replica; only then are views exact.
import type { StorageDirectory } from '@secondsite/durable-storage';
import { type ByteCount, MIB, type TimeMicros } from '@secondsite/units';
import { ColdKeeper } from './cold-keeper';
import { unmergeableCount } from './cold-plan';
import type { ColdTier } from './cold-tier';
import { JournalDamage } from './journal-damage';
import { damaged, pointPruned } from './journal-failures';
import { JournalGroup } from './journal-group';
import type { JournalMemory } from './journal-memory';
import { defaultJournalLimits, type JournalLimits, type JournalOptions, type PreviewedRetention } from './journal-options';
import { JournalScrubber, type ScrubbedPiece } from './journal-scrubber';
import { JournalSegment } from './journal-segment';
import { planMerge } from './merge-plan';
import { mergeSegments } from './merge-segments';
import { MergedSegment } from './merged-segment';
import { dropAll, openChain, type OpenReport, removeFiles } from './open-chain';
import { OpenViews } from './open-views';
import { RecoveryPoints } from './recovery-points';
import { keptPoints, type RetentionLimits } from './retention-ladder';
import { SegmentFiles } from './segment-files';
import type { StoredFiles, StoredSegment } from './stored-segment';
import { compareStreamPlaces, initialStreamState, type StreamState } from './stream-state';
import type { TimelineRecord } from './timeline';
import { type OldContent, UndoBuilder } from './undo-builder';
import type { JournalPosition, UndoEntries } from './undo-entries';
import type { ViewMap } from './view-map';

export class RetentionJournal {
  readonly #directory: StorageDirectory;
  readonly #segments: StoredSegment[];
  readonly #files: SegmentFiles;
  readonly #damage: JournalDamage;
  readonly #views: OpenViews;
  /** Segments that are being merged: they are not pruned meanwhile. */
  #merging: readonly StoredSegment[] = [];
  readonly #scrubber: JournalScrubber;
  /** Reads and openings of views, which use files as they were when they began. */
  readonly #reading = new Set<Promise<unknown>>();
  /** Absent without a cold store. */
  readonly cold: ColdKeeper | undefined;
  #limits: JournalLimits;
  readonly #memory: JournalMemory | undefined;
  #builder: { old: OldContent; builder: UndoBuilder } | undefined;
  #recorded: StreamState;
  #spaceFloor: TimeMicros = 0;
  readonly report: OpenReport;

  private constructor(parts: { directory: StorageDirectory; segments: StoredSegment[]; files: SegmentFiles; damage: JournalDamage; options: JournalOptions; report: OpenReport }) {
    this.#directory = parts.directory;
    this.#segments = parts.segments;
    this.#files = parts.files;
    this.#damage = parts.damage;
    this.#memory = parts.options.memory;
    this.#views = new OpenViews({ ...parts, memory: this.#memory });
    const isMerging = (segment: StoredSegment): boolean => this.#merging.includes(segment);
    this.#scrubber = new JournalScrubber({ ...parts, memory: this.#memory, segments: () => this.#segments, isMerging, reading: (work) => this.#read(work) });
    this.cold = parts.options.cold && this.#keeperOf(parts.options.cold);
    for (const segment of parts.segments) parts.files.add(segment);
    this.#limits = { ...defaultJournalLimits, ...parts.options };
    this.report = parts.report;
    this.#recorded = parts.segments.at(-1)?.timeline.end ?? initialStreamState;
  }

  /** Opens or makes the journal in `directory`; drops a torn tail. Afterwards every recorded set has its complete, checked undo. */
  static async open(directory: StorageDirectory, options: JournalOptions = {}): Promise<RetentionJournal> {
    const files = new SegmentFiles();
    const { segments, report } = await openChain(directory, { addressFor: (stretch) => files.addressFor(stretch), cold: options.cold });
    const start = options.replicaState ?? initialStreamState;
    const end = segments.at(-1)?.timeline.end ?? initialStreamState;
    if (compareStreamPlaces(end, start) < 0) await dropAll({ directory, segments, report, setAside: true });
    for (const segment of segments) {
      if (!(segment instanceof JournalSegment)) continue;
      if (segment === segments.at(-1)) await segment.cutTail();
      else await segment.seal(directory);
    }
    const journal = new RetentionJournal({ directory, segments, files, damage: await JournalDamage.open(directory), options, report });
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
    let [freedBytes, freedHere, floor] = [0, 0, 0];
    for (const [index, segment] of this.#segments.slice(0, -1).entries()) {
      const outside = this.#isOutside(segment, { next: this.#segments[index + 1] as StoredSegment, windowMicros: limits.windowMicros });
      const tooMuch = this.storedBytes - freedHere > (limits.spaceBytes ?? Infinity);
      if (!this.#isFree(segment, limits.pins ?? []) || (!outside && !tooMuch)) break;
      freedHere += segment.storedBytes;
      freedBytes += segment.storedBytes + segment.coldBytes;
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

  /** Bytes in the cold store. */
  get coldBytes(): ByteCount {
    return this.#segments.reduce((sum, segment) => sum + segment.coldBytes, 0);
  }

  /** From this time on views need nothing of the cold store. */
  get localFrom(): TimeMicros {
    return this.#segments.findLast(({ cold }) => cold)?.lastTime ?? 0;
  }

  /** What makes the journal, without what only open views still need. */
  storedFiles(): readonly StoredFiles[] {
    const ofSegments = this.#segments.map(({ names, sealed, storedBytes }) => ({ names: sealed ? names : names.slice(0, 1), sealed, bytes: storedBytes }));
    return [...ofSegments, { names: [JournalDamage.fileName], sealed: false, bytes: 0 }];
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  get openViews(): number {
    return this.#views.count;
  }

  /** Never a merged one. */
  get #newest(): JournalSegment {
    return this.#segments.at(-1) as JournalSegment;
  }

  #keeperOf(tier: ColdTier): ColdKeeper {
    return new ColdKeeper({
      tier, directory: this.#directory,
      segments: () => this.#segments,
      appliedTime: () => this.applied.lastTime,
      localBytes: () => this.storedBytes,
      mustStay: (segment) => this.#merging.includes(segment) || this.#isDamaged(segment),
      exchange: (segment, cold) => {
        this.#segments[this.#segments.indexOf(segment)] = cold;
        this.#files.exchange(segment, cold);
      },
      readsEnded: () => Promise.allSettled([...this.#reading]),
    });
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
    this.#views.addLive(entries);
  }

  /**
   * Opens the map of the disk as of `pointTime`, which must be an instant offered (see RecoveryPoints) and not before the oldest segment.
   * Until `closeView` no segment that it needs is removed.
   */
  openView(pointTime: TimeMicros): Promise<ViewMap> {
    return this.#read(this.#loadView(pointTime));
  }

  async #loadView(pointTime: TimeMicros): Promise<ViewMap> {
    if (pointTime < (this.#segments[0]?.timeline.start.lastTime ?? 0)) throw pointPruned(pointTime);
    const needed = this.#segments.filter((segment) => segment.lastTime > pointTime || segment === this.#newest);
    return this.#views.open(pointTime, needed);
  }

  closeView(view: ViewMap): void {
    this.#views.close(view);
  }

  /** Fills `into` with old bytes from `position`, blocking the thread. False when they are in the cold store. Throws `journal/damaged` where they are known not to be as written. */
  readUndoNow(into: Uint8Array, position: JournalPosition): boolean {
    const { file, offset } = this.#locate(position, into.length);
    if (!file.readNow) return false;
    if (file.readNow(into, offset) < into.length) throw damaged(file.name);
    return true;
  }

  /** The same through the thread pool, or from the cold store. */
  async readUndo(into: Uint8Array, position: JournalPosition): Promise<void> {
    const { file, offset } = this.#locate(position, into.length);
    if ((await this.#read(file.read(into, offset))) < into.length) throw damaged(file.name);
  }

  #locate(position: JournalPosition, length: ByteCount): ReturnType<SegmentFiles['locate']> {
    const place = this.#files.locate(position);
    if (this.#damage.touches(place.file.name, { at: place.offset, length })) throw damaged(place.file.name);
    return place;
  }

  /** Keeps in mind that files are in use until `work` has ended. */
  async #read<Result>(work: Promise<Result>): Promise<Result> {
    this.#reading.add(work);
    try {
      return await work;
    } finally {
      this.#reading.delete(work);
    }
  }

  /**
   * Reads every sealed segment on this disk again, oldest first, in pieces. What is damaged is noted durably before it is told: from then on views refuse
   * exactly these bytes, and the segment is neither merged nor moved any more. May run beside everything else, but not beside itself; end it before `close`.
   */
  scrub(): AsyncGenerator<ScrubbedPiece> {
    return this.#scrubber.scrub();
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
    const kept = this.points({ ...limits, pins: [...(limits.pins ?? []), ...this.#views.pointTimes] });
    const { mergeEntries, mergeBytes, segmentBytes } = this.#limits;
    const bytesWithPoints = Math.min(mergeBytes, Math.max(segmentBytes, (limits.spaceBytes ?? Infinity) / 8));
    const isIntact = (segment: StoredSegment): boolean => !this.#isDamaged(segment);
    const plan = planMerge(this.#segments, { kept, limits: { entries: mergeEntries, bytes: mergeBytes, bytesWithPoints }, left: unmergeableCount(this.#segments, this.cold?.moving), isIntact });
    if (!plan) return false;
    this.#merging = plan.segments;
    try {
      const name = await mergeSegments(plan, { directory: this.#directory, pause, memory: this.#memory });
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
    for (const segment of replaced) this.#files.retire(segment, this.#views.holdersOf(segment));
  }

  async #removeRetired(): Promise<void> {
    for (const segment of this.#files.takeUnneeded((segment) => this.#scrubber.isReading(segment))) {
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
      if (oldest.cold) this.cold?.dropped();
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
    const heldByView = this.#files.retiredBytes > 0 || this.#views.holdersOf(oldest).length > 0;
    const sealed = this.#segments.slice(0, -1);
    const isToMerge = (segment: StoredSegment): boolean => !segment.merged && !segment.cold && !this.#isDamaged(segment) && segment.lastTime <= this.#spaceFloor;
    if (heldByView || this.cold?.isHolding(oldest) || this.#merging.length > 0 || sealed.some(isToMerge)) return;
    let excess = excessBytes;
    for (const { lastTime, storedBytes } of sealed) {
      if (excess <= 0) return;
      if (lastTime <= this.#spaceFloor) continue;
      this.#spaceFloor = lastTime;
      excess -= storedBytes;
    }
  }

  #isDamaged(segment: StoredSegment): boolean {
    return this.#damage.has(segment.file.name);
  }

  /** True when no open view and no pin needs undo of the segment, and no merge, move or scrub is reading it. */
  #isFree(segment: StoredSegment, pins: readonly TimeMicros[]): boolean {
    const { start, end } = segment.timeline;
    const isRead = this.#merging.includes(segment) || this.#scrubber.isReading(segment) || this.cold?.isHolding(segment) === true;
    return !isRead && !pins.some((pin) => start.lastTime <= pin && pin < end.lastTime) && this.#views.holdersOf(segment).length === 0;
  }

  /** While the replica is being resynchronised, the last points before that stay. */
  #hasPointsAfter(segment: StoredSegment): boolean {
    return this.#segments.some(({ timeline }) => timeline.spans.some(({ to }) => to >= segment.lastTime));
  }

  async close(): Promise<void> {
    for (const segment of [...this.#segments, ...this.#files.retired]) await segment.file.close();
  }
}
