// SPDX-License-Identifier: Apache-2.0
// The change sets of one pair that the master target does not have yet, durable.
// Invariants: a set is confirmed only when it is durable here; it is deleted only after the master target confirmed it (I2), its epoch was
// given up for a newer one, or the pair was removed; once a set of a newer epoch is durable, older ones are refused for ever (I6).
import { Quarantine } from '@secondsite/change-set';
import type { StorageDirectory } from '@secondsite/durable-storage';
import { type RecordPosition, SegmentLog, type SegmentLogOptions } from '@secondsite/segment-log';
import { type ByteCount, type Epoch, isOperationError, MIB, type SequenceNumber, type TimeMicros } from '@secondsite/units';
import type { BodyPool, DamagedRange, Progress } from '@secondsite/transport';
import type { ByteBudget } from '../byte-budget';
import { EpochQueue, type SpooledSet } from './epoch-queue';
import { isAfter, type PairState, readPairState, type StreamPlace, writePairState } from './pair-state';

export interface IncomingSet {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  readonly firstTime: TimeMicros;
  readonly traceparent: string | undefined;
  /** The whole change set; from now on owned by the spool, unless it is lent. */
  readonly content: Uint8Array;
  /** The content is only to be written down: somebody else still reads it. */
  readonly lent?: boolean;
}

export type PutResult = 'stored' | 'repeated' | 'old-epoch';

export interface PairSpoolOptions {
  readonly directory: StorageDirectory;
  /** Room for sets that are kept in memory until they are forwarded. */
  readonly memory: ByteBudget;
  readonly now: () => TimeMicros;
  /** Where the memory of contents comes from and goes back to. */
  readonly pool: BodyPool;
  readonly log?: SegmentLogOptions;
}

/** An empty spool may hold that much before it is given back, so that a trickle of small sets does not make a file each. */
const trimBytes = MIB;

export class PairSpool {
  readonly #options: PairSpoolOptions;
  readonly #log: SegmentLog;
  readonly #quarantine: Quarantine;
  readonly #queues = new Map<Epoch, EpochQueue>();
  readonly #appending = new Map<string, Promise<void>>();
  #state: PairState;
  #stateIsDurable = true;
  #damagedAtTarget: readonly DamagedRange[] = [];
  #toRelease: RecordPosition[] = [];
  #spoolBytes = 0;
  #appendingBytes = 0;
  #checkpointing: Promise<void> | undefined;

  private constructor(options: PairSpoolOptions, { log, state, quarantine }: { readonly log: SegmentLog; readonly state: PairState; readonly quarantine: Quarantine }) {
    this.#options = options;
    this.#log = log;
    this.#quarantine = quarantine;
    this.#state = state;
    for (const { key, position } of log.records()) this.#recover({ ...key, position });
    this.#queueOf(this.epoch);
  }

  /** Reads what is there. Sets that were confirmed before a crash are all here or at the master target. */
  static async open(options: PairSpoolOptions): Promise<PairSpool> {
    const state = await readPairState(options.directory);
    const log = await SegmentLog.open(options.directory, options.log);
    const quarantine = await Quarantine.open(await options.directory.directory('refused'));
    return new PairSpool(options, { log, state, quarantine });
  }

  /** Newest epoch seen; 0 before the first set. */
  get epoch(): Epoch {
    return this.#state.epoch;
  }

  /** Highest set of the newest epoch below which none is missing, durable here or at the master target. */
  get received(): SequenceNumber {
    return this.#queues.get(this.epoch)?.received ?? 0;
  }

  get applied(): StreamPlace {
    return this.#state.applied;
  }

  get forwarded(): StreamPlace {
    return this.#state.forwarded;
  }

  get stage(): PairState['stage'] {
    return this.#state.stage;
  }

  /** Bytes of sets that the master target does not have, those being written included. */
  get spoolBytes(): ByteCount {
    return this.#spoolBytes + this.#appendingBytes;
  }

  get spoolSets(): number {
    let count = 0;
    for (const queue of this.#queues.values()) count += queue.setCount;
    return count;
  }

  /** The one that has to be forwarded next, if it is here. */
  get oldestSet(): SpooledSet | undefined {
    const queue = this.oldestQueue();
    return queue?.get(queue.forwarded + 1);
  }

  /** First write of the oldest set that waits, as far as known. */
  get oldestTime(): TimeMicros | undefined {
    return this.oldestSet?.firstTime;
  }

  /** Ranges of the log that were durable and cannot be read; their sets are lost. */
  get damagedRanges(): number {
    return this.#log.corrupt.length;
  }

  /**
   * Resolves when the set is durable. Rejects with the storage's OperationError; then the set was not kept.
   * @writePath 4 Else the process server appends the change set to the pair's spool and answers 200 after one fdatasync shared with others: durability begins here; a crash before it loses nothing, the agent still holds the set and sends it again.
   */
  async put(set: IncomingSet): Promise<PutResult> {
    if (set.epoch < this.epoch) return 'old-epoch';
    if (this.#queues.get(set.epoch)?.has(set.sequence)) return 'repeated';
    const name = `${set.epoch}/${set.sequence}`;
    const other = this.#appending.get(name);
    if (other) {
      await other;
      return 'repeated';
    }
    const appending = this.#append(set);
    this.#appending.set(name, appending);
    try {
      await appending;
    } finally {
      this.#appending.delete(name);
    }
    return 'stored';
  }

  /**
   * The whole set, from memory or disk; call `done` when nothing reads it any more. Undefined: it is not kept any more. Throws OperationError
   * `segment-log/corrupt-record` when the disk changed it.
   */
  async read(set: SpooledSet): Promise<{ readonly content: Uint8Array; readonly done: () => void } | undefined> {
    const { pool } = this.#options;
    if (this.#queues.get(set.epoch)?.get(set.sequence) !== set) return undefined;
    if (set.memory) return { content: set.memory.content, done: () => undefined };
    const content = await this.#log.read(set.position, (bytes) => pool.take(bytes));
    return { content, done: () => pool.giveBack(content.buffer) };
  }

  /** How many bytes of the set the disk gives back as they were written; undefined: it is not kept any more. Throws like `read`. */
  async verify(set: SpooledSet): Promise<ByteCount | undefined> {
    const { pool } = this.#options;
    if (this.#queues.get(set.epoch)?.get(set.sequence) !== set) return undefined;
    const content = await this.#log.read(set.position, (bytes) => pool.take(bytes));
    pool.giveBack(content.buffer);
    return content.length;
  }

  /** The epoch to forward from: the oldest that has anything left to do. */
  oldestQueue(): EpochQueue | undefined {
    return this.#queues.get(Math.min(...this.#queues.keys()));
  }

  queues(): Iterable<EpochQueue> {
    return this.#queues.values();
  }

  /** The master target has this set, so nothing sends its content any more. It need not be in the spool (see PairForwarder.passOn). */
  acknowledge({ epoch, sequence }: StreamPlace): void {
    const queue = this.#queues.get(epoch);
    const done = queue?.acknowledge(sequence);
    const content = done?.memory?.content;
    if (done) this.#drop(done);
    if (content) this.giveBack(content);
    if (queue) this.#noteForwarded(queue);
  }

  /** Nothing reads this content any more. */
  giveBack(content: Uint8Array): void {
    this.#options.pool.giveBack(content.buffer);
  }

  /** The master target has everything up to `place` durably, and nothing before its epoch is of any use. Returns how many sets that gave up. */
  adoptPosition(place: StreamPlace): number {
    let givenUp = 0;
    for (const epoch of this.#epochsBelow(place.epoch)) givenUp += this.giveUp(epoch);
    const queue = this.#queues.get(place.epoch);
    for (const done of queue?.acknowledgeUpTo(place.sequence) ?? []) this.#drop(done);
    if (queue) this.#noteForwarded(queue);
    return givenUp;
  }

  /** What the master target says of its replica with each answer. */
  learnProgress({ appliedEpoch, appliedSequence, damaged = [] }: Progress): void {
    const place = { epoch: appliedEpoch, sequence: appliedSequence };
    if (isAfter(place, this.#state.applied)) this.#change({ applied: place });
    this.#damagedAtTarget = damaged;
  }

  /** As the master target said last; it says so until the agent has sent them again. */
  get damagedAtTarget(): readonly DamagedRange[] {
    return this.#damagedAtTarget;
  }

  setStage(stage: PairState['stage']): void {
    if (stage !== this.#state.stage) this.#change({ stage });
  }

  /** Drops what is left of an epoch. Only for one that is over: behind a gap, or refused by the master target. Returns how many sets. */
  giveUp(epoch: Epoch): number {
    const sets = [...(this.#queues.get(epoch)?.sets() ?? [])];
    for (const set of sets) this.#drop(set);
    this.#queues.delete(epoch);
    if (epoch === this.epoch) this.#queues.set(epoch, new EpochQueue(epoch, Math.max(0, ...sets.map(({ sequence }) => sequence))));
    return sets.length;
  }

  /** Sets that were refused, for an inspection. */
  get quarantine(): Quarantine {
    return this.#quarantine;
  }

  /**
   * Makes the state durable, then frees what the master target has. Called now and then: until then a crash only makes sets come back
   * that the master target confirms again. On a full disk space is freed all the same; the position is then asked from the master target.
   */
  async checkpoint(): Promise<void> {
    while (this.#checkpointing) await this.#checkpointing;
    if (this.#stateIsDurable && this.#toRelease.length === 0) return;
    this.#checkpointing = this.#writeAndRelease();
    try {
      await this.#checkpointing;
    } finally {
      this.#checkpointing = undefined;
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#appending.values());
    await this.checkpoint();
    for (const queue of this.#queues.values()) for (const set of queue.sets()) set.memory?.forget();
    await this.#log.close();
  }

  async #writeAndRelease(): Promise<void> {
    const released = this.#toRelease;
    this.#toRelease = [];
    this.#stateIsDurable = true;
    try {
      await writePairState(this.#options.directory, this.#state);
    } catch (error) {
      this.#stateIsDurable = false;
      if (!isOperationError(error, 'storage/no-space')) {
        this.#toRelease.unshift(...released);
        throw error;
      }
    }
    for (const position of released) this.#log.release(position);
    if (this.#log.recordCount === 0 && this.#log.bytesInUse > trimBytes) this.#log.trim();
  }

  async #append(set: IncomingSet): Promise<void> {
    const { epoch, sequence, content, lent = false, firstTime, traceparent } = set;
    this.#appendingBytes += content.length;
    let position: RecordPosition;
    try {
      position = await this.#log.append({ key: { epoch, sequence }, parts: [content] });
    } finally {
      this.#appendingBytes -= content.length;
    }
    if (epoch > this.epoch) this.#change({ epoch });
    const queue = this.#queueOf(epoch);
    if (queue === undefined || queue.isAcknowledged(sequence)) return void this.#toRelease.push(position);
    const forget = lent ? undefined : this.#options.memory.tryTake(content.length);
    const memory = forget && { content, forget };
    queue.add({ epoch, sequence, position, bytes: content.length, firstTime, traceparent, durableAt: this.#options.now(), memory });
    this.#spoolBytes += content.length;
    if (!memory && !lent) this.giveBack(content);
  }

  #recover({ epoch, sequence, position }: StreamPlace & { readonly position: RecordPosition }): void {
    if (epoch > this.epoch) this.#state = { ...this.#state, epoch };
    const queue = this.#queueOf(epoch);
    if (queue === undefined || queue.has(sequence)) return void this.#toRelease.push(position);
    const unknown = { firstTime: undefined, traceparent: undefined, durableAt: undefined, memory: undefined };
    queue.add({ epoch, sequence, position, bytes: position.payloadBytes, ...unknown });
    this.#spoolBytes += position.payloadBytes;
  }

  /** Undefined for an epoch that was forwarded or given up: those before the one the master target confirmed last. */
  #queueOf(epoch: Epoch): EpochQueue | undefined {
    const { forwarded } = this.#state;
    if (epoch < forwarded.epoch || epoch === 0) return undefined;
    let queue = this.#queues.get(epoch);
    if (!queue) this.#queues.set(epoch, (queue = new EpochQueue(epoch, epoch === forwarded.epoch ? forwarded.sequence : 0)));
    return queue;
  }

  #noteForwarded(queue: EpochQueue): void {
    const place = { epoch: queue.epoch, sequence: queue.forwarded };
    if (place.sequence > 0 && isAfter(place, this.#state.forwarded)) this.#change({ forwarded: place });
  }

  #epochsBelow(epoch: Epoch): Epoch[] {
    return [...this.#queues.keys()].filter((known) => known < epoch);
  }

  #drop(set: SpooledSet): void {
    set.memory?.forget();
    set.memory = undefined;
    this.#spoolBytes -= set.bytes;
    this.#toRelease.push(set.position);
  }

  #change(change: Partial<PairState>): void {
    this.#state = { ...this.#state, ...change };
    this.#stateIsDurable = false;
  }
}
