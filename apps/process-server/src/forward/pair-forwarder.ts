// SPDX-License-Identifier: Apache-2.0
// Sends the sets of one pair to its master target: in order, up to eight on their way, for ever.
// Invariants: a set leaves the spool only after the target's 200; a set of epoch e+1 is not sent before everything of epoch e that can be
// sent is confirmed; whatever fails is tried again, slower and slower up to five seconds.
import type { Compress } from '@secondsite/change-set';
import type { Handover } from '@secondsite/contracts';
import { type CompareAnswer, endsEpoch, type LateTraceQueue, type PositionAnswer, type Progress, type PutOutcome, type Refusal } from '@secondsite/transport';
import { type Epoch, isOperationError, type SequenceNumber } from '@secondsite/units';
import type { ByteBudget } from '../byte-budget';
import type { PairDeduplicator } from '../deduplication/pair-deduplicator';
import { Signal } from '../signal';
import type { EpochQueue, SpooledSet } from '../spool/epoch-queue';
import type { PairSpool } from '../spool/pair-spool';
import { isAfter, type StreamPlace } from '../spool/pair-state';
import type { Timers } from '../timers';
import { type ForwardFailure, type ForwardFault, faultOf, lostAtTarget } from './forward-fault';
import { HandoverWait } from './handover-wait';
import type { BodyTurn } from './traffic-shaper';
import { type ForwardClient, type PairCompression, type PassingSet, sendContent, sendSet, type SendSetOptions, type SentSet } from './send-set';

export interface SendResult extends Omit<SentSet, 'outcome'> {
  readonly kind: PutOutcome['kind'] | 'unreadable' | 'not-needed';
}

export interface ForwardObserver {
  /** Sent for the first time or again; call the result with the outcome when it is there. */
  sending(set: Pick<SpooledSet, 'epoch' | 'sequence' | 'traceparent' | 'durableAt' | 'bytes'>): (result: SendResult) => void;
  /** The target has it durably; the spool may forget it. */
  forwarded(set: StreamPlace): void;
  /** The target refused it for good. */
  refused(set: StreamPlace, refusal: Refusal): void;
  /** The epoch has a hole that only a resynchronisation fills. */
  broken(epoch: Epoch, reason: string): void;
}

export interface PairForwarderOptions {
  readonly pairId: string;
  readonly spool: PairSpool;
  readonly client: ForwardClient;
  readonly budget: ByteBudget;
  readonly compression: PairCompression;
  readonly turn?: BodyTurn;
  readonly compress: Compress;
  readonly deduplicator?: PairDeduplicator | undefined;
  readonly timers: Timers;
  readonly paused: boolean;
  /** The pair moves to or from another process server. */
  readonly handover?: Handover | undefined;
  readonly observer: ForwardObserver;
  /** Goes along with the sets until the master target was told. */
  readonly lateTraces: LateTraceQueue;
  /** First and longest pause after a failure; defaults 100 ms and 5 s. */
  readonly backOffMillis?: { readonly min: number; readonly max: number };
  readonly windowSets?: number;
}

const nothingSent = { wireBytes: 0, contentBytes: 0, referencedBytes: 0, transferMicros: 0 };
const unknownPair = 'change-set/unknown-pair';
const notReady = new Set([unknownPair, 'pair/not-open']);
const holdOffMillis = 250;
const askAppliedMillis = 200;
const WINDOW_SETS = 8;
const SLOW_MILLIS = 5000;
/** A new pair reaches the target a moment later than the process server; so often it is asked without waiting longer each time. */
const UNKNOWN_PAIR_TRIES = 64;
const unknownPairMillis = 25;

export class PairForwarder {
  readonly #options: PairForwarderOptions;
  readonly #spool: PairSpool;
  readonly #signal: Signal;
  readonly #stop = new AbortController();
  readonly #handover: HandoverWait;
  readonly #inFlight = new Map<SequenceNumber, Promise<void>>();
  /** Sets that wait to be passed on. */
  readonly #toPass = new Map<SequenceNumber, { readonly set: PassingSet; readonly resolve: (passed: boolean) => void }>();
  #running: Promise<void> | undefined;
  #fault: ForwardFault | undefined;
  #failures = 0;
  #pausedUntil = 0;
  #knowsTarget = false;
  /** How far the target was, as of its last answer to that question. */
  #asked: StreamPlace = { epoch: 0, sequence: 0 };
  /** The target took too long a moment ago: what is not near its turn is not offered to it. */
  #slowUntil = 0;
  /** What the agent said last: everything of this epoch before this set was answered. */
  #senderOldest: StreamPlace = { epoch: 0, sequence: 0 };

  constructor(options: PairForwarderOptions) {
    this.#options = options;
    this.#spool = options.spool;
    this.#signal = new Signal(options.timers);
    this.#handover = new HandoverWait(options);
  }

  /** What holds the pair up now; undefined when all is well. */
  get fault(): ForwardFault | undefined {
    return this.#fault;
  }

  /** Nothing is left here that the target would take from this process server. */
  get isDrained(): boolean {
    return this.#inFlight.size === 0 && this.#handover.isDrained;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Something was added to the spool. */
  wake(): void {
    this.#signal.raise();
  }

  /**
   * Sends a set that is not in the spool and that the agent still has, as soon as everything before it is with the target or on its way
   * there. Resolves with whether the target has it; then it counts as forwarded. Until then `content` is in use. Undefined: the target
   * is not going to take it soon.
   */
  passOn(set: PassingSet): Promise<boolean> | undefined {
    const wouldWait = !this.#isNear(set) && this.#options.timers.millis() < this.#slowUntil;
    if (!this.#couldPass(set) || wouldWait || this.#toPass.has(set.sequence) || this.#inFlight.has(set.sequence)) return undefined;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#toPass.set(set.sequence, { set, resolve });
    this.#passWhatMay();
    if (!this.#knowsTarget) this.#signal.raise();
    return promise;
  }

  /** Takes a set back that has waited too long to be passed on, or for its answer. False: it is on its way. */
  takeBack({ sequence }: StreamPlace): boolean {
    if (this.#knowsTarget) this.#slowUntil = this.#options.timers.millis() + SLOW_MILLIS;
    return this.#toPass.delete(sequence);
  }

  /**
   * The agent has no set of this epoch before this one any more. What is missing before it was passed on and lost by the target, and never
   * comes again.
   */
  senderHas(oldest: StreamPlace): void {
    this.#senderOldest = oldest;
    this.#signal.raise();
  }

  /** Asks the target where it is, for whoever has to know without this forwarder. */
  position(): Promise<PositionAnswer> {
    return this.#options.client.position(this.#options.pairId, this.#stop.signal);
  }

  /** Asks the target what differs at the replica; it knows itself how far it is. */
  compare(question: Uint8Array, place: StreamPlace): Promise<CompareAnswer> {
    return this.#options.client.compare(question, { ...place, pairId: this.#options.pairId, signal: this.#stop.signal });
  }

  /** Gives up what is on its way (it stays in the spool) and stops. Rejects if forwarding ended by a bug. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#signal.raise();
    await this.#running;
    await Promise.all(this.#inFlight.values());
    this.#options.client.close();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const waitMillis = this.#pausedUntil - this.#options.timers.millis();
      if (this.#options.paused || waitMillis > 0) await this.#signal.wait(this.#options.paused ? undefined : waitMillis);
      else if (await this.#step()) await this.#rest();
    }
  }

  /**
   * Nothing to send. The target applies what it got last a moment after it has answered: until it says so it is asked now and then, for by
   * that the agent clears its bitmap, and by that its end is clean.
   */
  async #rest(): Promise<void> {
    const { forwarded, applied } = this.#spool;
    const queue = this.#spool.oldestQueue();
    if (!queue || queue.damaged || this.#inFlight.size > 0 || !isAfter(forwarded, applied)) return void (await this.#signal.wait());
    if (await this.#signal.wait(askAppliedMillis)) return;
    await this.#askTarget(queue);
  }

  /** True when there is nothing to do before the next signal. */
  async #step(): Promise<boolean> {
    const queue = this.#spool.oldestQueue();
    if (!queue) return true;
    const isOlder = queue.epoch < this.#spool.epoch;
    if (this.#inFlight.size === 0 && this.#handover.comesFirst(queue) && !(isOlder && this.#handover.comesInVain(queue))) return this.#awaitOther(queue);
    if (this.#inFlight.size === 0 && isOlder && (queue.damaged || queue.forwarded === queue.received)) {
      if (!queue.damaged && queue.setCount > 0 && !this.#hasAskedAt(queue)) return this.#askTarget(queue);
      this.#spool.giveUp(queue.epoch);
      return false;
    }
    if (queue.damaged) return true;
    // Also when nothing in line is here: sets that were passed on before a restart are with the target.
    if (!this.#knowsTarget && (queue.setCount > 0 || this.#toPass.size > 0)) return this.#askTarget(queue);
    if (this.#hasGap(queue)) return this.#hasAskedAt(queue) ? this.#endAtGap(queue) : this.#askTarget(queue);
    for (let set = this.#next(queue); set; set = this.#next(queue)) this.#send(set);
    this.#passWhatMay();
    return true;
  }

  /** What the other process server has comes first: the target is asked until it is there. */
  async #awaitOther(queue: EpochQueue): Promise<boolean> {
    await this.#askTarget(queue);
    if (this.#handover.comesFirst(queue)) this.#pause(askAppliedMillis);
    return false;
  }

  /** The first set in the window that is neither confirmed nor on its way. */
  #next(queue: EpochQueue): SpooledSet | undefined {
    const { windowSets = WINDOW_SETS } = this.#options;
    if (this.#inFlight.size >= windowSets || this.#pausedUntil > this.#options.timers.millis()) return undefined;
    const last = Math.min(queue.received, queue.forwarded + windowSets);
    for (let sequence = queue.forwarded + 1; sequence <= last; sequence += 1) {
      const set = queue.get(sequence);
      if (set && !this.#inFlight.has(sequence)) return set;
    }
    return undefined;
  }

  /** Where the target is may be further than what is noted here (a crash) or, after it lost data, behind. */
  async #askTarget(queue: EpochQueue): Promise<boolean> {
    const answer = await this.position();
    this.#handover.answered(answer.kind === 'known' ? answer : undefined);
    if (answer.kind === 'known') {
      this.#knowsTarget = true;
      const lost = lostAtTarget(queue, answer);
      if (lost !== undefined) this.#break(queue, lost);
      else this.#spool.adoptPosition(answer);
      this.#asked = { epoch: queue.epoch, sequence: queue.forwarded };
      this.#progress(answer);
      return false;
    }
    this.#fail(answer);
    return false;
  }

  /** A target that does not know the pair yet, or opens it, will take it in a moment. */
  #couldPass({ epoch, sequence }: StreamPlace): boolean {
    const queue = this.#spool.oldestQueue();
    if (this.#handover.isOn) return false;
    const up = !this.#stop.signal.aborted && !this.#options.paused && (!this.#fault || notReady.has(this.#fault.code));
    return up && queue !== undefined && !queue.damaged && queue.epoch === epoch && !queue.has(sequence);
  }

  /** Inside the window, as far as is known. */
  #isNear({ sequence }: StreamPlace): boolean {
    const { windowSets = WINDOW_SETS } = this.#options;
    return !this.#knowsTarget || sequence <= (this.#spool.oldestQueue()?.forwarded ?? 0) + windowSets;
  }

  #passWhatMay(): void {
    for (const { set, resolve } of [...this.#toPass.values()].sort((left, right) => left.set.sequence - right.set.sequence)) {
      if (!this.#mayPass(set)) return;
      this.#toPass.delete(set.sequence);
      const passing = this.#passOnce(set);
      this.#track(set.sequence, passing);
      void passing.then(resolve);
    }
  }

  #mayPass(set: StreamPlace): boolean {
    const queue = this.#spool.oldestQueue();
    const { windowSets = WINDOW_SETS } = this.#options;
    if (!queue || !this.#couldPass(set) || !this.#knowsTarget || this.#pausedUntil > this.#options.timers.millis()) return false;
    if (this.#inFlight.size >= windowSets || !this.#isNear(set)) return false;
    for (let before = queue.forwarded + 1; before < set.sequence; before++) {
      if (!this.#inFlight.has(before) && !queue.isAcknowledged(before)) return false;
    }
    return true;
  }

  async #passOnce(set: PassingSet): Promise<boolean> {
    const settle = this.#options.observer.sending({ ...set, durableAt: undefined, bytes: set.content.length });
    const { outcome, ...sent } = await sendContent(set, { ...this.#options, signal: this.#stop.signal });
    settle({ kind: outcome.kind, ...sent });
    if (outcome.kind === 'stored') this.#confirmed(set, outcome);
    else this.#knowsTarget = false;
    if (outcome.kind === 'refused' && !notReady.has(outcome.code)) this.#options.observer.refused(set, outcome);
    return outcome.kind === 'stored';
  }

  /** Everything before the first missing set is with the target, and the agent has no set up to there any more. */
  #hasGap(queue: EpochQueue): boolean {
    const { epoch, sequence } = this.#senderOldest;
    return !this.#handover.isOn && this.#knowsTarget && epoch === queue.epoch && queue.received + 1 < sequence && queue.forwarded === queue.received;
  }

  /** What is missing here may have been passed on to the target, which took it out of line: only now it can say that it has it. */
  #hasAskedAt({ epoch, forwarded }: EpochQueue): boolean {
    return this.#asked.epoch === epoch && this.#asked.sequence === forwarded;
  }

  /** Nobody fills the gap: a newer epoch has to. */
  #endAtGap(queue: EpochQueue): boolean {
    const { epoch, sequence } = this.#senderOldest;
    this.#break(queue, `sets ${queue.received + 1} to ${sequence - 1} of epoch ${epoch} are missing: the master target has lost them, or the process server that had them was given up`);
    return true;
  }

  #send(set: SpooledSet): void {
    const { observer, ...options } = this.#options;
    this.#track(set.sequence, this.#sendOnce(set, { ...options, signal: this.#stop.signal }, observer.sending(set)));
  }

  #track(sequence: SequenceNumber, sending: Promise<unknown>): void {
    const ended = async (): Promise<void> => {
      try {
        await sending;
      } finally {
        this.#inFlight.delete(sequence);
        this.#passWhatMay();
        this.#signal.raise();
      }
    };
    this.#inFlight.set(sequence, ended());
  }

  async #sendOnce(set: SpooledSet, options: SendSetOptions, settle: ReturnType<ForwardObserver['sending']>): Promise<void> {
    try {
      const sent = await sendSet(set, options);
      settle({ ...nothingSent, ...sent, kind: sent?.outcome.kind ?? 'not-needed' });
      if (sent) this.#settled(set, sent.outcome);
    } catch (error) {
      settle({ kind: 'unreadable', ...nothingSent });
      if (!isOperationError(error)) throw error;
      this.#unreadable(set, error);
    }
  }

  /**
   * @writePath 5 The process server compresses the set and sends it to the master target, in order per pair; its own copy is deleted only after the target's 200, so a crash on either side loses nothing and at worst sends the set again.
   */
  #settled(set: SpooledSet, outcome: PutOutcome): void {
    if (outcome.kind === 'stored') this.#confirmed(set, outcome);
    else if (outcome.kind === 'refused') this.#refused(set, outcome);
    else this.#fail(outcome);
  }

  #confirmed(set: StreamPlace, progress: Progress): void {
    // Less is applied than was said before: another replica answers, and what else it lacks has to be asked.
    if (progress.appliedEpoch < this.#spool.applied.epoch) this.#knowsTarget = false;
    this.#spool.acknowledge(set);
    this.#progress(progress);
    this.#options.observer.forwarded(set);
  }

  #progress(progress: Progress): void {
    this.#spool.learnProgress(progress);
    this.#failures = 0;
    this.#fault = undefined;
    if (progress.creditBytes === 0) this.#pause(progress.retryAfterMillis ?? holdOffMillis);
  }

  #refused(set: SpooledSet, refusal: Refusal & { readonly status: number }): void {
    if (refusal.code === unknownPair) return this.#fail(refusal);
    this.#options.observer.refused(set, refusal);
    if (endsEpoch(refusal.code)) this.#spool.giveUp(set.epoch);
    else {
      // Damaged on the way or in memory: the copy on disk is sent next.
      set.memory?.forget();
      set.memory = undefined;
      this.#fail(refusal);
    }
  }

  #unreadable(set: SpooledSet, error: ForwardFault & { readonly retryable?: boolean }): void {
    const queue = this.#spool.oldestQueue();
    if (error.code === 'segment-log/corrupt-record' && queue?.epoch === set.epoch) {
      this.#break(queue, `set ${set.sequence} of epoch ${set.epoch} was damaged on the disk of the process server`);
    }
    this.#fail({ kind: 'unreadable', code: error.code, hint: error.hint });
  }

  /** Nothing after the hole is of use; the pair waits for a newer epoch. */
  #break(queue: EpochQueue, reason: string): void {
    if (queue.damaged) return;
    queue.damaged = true;
    this.#options.observer.broken(queue.epoch, reason);
  }

  #fail(outcome: ForwardFailure): void {
    if (this.#stop.signal.aborted) return;
    this.#fault = faultOf(outcome);
    if (outcome.kind === 'held-off') return this.#pause(outcome.retryAfterMillis);
    const { min, max } = this.#options.backOffMillis ?? { min: 100, max: 5000 };
    const passes = this.#fault.code === unknownPair && this.#failures < UNKNOWN_PAIR_TRIES;
    this.#pause(passes ? unknownPairMillis : Math.min(max, min * 2 ** Math.min(32, this.#failures)));
    this.#failures += 1;
    this.#knowsTarget = false;
  }

  #pause(millis: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#options.timers.millis() + millis);
    this.#signal.raise();
  }
}
