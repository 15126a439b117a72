// SPDX-License-Identifier: Apache-2.0
// One replication pair at the target: cache → retention journal → replica, and its recovery points and views. Runs in a thread of its own;
// a plain class, so that it runs anywhere. Invariants: I2 (cached sets are released only after their replica writes are durable), I3, I4,
// I6 (older epochs are refused and kept aside), I8 (every file may be cut off at any instant), I9 (cache and memory have limits).
import { decompressChangeSet, type KeptSet, type VerifiedChangeSet, verifyStored } from '@secondsite/change-set';
import { type RecoveryPoints, type RetentionJournal, type RetentionLimits, ViewReader } from '@secondsite/retention-journal';
import { type CompareOutcome, DAMAGED_RANGES_MAX, OLD_EPOCH, type Progress, REPLICA_LACKS_BASE, type StoreOutcome } from '@secondsite/transport/protocol';
import { type ByteCount, isOperationError, type TimeMicros } from '@secondsite/units';
import { isReferringSet } from '@secondsite/wan-deduplication';
import type { SetRebuilder } from '../deduplication/set-rebuilder';
import { PairDeparture } from '../move/pair-departure';
import { ApplyLoop } from './apply-loop';
import { BackgroundWork } from './background-work';
import { epochStartOf, missingBase } from './epoch-start';
import { openPairParts, type PairParts, type TargetPairOptions } from './pair-parts';
import type { PairEvent, PairStatus, SetHops, StreamPlace } from './pair-types';
import { PairRetention } from './pair-retention';
import type { PairScrubber } from './pair-scrubber';
import { RecentHops } from './recent-hops';
import { ReplicaComparer } from './replica-comparer';
import { growReplica } from './replica-files';
import { type Admission, OWN_MEMORY_BYTES_MIN, type ReceivedSet } from './set-cache';
import { SetApplier } from './set-applier';
import { corrupt, noSpace, pairFailed, tooEarly } from './store-answers';
import { streamMarkersOf, StreamWatch } from './stream-watch';
import { faultOfRange } from './write-replica';

export class TargetPair {
  readonly retention: PairRetention;
  readonly departure: PairDeparture;
  readonly rebuilder: SetRebuilder | undefined;
  readonly #options: TargetPairOptions;
  readonly #parts: PairParts;
  readonly #loop: ApplyLoop;
  readonly #watch: StreamWatch;
  readonly #comparer: ReplicaComparer;
  readonly #hops: RecentHops;
  readonly #openedAt: TimeMicros;
  #freeBytes = Infinity;
  #refusedSets = 0;
  #views = 0;
  #workEnded: Promise<void> | undefined;

  private constructor(options: TargetPairOptions, parts: PairParts) {
    this.#options = options;
    this.#parts = parts;
    this.rebuilder = parts.rebuilder;
    this.#hops = new RecentHops(options.clock, options.onTraced);
    this.#openedAt = options.clock();
    const { journal, limits } = parts;
    this.retention = new PairRetention({ journal, limits: options.retention, freeBytesMin: limits.freeBytesMin, clock: options.clock, emit: (event) => this.#emit(event) });
    this.#watch = new StreamWatch({ green: parts.journal.recorded.green, emit: (event) => this.#emit(event) });
    this.departure = new PairDeparture({
      ...parts, directory: options.directory, pairId: options.pairId, clock: options.clock, cachedBytes: () => parts.cache.cachedBytes, standStill: () => this.#standStill(),
    });
    this.#loop = new ApplyLoop({
      ...parts,
      applier: new SetApplier({ ...parts, departure: this.departure }),
      watch: this.#watch,
      hops: this.#hops,
      retention: () => this.retention.effective,
      background: this.#background(),
      clock: options.clock, delay: options.delay,
      load: (set) => parts.cachedSets.load(set),
      learn: (set) => parts.rebuilder?.learn(set),
      emit: (event) => this.#emit(event),
      cacheIsDamaged: parts.log.corrupt.length > 0,
    });
    this.#comparer = new ReplicaComparer({
      ...parts, pairId: options.pairId, layout: options.layout, reached: () => this.#loop.reached, moved: () => this.#loop.moved, delay: options.delay, newestEpoch: () => parts.cache.received.epoch,
    });
  }

  /**
   * Opens or makes the pair's files and brings the replica to where the journal is, so that every view is exact on return. Starts to apply
   * with `start`.
   */
  static async open(options: TargetPairOptions): Promise<TargetPair> {
    const pair = new TargetPair(options, await openPairParts(options));
    pair.#reportDamage();
    await pair.#loop.replay();
    await pair.refreshFreeBytes();
    return pair;
  }

  /** Reads everything again; needs `tick` about once a second. */
  get scrubber(): PairScrubber {
    return this.#parts.scrubber;
  }

  get journal(): RetentionJournal {
    return this.#parts.journal;
  }

  /** True when the pair stopped and must be opened anew. */
  get failed(): boolean {
    return this.#loop.failure !== undefined || this.departure.mustReopen;
  }

  /** Grows with the source. */
  get sizeBytes(): ByteCount {
    return this.#parts.replica.size();
  }

  /** Begins to apply, unless it was handed over; from here on it goes on by itself. */
  start(): void {
    if (!this.departure.stands) this.#loop.start();
  }

  /**
   * Takes a set as received (`receivedAt`: when all of it was there), and its memory with it. `stored` means durable in the cache; for blocks of a resynchronisation, that they are
   * written to the replica.
   * @writePath 6 The master target checks the set and appends it to its cache; it answers when the cache is durable. A crash loses no set that was answered; the process server sends the others again.
   */
  store(bytes: Uint8Array, place: StreamPlace, receivedAt: TimeMicros = this.#options.clock()): Promise<StoreOutcome> {
    if (this.departure.stands) this.#parts.recycle(bytes.buffer);
    return this.departure.admit(() => this.#store(bytes, place, receivedAt));
  }

  async #store(bytes: Uint8Array, place: StreamPlace, receivedAt: TimeMicros): Promise<StoreOutcome> {
    if (this.failed) throw pairFailed(this.#options.pairId, this.#loop.failure);
    if (this.rebuilder && isReferringSet(bytes)) return this.#storeReferring(bytes, { place, receivedAt, rebuilder: this.rebuilder });
    const memory = new Set([bytes.buffer]);
    let isTaken = false;
    try {
      const set = await this.#check(bytes, place, receivedAt);
      if ('decoded' in set && set.decoded.header.contentBytes >= OWN_MEMORY_BYTES_MIN) memory.add(set.decoded.data.buffer);
      const answer = 'kind' in set ? set : (this.#turnAway(set, place) ?? set);
      if (!('decoded' in answer)) return await answer;
      isTaken = true;
      return await this.#take(answer, place);
    } finally {
      if (!isTaken) memory.forEach(this.#parts.recycle);
    }
  }

  /** A set that cannot be taken now is not made again for nothing. One of an old epoch is: it is kept aside as it was. */
  async #storeReferring(bytes: Uint8Array, { place, receivedAt, rebuilder }: { readonly place: StreamPlace; readonly receivedAt: TimeMicros; readonly rebuilder: SetRebuilder }): Promise<StoreOutcome> {
    const admission = this.#parts.cache.admission(place);
    const mayBeTaken = admission.kind !== 'too-early' && admission.kind !== 'full';
    const rebuilding = mayBeTaken ? await rebuilder.rebuild(bytes) : ({ kind: 'answer', answer: await this.#answerWithoutTaking(admission, place, bytes) } as const);
    this.#parts.recycle(bytes.buffer);
    return rebuilding.kind === 'answer' ? rebuilding.answer : this.store(rebuilding.bytes, place, receivedAt);
  }

  async #check(bytes: Uint8Array, place: StreamPlace, receivedAt: TimeMicros): Promise<ReceivedSet | StoreOutcome> {
    const verified = verifyStored(bytes);
    if (!verified.ok) return corrupt(verified.code, verified.detail);
    const { header } = verified;
    if (header.pairId !== this.#options.pairId || header.epoch !== place.epoch || header.sequence !== place.sequence) {
      return this.#refuse(place, { code: 'change-set/wrong-address', detail: 'the header names another pair, epoch or sequence than the request' });
    }
    const admission = this.#parts.cache.admission(place);
    if (admission.kind !== 'take') return this.#answerWithoutTaking(admission, place, bytes);
    const decoded = await decompressChangeSet(verified, this.#parts.decompress);
    if (!decoded.ok) return this.#refuse(place, { code: decoded.code, detail: decoded.detail });
    const missing = missingBase(decoded, this.#parts.cache.placeBefore(place.epoch));
    if (missing) return this.#refuse(place, { code: REPLICA_LACKS_BASE, detail: missing });
    await this.#growWith(decoded);
    return { bytes, decoded, markers: streamMarkersOf(decoded), receivedAt };
  }

  /** Undefined: the set may be taken in this turn. Others may have come in while it was decompressed. */
  #turnAway({ bytes, decoded }: ReceivedSet, place: StreamPlace): undefined | StoreOutcome | Promise<StoreOutcome> {
    const admission = this.#parts.cache.admission(place);
    if (admission.kind !== 'take') return this.#answerWithoutTaking(admission, place, bytes);
    const fault = faultOfRange(decoded, this.sizeBytes);
    if (fault !== undefined) return this.#isNext(place) ? this.#refuse(place, { code: 'change-set/outside-volume', detail: fault }) : tooEarly();
    if (this.#freeBytes < this.#parts.limits.freeBytesMin + bytes.length) throw noSpace(this.#options.pairId);
    return undefined;
  }

  async #take(set: ReceivedSet, place: StreamPlace): Promise<StoreOutcome> {
    const { decoded, receivedAt } = set;
    const { traceparent, entryCount } = decoded.header;
    this.#hops.begin({ ...place, storedBytes: set.bytes.length, entryCount, traceparent, receivedAt });
    if (this.#mayPass(place, decoded)) return this.#pass(place, set);
    await this.#keep(place, set);
    this.#freeBytes -= set.bytes.length;
    this.#hops.cacheDurable(place);
    this.#watch.received(set.markers, place);
    this.#loop.wake();
    this.#hops.answered(place);
    return this.#stored();
  }

  /** After a failed sync the log takes nothing any more until it is opened anew, so the pair stops. */
  async #keep(place: StreamPlace, set: ReceivedSet): Promise<void> {
    try {
      await this.#parts.cache.take(place, set);
    } catch (error) {
      if (isOperationError(error, 'segment-log/failed')) this.#loop.fail(error);
      throw error;
    }
  }

  /** The source grew: durable before the set that says so. */
  async #growWith(set: VerifiedChangeSet): Promise<void> {
    const volumeBytes = epochStartOf(set)?.volumeBytes ?? 0;
    if (volumeBytes > this.sizeBytes) await growReplica(this.#parts, volumeBytes);
  }

  /** No set before it is missing, in particular not the one that says how big the volume is. */
  #isNext({ epoch, sequence }: StreamPlace): boolean {
    const { received } = this.#parts.cache;
    return sequence === 1 || (epoch === received.epoch && sequence <= received.sequence + 1);
  }

  /** Blocks of a resynchronisation under way: the source has them, and their regions stay marked there until a checkpoint covers them. */
  #mayPass(place: StreamPlace, decoded: VerifiedChangeSet): boolean {
    const { contentBytes } = decoded.header;
    if (!this.#parts.cache.isPassable(place, { contentBytes, appliedIsGreen: this.#parts.journal.applied.green })) return false;
    return decoded.entries().every(({ kind }) => kind === 'resync-write' || kind === 'resync-zero');
  }

  async #pass(place: StreamPlace, set: ReceivedSet): Promise<StoreOutcome> {
    const written = this.#parts.cache.pass(place, set);
    this.#loop.wake();
    try {
      await written;
    } catch (error) {
      if (isOperationError(error, OLD_EPOCH)) return this.#refuse(place, { code: error.code, detail: error.hint });
      throw error;
    }
    this.#hops.answered(place);
    return this.#stored();
  }

  async #answerWithoutTaking(admission: Exclude<Admission, { kind: 'take' }>, place: StreamPlace, bytes: Uint8Array): Promise<StoreOutcome> {
    switch (admission.kind) {
      case 'have':
        await admission.durable;
        return this.#stored();
      case 'old-epoch': {
        const reason = `epoch ${place.epoch} ended, the pair is at epoch ${this.#parts.cache.received.epoch}`;
        const kept = await this.#parts.quarantine.keep({ ...place, reason, keptAt: this.#options.clock() }, bytes);
        const detail = `${reason}; the set was ${kept ? 'kept aside' : 'dropped, the quarantine is full'}`;
        return this.#refuse(place, { code: OLD_EPOCH, detail });
      }
      case 'too-early':
        return tooEarly();
      case 'full':
        return { kind: 'held-off', retryAfterMillis: 500, code: 'change-set/flow-controlled', detail: 'the cache of the pair is full' };
    }
  }

  #stored(): StoreOutcome {
    return { kind: 'stored', ...this.#progress() };
  }

  #refuse(place: StreamPlace, { code, detail }: { code: string; detail: string }): StoreOutcome {
    this.#refusedSets++;
    this.#emit({ kind: 'refused', ...place, code, reason: detail });
    if (code === 'change-set/corrupt') return corrupt(code, detail);
    return { kind: 'refused', code, detail, hint: 'The set will never be taken; the agent begins a new epoch or resynchronises.' };
  }

  /** Where the pair is, for a sender that starts. */
  position(): StreamPlace & Progress {
    const { epoch, sequence } = this.#parts.cache.received;
    return { epoch, sequence, ...this.#progress() };
  }

  #progress(): Progress {
    const { cache, checkpoint, damage } = this.#parts;
    const { epoch: appliedEpoch, sequence: appliedSequence } = checkpoint.current?.applied ?? { epoch: 0, sequence: 0 };
    const damaged = damage.ranges.slice(0, DAMAGED_RANGES_MAX);
    return { appliedEpoch, appliedSequence, creditBytes: cache.creditBytes, ...(damaged.length > 0 && { damaged }) };
  }

  /** See ReplicaComparer. */
  async compare(question: Uint8Array, place: StreamPlace): Promise<CompareOutcome> {
    if (this.failed) throw pairFailed(this.#options.pairId, this.#loop.failure);
    return this.departure.admit(() => this.#comparer.compare(question, place));
  }

  points(): RecoveryPoints {
    return this.retention.points();
  }

  /** Opens the disk as of `pointTime`, an instant that `points()` offers. Close the reader with `closeReader`. */
  async openReader(pointTime: TimeMicros): Promise<ViewReader> {
    const map = await this.#parts.journal.openView(pointTime);
    this.#views++;
    const { journal, replica, damage } = this.#parts;
    return new ViewReader({ journal, replica, lostIn: damage.lostIn, map });
  }

  closeReader(reader: ViewReader): void {
    this.#views--;
    this.#parts.journal.closeView(reader.map);
  }

  /** See StoreRequest.lateTraces. */
  traceLate(places: readonly StreamPlace[]): void {
    for (const place of places) this.#hops.traceLate(place);
  }

  hops(place?: StreamPlace): SetHops | undefined {
    return this.#hops.find(place);
  }

  /** Change sets that were refused and kept aside. */
  quarantined(): KeptSet[] {
    return this.#parts.quarantine.list();
  }

  /** Looks at the free space again, and at what it means for retention; call it about once per second. */
  async refreshFreeBytes(): Promise<void> {
    this.#freeBytes = await this.#options.directory.freeBytes();
    this.retention.observe(this.#freeBytes);
    if (this.#freeBytes < 2 * this.#parts.limits.freeBytesMin) this.#parts.log.trim();
  }

  status(): PairStatus {
    const { journal, cache, checkpoint } = this.#parts;
    const points = this.points();
    const { epoch, sequence, lastTime, green } = journal.applied;
    const oldest = cache.oldestWaiting;
    return {
      epoch, sequence, green,
      receivedSequence: cache.received.sequence,
      applied: { epoch: checkpoint.current?.applied.epoch ?? 0, sequence: checkpoint.current?.applied.sequence ?? 0 },
      coveredTime: lastTime,
      stage: this.#watch.stage(green),
      cacheBytes: cache.cachedBytes,
      cachedSets: cache.cachedSets,
      journalBytes: journal.storedBytes,
      retention: this.retention.standing,
      cold: this.#parts.cold?.standing,
      earliestPoint: points.earliest,
      latestPoint: points.latest,
      views: this.#views,
      scrub: this.#parts.scrubber.status,
      appliedBytesTotal: this.#loop.appliedBytes,
      refusedSets: this.#refusedSets,
      stays: this.#hops.stays(oldest && (oldest.receivedAt ?? this.#openedAt)),
      fault: this.#loop.fault,
    };
  }

  /** Resolves when all that was received in order is applied and durable in the replica. */
  async idle(): Promise<void> {
    await this.#loop.idle();
  }

  /** Finishes the group and checkpoint under way and closes the files. */
  async close(): Promise<void> {
    const { journal, checkpoint, replica } = this.#parts;
    await this.#endWork();
    await journal.close();
    await checkpoint.close();
    await replica.close();
  }

  /** Ends what changes the pair; all of it is durable then, and what reads goes on. Rejects when the pair fails meanwhile. */
  async #standStill(): Promise<void> {
    await this.#endWork();
    if (this.#loop.failure) throw this.#loop.failure;
  }

  #endWork(): Promise<void> {
    const { cold, scrubber, log, checksums, replica } = this.#parts;
    const end = async (): Promise<void> => {
      cold?.close();
      await scrubber.stop();
      await this.#loop.stop();
      await this.departure.settled();
      await log.close();
      // After a failed sync nobody knows what of the replica is durable, so no checksum of it is trusted.
      await checksums.close(this.#loop.failure ? undefined : () => replica.sync());
    };
    return (this.#workEnded ??= end());
  }

  #background(): BackgroundWork[] {
    const { journal, limits, cold } = this.#parts;
    const { clock, delay } = this.#options;
    const retention = (): RetentionLimits => this.retention.effective;
    const merge = new BackgroundWork({
      clock, delay,
      lookMicros: limits.mergeLookMicros, restMicros: 60 * limits.mergeLookMicros,
      next: (pause) => journal.mergeNext(retention(), pause),
      onFailure: (failure) => this.#emit({ kind: 'fault', ...failure }),
    });
    return cold ? [merge, cold.serve({ journal, retention, mayMove: () => !this.departure.isCopied })] : [merge];
  }

  #reportDamage(): void {
    const { journal, log } = this.#parts;
    if (journal.report.damaged.length > 0) {
      this.#emit({ kind: 'fault', code: 'journal/damaged', hint: `Journal segments were damaged and set aside, older instants are lost: ${journal.report.damaged.join(', ')}` });
    }
    if (log.corrupt.length > 0) this.#emit({ kind: 'resync-required', reason: 'cached change sets were damaged on disk' });
  }

  #emit(event: PairEvent): void {
    this.#options.onEvent?.(event);
  }
}
