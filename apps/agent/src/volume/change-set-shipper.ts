// SPDX-License-Identifier: Apache-2.0
// Sends sealed change sets to the process server, several at a time, for as long as it takes. Invariants: memory of a set is freed only
// when the process server has it durably (I2) or its epoch was given up; the oldest waiting set always goes first; bytes on their way
// never exceed the process server's credit by more than one set.
import { giveBackPages } from '@secondsite/disk-files';
import type { ByteCount, SequenceNumber } from '@secondsite/units';
import { type CompareAnswer, type CompareOptions, endsEpoch, type HeldOff, type LateTraceQueue, type PositionAnswer, type Progress, type PutOptions, type PutOutcome } from '@secondsite/transport';
import { PassageMeter, type SealedChangeSet } from '@secondsite/change-set';
import { recycleCompressed } from '@secondsite/zstd';
import { Backoff } from './backoff';
import type { HeldChangeSet } from './change-buffer';

/** The next hop; `ChangeSetClient` is one. */
export interface ChangeSetSender {
  put(parts: readonly Uint8Array[], options: PutOptions): Promise<PutOutcome>;
  position(pairId: string, signal?: AbortSignal): Promise<PositionAnswer>;
  compare(question: Uint8Array, options: CompareOptions): Promise<CompareAnswer>;
  close(): void;
}

/** What the shipper noticed. Called from `pump` or when an answer came, never inside `offer`. */
export interface ShipperListener {
  /** A set is durable at the process server. */
  stored(set: SealedChangeSet): void;
  sent(set: SealedChangeSet): void;
  /** How far the target is. */
  progress(progress: Progress): void;
  flowControl(change: { readonly on: boolean; readonly heldBytes: ByteCount }): void;
  /** Refused for good: the epoch cannot go on like this. */
  refused(refusal: { readonly code: string; readonly detail: string; readonly sequence: SequenceNumber }): void;
}

export interface ShipperOptions {
  readonly pairId: string;
  readonly sender: ChangeSetSender;
  readonly listener: ShipperListener;
  /** Milliseconds, monotonic. */
  readonly millis: () => number;
  /** Folds or compresses a set before it is sent. */
  readonly prepare?: (set: SealedChangeSet) => Promise<SealedChangeSet>;
  /** True: what waits is sent also while paused. */
  readonly isUrgent?: () => boolean;
  /** Goes along with the sets until it was told. */
  readonly lateTraces?: LateTraceQueue;
  /** Sets on their way at once; default 6. */
  readonly windowSets?: number;
}

interface Item {
  readonly set: HeldChangeSet;
  readonly bytes: ByteCount;
  readonly offeredMicros: number;
  sending: boolean;
  /** Of the last time. */
  sentMicros: number | undefined;
}

/** Answers that pass by themselves, e.g. while the process server has not heard of the pair yet. */
const passing = new Set(['change-set/unknown-pair', 'change-set/not-this-pair', 'peer/not-allowed']);
const REFUSALS_MAX = 5;

export class ChangeSetShipper {
  /** The last thing that went wrong and still does. */
  fault: { readonly code: string; readonly hint: string } | undefined;
  readonly #options: ShipperOptions;
  readonly #windowSets: number;
  readonly #backoff: Backoff;
  readonly #queue: PassageMeter;
  readonly #answers: PassageMeter;
  #items: Item[] = [];
  #paused = false;
  #abort = new AbortController();
  #heldBytes: ByteCount = 0;
  #onTheWay = 0;
  #onTheWayBytes: ByteCount = 0;
  #creditBytes: ByteCount = Number.MAX_SAFE_INTEGER;
  #heldOff = false;
  #refusals = 0;

  constructor(options: ShipperOptions) {
    this.#options = options;
    this.#windowSets = options.windowSets ?? 6;
    this.#backoff = new Backoff(options.millis);
    this.#queue = new PassageMeter(this.#micros);
    this.#answers = new PassageMeter(this.#micros);
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** False: what waits is sent from now on. */
  set paused(paused: boolean) {
    this.#paused = paused;
    this.pump();
  }

  get #maySend(): boolean {
    return !this.#paused || this.#options.isUrgent?.() === true;
  }

  /** Memory of sets that the process server does not have yet. */
  get heldBytes(): ByteCount {
    return this.#heldBytes;
  }

  /** Sets not yet durable at the process server. */
  get pendingSets(): number {
    return this.#items.length;
  }

  /** Sets that have not been sent yet. */
  get waitingSets(): number {
    return this.#items.length - this.#onTheWay;
  }

  get flowControlled(): boolean {
    return this.#heldOff;
  }

  /** How long sets wait until they are sent for the last time, and from then on for the answer. */
  get stays(): { readonly queueSeconds: number; readonly sendSeconds: number } {
    const waiting = this.#items.find((item) => !item.sending);
    const sending = this.#items.find((item) => item.sending);
    return {
      queueSeconds: this.#queue.reading(this.#micros, waiting?.offeredMicros).seconds,
      sendSeconds: this.#answers.reading(this.#micros, sending?.sentMicros).seconds,
    };
  }

  /** Of sets that were answered, as they lie in memory. */
  get bytesPerSecond(): number {
    return this.#answers.reading(this.#micros).bytesPerSecond;
  }

  /** Takes a set over, in order of sequence. */
  offer(set: HeldChangeSet): void {
    this.#items.push({ set, bytes: set.heldBytes, offeredMicros: this.#micros, sending: false, sentMicros: undefined });
    this.#heldBytes += set.heldBytes;
    this.pump();
  }

  /**
   * Sends what may be sent now. Called after every change and regularly (back-off ends by time).
   *
   * @writePath 4 The change set is PUT to the process server and stays in the agent's memory until the answer says that the spool, or the target behind it, has it durably; a crash of the agent before that is repaired by a resync of the marked regions.
   */
  pump(): void {
    while (this.#maySend && this.#onTheWay < this.#windowSets && this.#backoff.isOver) {
      const item = this.#items.find((candidate) => !candidate.sending);
      if (!item || !this.#hasCredit(item.bytes)) return;
      void this.#send(item);
    }
  }

  /** Resolves when the process server has everything, or at `end` on the clock. */
  async drain({ end, wait }: { readonly end: number; readonly wait: (millis: number) => Promise<void> }): Promise<void> {
    while (this.#items.length > 0 && this.#options.millis() < end) {
      this.pump();
      await wait(10);
    }
  }

  /** Gives up everything, e.g. for a new epoch. Memory on its way is freed when its request has ended. */
  abandon(): void {
    for (const item of this.#items.splice(0)) if (!item.sending) this.#free(item);
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#refusals = 0;
    this.#backoff.reset();
  }

  close(): void {
    this.abandon();
    this.#options.sender.close();
  }

  get #micros(): number {
    return this.#options.millis() * 1000;
  }

  #hasCredit(bytes: ByteCount): boolean {
    if (this.#onTheWay === 0) return true;
    return this.#onTheWayBytes + bytes <= this.#creditBytes;
  }

  async #send(item: Item): Promise<void> {
    const { signal } = this.#abort;
    item.sending = true;
    item.sentMicros = this.#micros;
    this.#onTheWay += 1;
    this.#onTheWayBytes += item.bytes;
    const outcome = await this.#put(item, signal);
    this.#onTheWay -= 1;
    this.#onTheWayBytes -= item.bytes;
    item.sending = false;
    if (signal.aborted) this.#free(item);
    else this.#take(item, outcome);
    this.pump();
  }

  async #put({ set }: Item, signal: AbortSignal): Promise<PutOutcome> {
    const { pairId, prepare, sender, listener, lateTraces } = this.#options;
    const ready = prepare ? await prepare(set) : set;
    if (signal.aborted) return { kind: 'held-off', retryAfterMillis: 0, code: 'transport/cancelled', detail: 'the epoch was given up' };
    const { epoch, sequence, traceparent } = set.header;
    listener.sent(set);
    const oldestPending = this.#items[0]?.set.header.sequence;
    const late = lateTraces?.next() ?? [];
    const outcome = await sender.put(ready.parts, { pairId, epoch, sequence, traceparent, oldestPending, lateTraces: late, signal });
    if (outcome.kind !== 'stored') return outcome;
    lateTraces?.told(late);
    // What was made of the set for the way is memory beside the buffer, which the collector would free late.
    for (const part of ready.parts) if (!set.parts.includes(part) && !recycleCompressed(part)) giveBackPages(part);
    return outcome;
  }

  #take(item: Item, outcome: PutOutcome): void {
    if (outcome.kind === 'stored') return this.#stored(item, outcome);
    if (outcome.kind === 'held-off') return this.#holdOff(outcome);
    if (outcome.kind === 'unreachable') {
      this.fault = { code: 'process-server/unreachable', hint: outcome.cause.message };
      return this.#backoff.fail();
    }
    this.fault = { code: outcome.code, hint: outcome.hint };
    this.#backoff.fail();
    if (passing.has(outcome.code)) return;
    this.#refusals += 1;
    if (!endsEpoch(outcome.code) && this.#refusals < REFUSALS_MAX) return;
    this.#options.listener.refused({ code: outcome.code, detail: outcome.detail, sequence: item.set.header.sequence });
  }

  #stored(item: Item, progress: Progress): void {
    const index = this.#items.indexOf(item);
    if (index >= 0) this.#items.splice(index, 1);
    this.#measure(item);
    this.#free(item);
    this.#backoff.reset();
    this.#refusals = 0;
    this.fault = undefined;
    this.#creditBytes = progress.creditBytes;
    this.#setHeldOff(progress.creditBytes === 0 && this.#items.length > 0);
    if (progress.creditBytes === 0) this.#backoff.until(progress.retryAfterMillis ?? 200);
    this.#options.listener.stored(item.set);
    this.#options.listener.progress(progress);
  }

  #measure({ set, offeredMicros, sentMicros = offeredMicros }: Item): void {
    const now = this.#micros;
    this.#queue.left(now, { micros: sentMicros - offeredMicros });
    this.#answers.left(now, { micros: now - sentMicros, bytes: set.header.storedBytes });
  }

  #holdOff({ retryAfterMillis, code, detail }: HeldOff): void {
    this.fault = { code, hint: detail };
    this.#creditBytes = 0;
    this.#backoff.until(Math.max(20, retryAfterMillis));
    this.#setHeldOff(true);
  }

  #setHeldOff(on: boolean): void {
    if (this.#heldOff === on) return;
    this.#heldOff = on;
    this.#options.listener.flowControl({ on, heldBytes: this.#heldBytes });
  }

  #free(item: Item): void {
    this.#heldBytes -= item.set.heldBytes;
    item.set.release();
  }
}
