// SPDX-License-Identifier: Apache-2.0
// One replication pair at the target: cache → retention journal → replica, and its recovery points and views. Runs in a thread of its own;
// a plain class, so that it runs anywhere. Invariants: I2 (cached sets are released only after their replica writes are durable), I3, I4,
// I6 (older epochs are refused and kept aside), I8 (every file may be cut off at any instant), I9 (cache and memory have limits).
import { KeptChecksums } from '@secondsite/block-checksums';
import { type Decompress, decompressChangeSet, type VerifiedChangeSet, verifyStored } from '@secondsite/change-set';
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import { RecoveryPoints, RetentionJournal, type RetentionLimits, ViewReader } from '@secondsite/retention-journal';
import { SegmentLog } from '@secondsite/segment-log';
import type { CompareOutcome, StoreOutcome } from '@secondsite/transport';
import { type ByteCount, GIB, isOperationError, MIB, OperationError, type TimeMicros } from '@secondsite/units';
import { ApplyLoop } from './apply-loop';
import { CheckpointFile } from './checkpoint-file';
import type { PairEvent, PairStatus, SetHops, StreamPlace } from './pair-types';
import { Quarantine } from './quarantine';
import { RecentHops } from './recent-hops';
import { ReadMemory } from './read-memory';
import { ReplicaComparer } from './replica-comparer';
import { type Admission, type CachedSet, SetCache } from './set-cache';
import { SetApplier } from './set-applier';
import { StreamWatch } from './stream-watch';
import { faultOfRange } from './write-replica';

export interface TargetPairOptions {
  readonly directory: StorageDirectory;
  readonly pairId: string;
  readonly sizeBytes: ByteCount;
  readonly retention: RetentionLimits;
  readonly decompress: Decompress;
  readonly clock: () => TimeMicros;
  /** Resolves after about so many milliseconds. */
  readonly delay: (millis: number) => Promise<void>;
  readonly onEvent?: (event: PairEvent) => void;
  /** Called once for each set that was applied, with its times. */
  readonly onApplied?: (hops: SetHops) => void;
  readonly limits?: Partial<PairLimits>;
  /** Takes the memory of a set given to `store` when the pair has no more use for it. Not of every set. */
  readonly recycle?: (memory: ArrayBufferLike) => void;
}

export interface PairLimits {
  /** Cached sets, on disk; above it senders are held off. Default 2 GiB. */
  readonly cacheBytesMax: ByteCount;
  /** Cached sets kept decoded in memory; default 64 MiB. */
  readonly memoryBytesMax: ByteCount;
  /** How far ahead of a missing set others are taken; default 32. */
  readonly windowSets: number;
  /** Below so many free bytes nothing is taken; default 256 MiB. */
  readonly freeBytesMin: ByteCount;
  /** Segments of cache and journal; default 64 MiB each. */
  readonly segmentBytes: ByteCount;
  /** Sets applied together; default 32 MiB, and a quarter of it while views are open. */
  readonly groupBytes: ByteCount;
  /** Replica writes after which a checkpoint is made; default 128 MiB. */
  readonly checkpointBytes: ByteCount;
  /** … and the time after which one is made; default 1 s. */
  readonly checkpointMicros: TimeMicros;
}

const defaultLimits: PairLimits = {
  cacheBytesMax: 2 * GIB, memoryBytesMax: 64 * MIB, windowSets: 32, freeBytesMin: 256 * MIB, segmentBytes: 64 * MIB,
  groupBytes: 32 * MIB, checkpointBytes: 128 * MIB, checkpointMicros: 1e6,
};

const REPLICA = 'replica.img';
const REPLICA_CHECKSUMS = 'replica-blocks';

interface PairParts {
  readonly replica: StorageFile;
  /** Of the replica's blocks. */
  readonly checksums: KeptChecksums;
  readonly log: SegmentLog;
  readonly journal: RetentionJournal;
  readonly checkpoint: CheckpointFile;
  readonly quarantine: Quarantine;
  readonly cache: SetCache;
  /** For sets that are read back from the cache. */
  readonly readMemory: ReadMemory;
  readonly limits: PairLimits;
}

export class TargetPair {
  readonly #options: TargetPairOptions;
  readonly #parts: PairParts;
  readonly #loop: ApplyLoop;
  readonly #watch: StreamWatch;
  readonly #comparer: ReplicaComparer;
  readonly #hops = new RecentHops();
  #freeBytes = Infinity;
  #refusedSets = 0;
  #views = 0;

  private constructor(options: TargetPairOptions, parts: PairParts) {
    this.#options = options;
    this.#parts = parts;
    this.#watch = new StreamWatch({ green: parts.journal.recorded.green, emit: (event) => this.#emit(event) });
    this.#loop = new ApplyLoop({
      ...parts,
      applier: new SetApplier(parts),
      watch: this.#watch,
      hops: this.#hops,
      retention: options.retention,
      clock: options.clock,
      delay: options.delay,
      load: async (set) => set.decoded ?? this.#readBack(set),
      emit: (event) => this.#emit(event),
      onApplied: options.onApplied ?? (() => undefined),
      cacheIsDamaged: parts.log.corrupt.length > 0,
    });
    this.#comparer = new ReplicaComparer({
      pairId: options.pairId, volumeBytes: options.sizeBytes, replica: parts.replica, checksums: parts.checksums, reached: () => this.#loop.reached, newestEpoch: () => parts.cache.received.epoch,
    });
  }

  /**
   * Opens or makes the pair's files and brings the replica to where the journal is, so that every view is exact on return. Starts to apply
   * with `start`.
   */
  static async open(options: TargetPairOptions): Promise<TargetPair> {
    const { directory } = options;
    const limits = { ...defaultLimits, ...options.limits };
    const replica = await openReplica(options);
    const checksums = await KeptChecksums.open({ directory, name: REPLICA_CHECKSUMS, pairId: options.pairId, volumeBytes: options.sizeBytes });
    const checkpoint = await CheckpointFile.open(directory);
    const applied = checkpoint.current?.applied;
    const journal = await RetentionJournal.open(await directory.directory('journal'), {
      segmentBytes: limits.segmentBytes,
      ...(applied && { replicaState: applied }),
    });
    const log = await SegmentLog.open(await directory.directory('cache'), { segmentBytes: limits.segmentBytes });
    const readMemory = new ReadMemory(2 * limits.groupBytes);
    const cache = new SetCache({
      ...limits, log,
      applied: applied ?? { epoch: 0, sequence: 0 },
      endedEpochs: checkpoint.current?.endedEpochs ?? [],
      recycle: (memory) => {
        if (!readMemory.giveBack(memory)) options.recycle?.(memory);
      },
    });
    const quarantine = await Quarantine.open(await directory.directory('quarantine'));
    const pair = new TargetPair(options, { replica, checksums, log, journal, checkpoint, quarantine, cache, readMemory, limits });
    pair.#reportDamage();
    await pair.#loop.replay();
    await pair.refreshFreeBytes();
    return pair;
  }

  get journal(): RetentionJournal {
    return this.#parts.journal;
  }

  /** True when the pair stopped and must be opened anew. */
  get failed(): boolean {
    return this.#loop.failure !== undefined;
  }

  get sizeBytes(): ByteCount {
    return this.#options.sizeBytes;
  }

  /** Begins to apply; from here on it goes on by itself. */
  start(): void {
    this.#loop.start();
  }

  /**
   * Takes a set as received, and its memory with it. `stored` means durable in the cache; for blocks of a resynchronisation, that they are
   * written to the replica.
   * @writePath 6 The master target checks the set and appends it to its cache; it answers when the cache is durable. A crash loses no set that was answered; the process server sends the others again.
   */
  async store(bytes: Uint8Array, place: StreamPlace): Promise<StoreOutcome> {
    if (this.failed) throw pairFailed(this.#options.pairId, this.#loop.failure);
    const receivedAt = this.#options.clock();
    const verified = verifyStored(bytes);
    if (!verified.ok) return corrupt(verified.code, verified.detail);
    const { header } = verified;
    if (header.pairId !== this.#options.pairId || header.epoch !== place.epoch || header.sequence !== place.sequence) {
      return this.#refuse(place, { code: 'change-set/wrong-address', detail: 'the header names another pair, epoch or sequence than the request' });
    }
    const admission = this.#parts.cache.admission(place);
    if (admission.kind !== 'take') return this.#answerWithoutTaking(admission, place, bytes);
    const decoded = await decompressChangeSet(verified, this.#options.decompress);
    if (!decoded.ok) return this.#refuse(place, { code: decoded.code, detail: decoded.detail });
    const fault = faultOfRange(decoded, this.#options.sizeBytes);
    if (fault !== undefined) return this.#refuse(place, { code: 'change-set/outside-volume', detail: fault });
    return this.#take(place, { bytes, decoded, receivedAt });
  }

  async #take(place: StreamPlace, { bytes, decoded, receivedAt }: { bytes: Uint8Array; decoded: VerifiedChangeSet; receivedAt: TimeMicros }): Promise<StoreOutcome> {
    // Others may have come in while this one was decompressed.
    const admission = this.#parts.cache.admission(place);
    if (admission.kind !== 'take') return this.#answerWithoutTaking(admission, place, bytes);
    if (this.#freeBytes < this.#parts.limits.freeBytesMin + bytes.length) throw noSpace(this.#options.pairId);
    const { traceparent, entryCount } = decoded.header;
    this.#hops.begin({ ...place, storedBytes: bytes.length, entryCount, traceparent, receivedAt });
    if (this.#mayPass(place, decoded)) return this.#pass(place, { bytes, decoded });
    const storedBytes = bytes.length;
    await this.#parts.cache.take(place, { bytes, decoded });
    this.#freeBytes -= storedBytes;
    this.#hops.note(place, { cacheDurableAt: this.#options.clock() });
    this.#watch.received(decoded, place);
    this.#loop.wake();
    return this.#stored();
  }

  /** Blocks of a resynchronisation under way: the source has them, and their regions stay marked there until a checkpoint covers them. */
  #mayPass(place: StreamPlace, decoded: VerifiedChangeSet): boolean {
    const { contentBytes } = decoded.header;
    if (!this.#parts.cache.isPassable(place, { contentBytes, appliedIsGreen: this.#parts.journal.applied.green })) return false;
    return decoded.entries().every(({ kind }) => kind === 'resync-write' || kind === 'resync-zero');
  }

  async #pass(place: StreamPlace, set: { bytes: Uint8Array; decoded: VerifiedChangeSet }): Promise<StoreOutcome> {
    const written = this.#parts.cache.pass(place, set);
    this.#loop.wake();
    try {
      await written;
    } catch (error) {
      if (isOperationError(error, 'change-set/old-epoch')) return this.#refuse(place, { code: error.code, detail: error.hint });
      throw error;
    }
    return this.#stored();
  }

  async #answerWithoutTaking(admission: Exclude<Admission, { kind: 'take' }>, place: StreamPlace, bytes: Uint8Array): Promise<StoreOutcome> {
    switch (admission.kind) {
      case 'have':
        await admission.durable;
        return this.#stored();
      case 'old-epoch': {
        const kept = await this.#parts.quarantine.keep(place, bytes);
        const detail = `epoch ${place.epoch} ended, the pair is at epoch ${this.#parts.cache.received.epoch}; the set was ${kept ? 'kept aside' : 'dropped, the quarantine is full'}`;
        return this.#refuse(place, { code: 'change-set/old-epoch', detail });
      }
      case 'too-early':
        return { kind: 'held-off', retryAfterMillis: 100, code: 'change-set/out-of-window', detail: 'earlier sets are missing' };
      case 'full':
        return { kind: 'held-off', retryAfterMillis: 500, code: 'change-set/flow-controlled', detail: 'the cache of the pair is full' };
    }
  }

  #stored(): StoreOutcome {
    const applied = this.#parts.checkpoint.current?.applied;
    return { kind: 'stored', appliedEpoch: applied?.epoch ?? 0, appliedSequence: applied?.sequence ?? 0, creditBytes: this.#parts.cache.creditBytes };
  }

  #refuse(place: StreamPlace, { code, detail }: { code: string; detail: string }): StoreOutcome {
    this.#refusedSets++;
    this.#emit({ kind: 'refused', ...place, code, reason: detail });
    if (code === 'change-set/corrupt') return corrupt(code, detail);
    return { kind: 'refused', code, detail, hint: 'The set will never be taken; the agent begins a new epoch or resynchronises.' };
  }

  /** Where the pair is, for a sender that starts. */
  position(): StreamPlace & { readonly appliedEpoch: number; readonly appliedSequence: number; readonly creditBytes: ByteCount } {
    const { epoch, sequence } = this.#parts.cache.received;
    const applied = this.#parts.checkpoint.current?.applied;
    return { epoch, sequence, appliedEpoch: applied?.epoch ?? 0, appliedSequence: applied?.sequence ?? 0, creditBytes: this.#parts.cache.creditBytes };
  }

  /** See ReplicaComparer. */
  async compare(question: Uint8Array, place: StreamPlace): Promise<CompareOutcome> {
    if (this.failed) throw pairFailed(this.#options.pairId, this.#loop.failure);
    return this.#comparer.compare(question, place);
  }

  points(): RecoveryPoints {
    return RecoveryPoints.ofVolume(this.#parts.journal.timelines);
  }

  /** Opens the disk as of `pointTime`, an instant that `points()` offers. Close the reader with `closeReader`. */
  async openReader(pointTime: TimeMicros): Promise<ViewReader> {
    const map = await this.#parts.journal.openView(pointTime);
    this.#views++;
    return new ViewReader({ journal: this.#parts.journal, replica: this.#parts.replica, map });
  }

  closeReader(reader: ViewReader): void {
    this.#views--;
    this.#parts.journal.closeView(reader.map);
  }

  hops(place?: StreamPlace): SetHops | undefined {
    return this.#hops.find(place);
  }

  setRetention(retention: RetentionLimits): void {
    this.#loop.setRetention(retention);
  }

  /** Looks at the free space again; call it about once per second. */
  async refreshFreeBytes(): Promise<void> {
    this.#freeBytes = await this.#options.directory.freeBytes();
  }

  status(): PairStatus {
    const { journal, cache, checkpoint } = this.#parts;
    const points = this.points();
    const { epoch, sequence, lastTime, green } = journal.applied;
    return {
      epoch, sequence, green,
      receivedSequence: cache.received.sequence,
      applied: { epoch: checkpoint.current?.applied.epoch ?? 0, sequence: checkpoint.current?.applied.sequence ?? 0 },
      coveredTime: lastTime,
      stage: this.#watch.stage(green),
      cacheBytes: cache.cachedBytes,
      cachedSets: cache.cachedSets,
      journalBytes: journal.storedBytes,
      earliestPoint: points.earliest,
      latestPoint: points.latest,
      views: this.#views,
      appliedBytesTotal: this.#loop.appliedBytes,
      refusedSets: this.#refusedSets,
      fault: this.#loop.fault,
    };
  }

  /** Resolves when all that was received in order is applied and durable in the replica. */
  async idle(): Promise<void> {
    await this.#loop.idle();
  }

  /** Finishes the group and checkpoint under way and closes the files. */
  async close(): Promise<void> {
    await this.#loop.stop();
    await this.#parts.log.close();
    await this.#parts.journal.close();
    await this.#parts.checkpoint.close();
    await this.#parts.checksums.close(() => this.#parts.replica.sync());
    await this.#parts.replica.close();
  }

  async #readBack(set: CachedSet): Promise<VerifiedChangeSet> {
    const { cache, readMemory } = this.#parts;
    const bytes = await cache.read(set, (length) => readMemory.take(length));
    const decoded = await this.#decodeCached(bytes, set);
    cache.keepRead(set, { bytes, decoded });
    return decoded;
  }

  async #decodeCached(bytes: Uint8Array, place: StreamPlace): Promise<VerifiedChangeSet> {
    const verified = verifyStored(bytes);
    const decoded = verified.ok ? await decompressChangeSet(verified, this.#options.decompress) : verified;
    if (decoded.ok) return decoded;
    throw new OperationError({
      code: 'cache/damaged-set', operation: 'read set from cache', context: { ...place, fault: decoded.code }, retryable: false,
      hint: 'The cache returned other bytes than were written. Check the disk; the pair must be resynchronised.',
    });
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

async function openReplica({ directory, sizeBytes }: TargetPairOptions): Promise<StorageFile> {
  const names = await directory.list();
  // Checksums of a replica that is gone mean nothing.
  if (!names.includes(REPLICA)) for (const name of names.filter((other) => other.startsWith(`${REPLICA_CHECKSUMS}.`))) await directory.remove(name);
  const replica = await directory.open(REPLICA, { create: true });
  if (replica.size() < sizeBytes) {
    await replica.truncate(sizeBytes);
    await replica.sync();
  }
  await directory.sync();
  return replica;
}

function corrupt(code: string, detail: string): StoreOutcome {
  return { kind: 'corrupt', code, detail, hint: 'Send the set again from its own copy.' };
}

function noSpace(pairId: string): OperationError {
  return new OperationError({
    code: 'storage/no-space', operation: 'store change set', context: { pairId }, retryable: true,
    hint: 'Free space on the disk of the master target, or shorten retention; replication goes on by itself afterwards.',
  });
}

function pairFailed(pairId: string, cause: unknown): OperationError {
  return new OperationError({
    code: 'pair/stopped', operation: 'store change set', context: { pairId }, retryable: true, cause,
    hint: 'The pair is being opened anew; the set is taken afterwards.',
  });
}
