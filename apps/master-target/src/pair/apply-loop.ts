// SPDX-License-Identifier: Apache-2.0
// Drives applying: takes what is ready in groups, makes checkpoints beside it, and releases cached sets behind each checkpoint.
// Invariants: one group at a time; a checkpoint names only what the replica held when its sync began; nothing that is in the cache is
// applied after passing sets before a checkpoint covers those, so a crash takes back only the newest of the stream, and nothing green; a
// full disk pauses and retries, any other failure, also of a checkpoint, stops the loop until the pair is opened anew.
import type { KeptChecksums } from '@secondsite/block-checksums';
import type { VerifiedChangeSet } from '@secondsite/change-set';
import type { StorageFile } from '@secondsite/durable-storage';
import { compareStreamPlaces, type RetentionJournal, type RetentionLimits, type SetFacts } from '@secondsite/retention-journal';
import { type ByteCount, isOperationError, OperationError, type TimeMicros } from '@secondsite/units';
import type { BackgroundWork } from './background-work';
import type { CheckpointFile } from './checkpoint-file';
import type { PairLimits } from './pair-limits';
import type { PairEvent, StreamPlace } from './pair-types';
import type { ReplicaDamage } from './replica-damage';
import type { RecentHops } from './recent-hops';
import type { CachedSet, SetCache } from './set-cache';
import type { LoadedSet, SetApplier } from './set-applier';
import type { StreamWatch } from './stream-watch';

export interface ApplyLoopParts {
  readonly replica: StorageFile;
  readonly checksums: KeptChecksums;
  readonly damage: ReplicaDamage;
  readonly journal: RetentionJournal;
  readonly checkpoint: CheckpointFile;
  readonly cache: SetCache;
  readonly applier: SetApplier;
  readonly watch: StreamWatch;
  readonly hops: RecentHops;
  readonly limits: PairLimits;
  /** What the journal may keep now. */
  readonly retention: () => RetentionLimits;
  /** What goes on beside applying. */
  readonly background: readonly BackgroundWork[];
  readonly clock: () => TimeMicros;
  readonly delay: (millis: number) => Promise<void>;
  readonly load: (set: CachedSet) => Promise<VerifiedChangeSet>;
  /** The replica holds this set now. */
  readonly learn: (set: VerifiedChangeSet) => void;
  readonly emit: (event: PairEvent) => void;
  /** Sets that had been durable in the cache are lost. */
  readonly cacheIsDamaged: boolean;
}

type Loaded = LoadedSet & { readonly cached: CachedSet };

export class ApplyLoop {
  readonly #parts: ApplyLoopParts;
  /** The newest set that the replica holds, and everything before it. */
  #reached: StreamPlace;
  #moved = Promise.withResolvers<void>();
  /** Applied, not covered by a checkpoint yet. */
  #uncovered: CachedSet[] = [];
  #uncoveredBytes = 0;
  /** Those of the checkpoint under way. */
  #covering: readonly CachedSet[] = [];
  #lastCheckpoint: TimeMicros;
  #checkpointing: Promise<void> | undefined;
  /** What failed beside the loop: a checkpoint, or the cache. */
  #failureBeside: Error | undefined;
  #running: Promise<void> | undefined;
  #stopping = false;
  #wake: (() => void) | undefined;
  #idleWaiters: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  #failure: Error | undefined;
  #faultSince: TimeMicros = 0;
  fault: { readonly code: string; readonly hint: string } | undefined;
  appliedBytes: ByteCount = 0;

  constructor(parts: ApplyLoopParts) {
    this.#parts = parts;
    this.#lastCheckpoint = parts.clock();
    this.#reached = parts.checkpoint.current?.applied ?? { epoch: 0, sequence: 0 };
  }

  /**
   * The replica holds everything up to here. Undefined after a crash that took passing sets back, until they have come again or a new epoch
   * has begun: then nobody can tell what the replica holds.
   */
  get reached(): StreamPlace | undefined {
    return this.#isRecordedReached ? this.#reached : undefined;
  }

  /** Resolves when more is applied. */
  get moved(): Promise<void> {
    return this.#moved.promise;
  }

  /** Writes the sets whose undo is recorded to the replica again. Afterwards replica and journal agree. */
  async replay(): Promise<void> {
    const { journal, cache, applier } = this.#parts;
    for (;;) {
      const [set] = cache.takeReady(1);
      if (!set) break;
      if (!applier.isRecorded(set)) {
        cache.putBack([set]);
        break;
      }
      await this.#rewrite(set);
    }
    // Passing sets are not in the cache; what was recorded of them is not green, and the agent reads their regions again.
    const mayMiss = !journal.recorded.green && !this.#parts.cacheIsDamaged;
    if (!this.#isRecordedReached && !mayMiss) throw replayFailure(journal.recorded.sequence);
    if (this.#uncovered.length > 0) await this.#checkpoint();
  }

  async #rewrite(set: CachedSet): Promise<void> {
    await this.#parts.applier.rewrite([await this.#load(set)]);
    this.#covered(set);
  }

  /** False after a crash that took passing sets back, until they have come again or a new epoch has begun. No checkpoint can be made then. */
  get #isRecordedReached(): boolean {
    return compareStreamPlaces(this.#reached, this.#parts.journal.recorded) >= 0;
  }

  /** Why the loop stopped: only opening the pair anew helps. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  wake(): void {
    this.#wake?.();
  }

  /** Nothing can go on here: the loop stops before the next group, and the pair has to be opened anew. */
  fail(error: unknown): void {
    this.#failureBeside ??= errorOf(error);
    this.wake();
  }

  async idle(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      this.#idleWaiters.push({ resolve, reject });
      this.wake();
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.wake();
    await this.#running;
    await this.#checkpointing;
    await Promise.all(this.#parts.background.map((work) => work.stop()));
    this.#parts.cache.rejectPassing(stopped());
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        await this.#turn();
      } catch (error) {
        if (!isOperationError(error, 'storage/no-space')) return this.#fail(error);
        this.#setFault(error);
        await this.#parts.delay(1000);
      }
    }
    if (this.#failureBeside !== undefined) this.#fail(this.#failureBeside);
    else if (this.#uncovered.length > 0 && this.#failure === undefined) await this.#checkpointDone().catch((error: unknown) => this.#fail(error));
  }

  async #turn(): Promise<void> {
    const { cache, limits, journal, retention, background } = this.#parts;
    if (this.#failureBeside !== undefined) throw this.#failureBeside;
    await journal.maintain(retention());
    for (const work of background) work.nudge();
    const group = cache.takeReady(journal.openViews > 0 ? limits.groupBytes / 4 : limits.groupBytes);
    if (group.length === 0) return this.#rest();
    if (!group[0]?.passing) await this.#coverPassing();
    await this.#applyGroup(group);
    this.#clearFault();
    const due = this.#uncoveredBytes >= limits.checkpointBytes || this.#parts.clock() - this.#lastCheckpoint >= limits.checkpointMicros;
    if (due) this.#beginCheckpoint();
    // Passing sets take no room while they wait for a checkpoint.
    if (!group[0]?.passing && this.#uncoveredBytes >= 4 * limits.checkpointBytes) await this.#checkpointing;
  }

  /** Passing sets are in no cache: before anything is applied that is, a checkpoint has to cover them, be it one that is under way. */
  async #coverPassing(): Promise<void> {
    if (this.#covering.some(isPassing)) await this.#checkpointing;
    if (this.#failureBeside !== undefined) throw this.#failureBeside;
    if (this.#uncovered.some(isPassing)) await this.#checkpointDone();
  }

  /** Nothing to apply: cover all with a checkpoint at once, and wait for the next set. */
  async #rest(): Promise<void> {
    if (this.#uncovered.length > 0 && this.#isRecordedReached) this.#beginCheckpoint();
    if (!this.#checkpointing) for (const waiter of this.#idleWaiters.splice(0)) waiter.resolve();
    if (this.#stopping) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#parts.cache.readyCount > 0 || this.#failureBeside !== undefined) resolve();
    });
    this.#wake = undefined;
  }

  async #applyGroup(group: readonly CachedSet[]): Promise<void> {
    const { applier, cache, hops } = this.#parts;
    const loaded: Loaded[] = [];
    try {
      if (group[0] && applier.isRecorded(group[0])) return await this.#rewriteGroup(group);
      hops.applyBegan(group);
      for (const set of group) loaded.push(await this.#load(set));
      const facts = await applier.apply(loaded, () => hops.undoDurable(group));
      hops.applied(group);
      loaded.forEach((set, index) => this.#applied(set, facts[index] as SetFacts));
    } catch (error) {
      cache.putBack(group);
      hops.applyFailed();
      throw error;
    }
  }

  /** Sets of before a crash that came again; those of the group that are new wait for the next turn. */
  async #rewriteGroup(group: readonly CachedSet[]): Promise<void> {
    const { applier, cache } = this.#parts;
    const again = group.filter((set) => applier.isRecorded(set));
    cache.putBack(group.slice(again.length));
    for (const set of again) await this.#rewrite(set);
  }

  async #load(cached: CachedSet): Promise<Loaded> {
    const { epoch, sequence, continuityLost } = cached;
    return { cached, epoch, sequence, continuityLost, content: await this.#parts.load(cached) };
  }

  #applied(set: Loaded, facts: SetFacts): void {
    this.#parts.watch.applied(set.content, facts, this.#parts.replica.size());
    this.#parts.learn(set.content);
    this.appliedBytes += set.content.data.length;
    this.#covered(set.cached);
  }

  #covered(set: CachedSet): void {
    this.#parts.cache.applied(set);
    this.#reached = { epoch: set.epoch, sequence: set.sequence };
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
    this.#uncovered.push(set);
    this.#uncoveredBytes += set.storedBytes;
  }

  #beginCheckpoint(): void {
    this.#checkpointing ??= this.#checkpoint()
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.#checkpointing = undefined;
        this.wake();
      });
  }

  async #checkpointDone(): Promise<void> {
    await this.#checkpointing;
    await this.#checkpoint();
  }

  /**
   * Makes the replica durable as it is now, then says so, then lets the cache go.
   * @writePath 8 A checkpoint names the sets that are durable in the replica, and change-set-applied goes on the bus with the covered time, from which the RPO is told. A crash before it only repeats step 7.
   */
  async #checkpoint(): Promise<void> {
    const { replica, journal, checkpoint, checksums, cache, clock, hops, damage, emit } = this.#parts;
    if (!this.#isRecordedReached) return;
    const sets = this.#uncovered;
    const applied = journal.applied;
    [this.#covering, this.#uncovered, this.#uncoveredBytes, this.#lastCheckpoint] = [sets, [], 0, clock()];
    const synced = replica.sync();
    const flushed = checksums.flush(() => synced).catch((cause: unknown) => Promise.reject(checkpointFailure(cause)));
    flushed.catch(() => undefined); // It is looked at last.
    try {
      await Promise.all([synced, journal.sync()]);
      await checkpoint.write({ applied, endedEpochs: cache.endedEpochs });
      for (const { offset, length, isLost } of await damage.settle()) emit({ kind: 'damage-repaired', offset, bytes: length, isLost, at: applied.lastTime });
    } catch (cause) {
      throw checkpointFailure(cause);
    }
    this.#covering = [];
    for (const set of sets) cache.release(set);
    hops.covered(sets);
    const { epoch, sequence, lastTime } = applied;
    emit({ kind: 'applied', epoch, sequence, coveredTime: lastTime, appliedAt: clock(), traceparent: hops.find(applied)?.traceparent });
    await flushed;
  }

  #setFault(error: OperationError): void {
    if (this.fault?.code === error.code) return;
    this.#faultSince = this.#parts.clock();
    this.fault = { code: error.code, hint: error.hint };
    this.#parts.emit({ kind: 'fault', ...this.fault });
  }

  #clearFault(): void {
    if (!this.fault) return;
    this.fault = undefined;
    const seconds = Math.max(0, this.#parts.clock() - this.#faultSince) / 1e6;
    this.#parts.emit({ kind: 'fault-ended', seconds, coveredTime: this.#parts.journal.applied.lastTime });
  }

  #fail(error: unknown): void {
    this.#failure = errorOf(error);
    const known = isOperationError(error) ? error : undefined;
    this.fault = { code: known?.code ?? 'apply/failed', hint: known?.hint ?? String(error) };
    this.#parts.emit({ kind: 'fault', ...this.fault });
    for (const waiter of this.#idleWaiters.splice(0)) waiter.reject(error);
    this.#parts.cache.rejectPassing(stopped(error));
  }
}

function isPassing({ passing }: CachedSet): boolean {
  return passing !== undefined;
}

function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function stopped(cause?: unknown): OperationError {
  const hint = 'The pair is opened anew; the set is sent again by itself.';
  return new OperationError({ code: 'pair/stopped', operation: 'apply change sets', retryable: true, hint, cause });
}

/** Also on a full disk: what a failed sync left behind only opening the pair anew tells. */
function checkpointFailure(cause: unknown): OperationError {
  const hint = 'The pair is opened anew and writes the cached sets again. Check the disk of the master target and the space on it.';
  return new OperationError({ code: 'checkpoint/failed', operation: 'make the replica durable', retryable: true, hint, cause });
}

function replayFailure(sequence: number): OperationError {
  return new OperationError({
    code: 'cache/set-missing', operation: 'replay cached sets', context: { recordedSequence: sequence }, retryable: false,
    hint: 'A cached set that is needed to repair the replica is damaged. Remove and protect the volume again.',
  });
}
