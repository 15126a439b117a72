// SPDX-License-Identifier: Apache-2.0
// What has to be known durably before a write reaches a range, so that whoever starts after a crash reads it again (I1, ADR 31): the range's mark
// in the write-intent bitmap; or, while the disk of the data folder does not take marks, that the process server has an epoch which the
// bitmap's file cannot know. Whoever starts with such a file finds it behind, and trusts neither its marks nor kept checksums.
import type { KeptChecksums } from '@secondsite/block-checksums';
import { type ByteCount, type Epoch, OperationError } from '@secondsite/units';
import type { ByteRange, WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import { type Fault, faultOf } from './replication-status';

/** A write waits so long for its mark before the marks are given up; a loaded disk may take a second or two. */
const PATIENCE_MILLIS = 5000;
/** A longer time between two ticks is no longer to who waits: a thread that was held itself, or a machine that slept, heard no answer meanwhile. */
const TICK_MILLIS_MAX = 1000;
/** After a failed mark a write waits so long for the process server to know, before it fails. */
const FAILED_MILLIS_MAX = 10_000;
/** While marks are given up, the disk is tried so often. */
const RETRY_MILLIS = 5000;
/** Epochs begun without the file are so far from those that the file knows that a start which has not heard of them begins none of them again. */
const EPOCH_GAP = 1000;

export interface MarkKeeperOptions {
  readonly bitmap: WriteIntentBitmap;
  readonly checksums?: KeptChecksums | undefined;
  readonly volumeBytes: ByteCount;
  /** Monotonic. */
  readonly millis: () => number;
  /** The disk does not take marks: writes wait until a set of an epoch raised from now on is stored at the process server. */
  readonly givingUp: () => void;
  /** What else has to be durable before the file is trusted again. */
  readonly beforeReturn: () => Promise<void>;
}

/** `kept`: marks are durable before a write. `returning`: again, while the file is brought up to date. `given-up`: marks are in memory only. */
type State = 'kept' | 'giving-up' | 'given-up' | 'returning';

interface Waiter extends PromiseWithResolvers<void> {
  /** As `#awakeMillis`. */
  readonly since: number;
  error?: unknown;
}

export class MarkKeeper {
  readonly #options: MarkKeeperOptions;
  /** In the order in which they began to wait. */
  readonly #waiters = new Set<Waiter>();
  #state: State = 'kept';
  /** Highest that was raised, or heard of. */
  #epoch: Epoch;
  /** Everything is marked anyway. */
  #fileIsNew: boolean;
  #isBehind = false;
  /** The file knows no epoch from this one on, whatever is still being written to it. */
  #unknownFrom: Epoch = 0;
  #fault: Fault | undefined;
  #trying = false;
  #isClosed = false;
  #tryAt = 0;
  #tickedAt: number;
  /** Time that the ticks have seen pass. */
  #awakeMillis = 0;

  constructor(options: MarkKeeperOptions) {
    this.#options = options;
    this.#epoch = options.bitmap.epoch;
    this.#tickedAt = options.millis();
    this.#fileIsNew = options.bitmap.recovery.origin !== 'recovered';
  }

  /** Why marks are not durable; undefined while they are. */
  get fault(): Fault | undefined {
    return this.#fault;
  }

  /** Writes wait for the first set of a new epoch. */
  get isGivingUp(): boolean {
    return this.#state === 'giving-up';
  }

  /** Before a change of the range: `undefined` when it may happen in this turn, else wait and ask again. Rejects with the storage's OperationError. */
  admit(range: ByteRange): undefined | Promise<void> {
    const marked = this.#options.bitmap.mark(range);
    const stale = this.#options.checksums?.changing(range);
    // Both syncs go side by side; whoever waited for the first asks again, and so learns how the second ended.
    const durable = marked ?? stale;
    return durable && this.#state !== 'given-up' ? this.#wait(durable) : undefined;
  }

  /** Marks all of the volume, and forgets its checksums when the file is behind; durably, unless marks are given up: then nobody trusts the file anyway. */
  async markAll(): Promise<void> {
    const { bitmap, checksums } = this.#options;
    const marked = bitmap.mark(this.#wholeVolume);
    const stale = this.#isBehind ? checksums?.changing(this.#wholeVolume) : undefined;
    if (!this.#fault) await Promise.all([marked && this.#wait(marked), stale && this.#wait(stale)]);
    this.#isBehind = false;
  }

  /** The process server knows an epoch that the file does not: everything may differ, and `markAll` comes before the next epoch. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** The epoch in which the pair is at the process server. Perhaps an agent that had given the marks up began it, or a copy of the agent. */
  learnEpoch(epoch: Epoch): void {
    if (epoch <= this.#epoch) return;
    this.#epoch = epoch;
    this.#isBehind = !this.#fileIsNew;
  }

  /** An epoch that nobody had before; durable in the file when it resolves, unless the marks are given up. */
  async raiseEpoch(): Promise<Epoch> {
    const epoch = Math.max(this.#epoch + 1, this.#unknownFrom);
    this.#epoch = epoch;
    this.#fileIsNew = false;
    if (this.#state === 'kept') await this.#wait(this.#options.bitmap.raiseEpoch({ atLeast: epoch }).then(() => undefined));
    return epoch;
  }

  /** A set of this epoch is durable at the process server. */
  stored(epoch: Epoch): void {
    if (this.#state !== 'giving-up' || epoch < this.#unknownFrom) return;
    this.#state = 'given-up';
    this.#tryAt = this.#options.millis() + RETRY_MILLIS;
    this.#release();
  }

  /** Everything that depends on time. */
  tick(): void {
    const now = this.#options.millis();
    this.#awakeMillis += Math.min(now - this.#tickedAt, TICK_MILLIS_MAX);
    this.#tickedAt = now;
    for (const waiter of this.#waiters) {
      const waited = this.#awakeMillis - waiter.since;
      if (waited < PATIENCE_MILLIS) break;
      this.#giveUp(tooSlow());
      if (waiter.error === undefined || waited < FAILED_MILLIS_MAX) continue;
      this.#waiters.delete(waiter);
      waiter.reject(waiter.error);
    }
    if (this.#state === 'given-up' && !this.#trying && now >= this.#tryAt) void this.#return();
  }

  /** Whoever waits asks again, and from now on whoever else keeps the marks. */
  close(): void {
    this.#isClosed = true;
    this.#release();
  }

  #release(): void {
    for (const { resolve } of this.#waiters) resolve();
    this.#waiters.clear();
  }

  #wait(durable: Promise<void>): Promise<void> {
    if (this.#isClosed) return durable;
    const waiter: Waiter = { ...Promise.withResolvers<void>(), since: this.#awakeMillis };
    this.#waiters.add(waiter);
    durable.then(
      () => {
        this.#waiters.delete(waiter);
        waiter.resolve();
      },
      (error: unknown) => {
        if (!this.#waiters.has(waiter)) return;
        waiter.error = error;
        this.#giveUp(error);
      },
    );
    return waiter.promise;
  }

  #giveUp(error: unknown): void {
    if (this.#state === 'giving-up' || this.#state === 'given-up') return;
    this.#state = 'giving-up';
    this.#unknownFrom = this.#epoch + EPOCH_GAP;
    this.#fault = faultOf(error, 'bitmap/not-durable');
    this.#options.givingUp();
  }

  /** The disk takes everything that it missed, first while nobody waits for it, then what came meanwhile; and at last the epoch, from which on the file counts. */
  async #return(): Promise<void> {
    this.#trying = true;
    try {
      await this.#bringUp();
      this.#state = 'returning';
      await Promise.all([this.#bringUp(), this.#options.beforeReturn()]);
      while (this.#isReturning && this.#options.bitmap.epoch < this.#epoch) await this.#options.bitmap.raiseEpoch({ atLeast: this.#epoch });
      if (!this.#isReturning) return;
      this.#state = 'kept';
      this.#fault = undefined;
    } catch (error) {
      if (this.#isReturning) this.#giveUp(error);
    } finally {
      this.#trying = false;
      this.#tryAt = this.#options.millis() + RETRY_MILLIS;
    }
  }

  get #isReturning(): boolean {
    return this.#state === 'returning';
  }

  async #bringUp(): Promise<void> {
    const { bitmap, checksums } = this.#options;
    await Promise.all([bitmap.flush(), checksums?.changing(this.#wholeVolume)]);
  }

  get #wholeVolume(): ByteRange {
    return { offset: 0, length: this.#options.volumeBytes };
  }
}

function tooSlow(): OperationError {
  return new OperationError({
    code: 'bitmap/not-durable', operation: 'make write-intent bitmap durable', context: { waitedMillis: PATIENCE_MILLIS }, retryable: true,
    hint: 'The disk of the data folder does not answer. Writes go on and are replicated; if the agent ends before the disk takes marks again, the whole volume is compared.',
  });
}
