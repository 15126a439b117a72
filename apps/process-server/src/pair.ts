// SPDX-License-Identifier: Apache-2.0
import type { Compress, KeptSet, StoredChangeSet } from '@secondsite/change-set';
import type { ProcessServerPair, ProcessServerPairTelemetry } from '@secondsite/contracts';
import { type ChangeSetPlace, type CompareOutcome, endsEpoch, type HeldOff, LateTraceQueue, OLD_EPOCH, type PairPosition, type Refusal, type Stored } from '@secondsite/transport';
import { type ByteCount, type Epoch, isoFromMicros, type SequenceNumber, type TimeMicros } from '@secondsite/units';
import type { ByteBudget } from './byte-budget';
import type { FactReporter } from './control/control-plane';
import { HopRecorder } from './control/hop-recorder';
import { recordHopSpans } from './control/hop-spans';
import { counters } from './control/counters';
import type { Deduplicator } from './deduplication/deduplicator';
import { askTarget } from './forward/ask-target';
import type { ForwardFault } from './forward/forward-fault';
import { type ForwardObserver, PairForwarder } from './forward/pair-forwarder';
import type { ForwardClient } from './forward/send-set';
import type { TrafficShaper } from './forward/traffic-shaper';
import { FlowControl } from './receive/flow-control';
import type { FreeSpaceGuard } from './receive/free-space-guard';
import { stageOfSet } from './receive/stage-of-set';
import type { SpooledSet } from './spool/epoch-queue';
import type { PairSpool } from './spool/pair-spool';
import type { StreamPlace } from './spool/pair-state';
import type { Timers } from './timers';

export interface PairServices {
  readonly now: () => TimeMicros;
  readonly timers: Timers;
  readonly compress: Compress;
  /** Undefined: this process server deduplicates nothing. */
  readonly deduplicator?: Deduplicator | undefined;
  readonly reporter: FactReporter;
  readonly freeSpace: FreeSpaceGuard;
  readonly forwardBudget: ByteBudget;
  readonly shaper: TrafficShaper;
  readonly connect: (masterTargetUrl: string) => ForwardClient;
}

type SentBytes = Readonly<Record<keyof NonNullable<ProcessServerPairTelemetry['sent']>, ByteCount>>;

const streamBroken = 'change-set/stream-broken';
const retryAfterMillis = 500;
const reportAgainMillis = 10_000;
const passMillisMax = 2500;

/** Also a set that was under way when the pair left. */
const closedPair: HeldOff = { kind: 'held-off', code: 'change-set/unknown-pair', detail: 'the pair is closed on this process server', retryAfterMillis };

/** One replication pair on this process server: receives, keeps and forwards its change sets. */
export class Pair {
  readonly hops: HopRecorder;
  readonly #services: PairServices;
  readonly #spool: PairSpool;
  readonly #flow: FlowControl;
  readonly #reported = new Map<string, number>();
  #sent: SentBytes = { contentBytes: 0, referencedBytes: 0, wireBytes: 0 };
  readonly #lateTraces = new LateTraceQueue();
  #config: ProcessServerPair;
  #forwarder: PairForwarder;
  #isClosed = false;
  readonly #openedAt: TimeMicros;
  /** Epochs up to this one lead nowhere any more; the agent is told so and begins a new one. */
  #ended: { readonly epoch: Epoch; readonly code: string; readonly reason: string } | undefined;

  constructor(options: { readonly config: ProcessServerPair; readonly spool: PairSpool; readonly services: PairServices }) {
    this.#config = options.config;
    this.#spool = options.spool;
    this.#services = options.services;
    const { reporter, now } = options.services;
    this.hops = new HopRecorder(now, (passage) => recordHopSpans(pairId, passage));
    this.#openedAt = now();
    const pairId = options.config.pairId;
    this.#flow = new FlowControl(
      {
        started: (heldBytes) => reporter.report({ kind: 'flow-control-started', pairId, heldBytes }),
        ended: (seconds) => reporter.report({ kind: 'flow-control-ended', pairId, seconds }),
      },
      () => now() / 1000,
    );
    if (this.#spool.damagedRanges > 0) this.#break(this.#spool.epoch, `${this.#spool.damagedRanges} places of the spool are damaged`);
    this.#forwarder = this.#startForwarder();
  }

  get pairId(): string {
    return this.#config.pairId;
  }

  /** Obeys a changed desired state. */
  async configure(config: ProcessServerPair): Promise<void> {
    if (JSON.stringify(config) === JSON.stringify(this.#config)) return;
    this.#config = config;
    await this.#forwarder.stop();
    this.#forwarder = this.#startForwarder();
  }

  /**
   * Stores a set whose bytes were checked. `stored` only when it is durable here or the target has taken it. `oldestPending`: see StoreRequest.
   */
  async store(set: StoredChangeSet, content: Uint8Array, oldestPending?: SequenceNumber): Promise<Stored | HeldOff | Refusal> {
    const { epoch, sequence } = set.header;
    if (epoch < this.#spool.epoch) return this.#refuseOldEpoch(set, content);
    if (this.#ended && epoch <= this.#ended.epoch) return this.#refuseEnded(set, this.#ended);
    // Also of a set that is held off: a full spool behind a gap that nobody fills would stay full for ever.
    if (oldestPending !== undefined) this.#forwarder.senderHas({ epoch, sequence: oldestPending });
    const heldOff = this.#isClosed ? closedPair : this.#heldOff(set, content.length);
    if (heldOff) {
      this.#spool.giveBack(content);
      return heldOff;
    }
    this.hops.received({ epoch, sequence, storedBytes: content.length, traceparent: set.header.traceparent });
    const stage = stageOfSet(set);
    const passed = await this.#passOn(set, content);
    if (passed === 'passed') {
      this.#received(content.length, stage);
      this.#spool.giveBack(content);
      this.hops.answered(set.header);
      return { kind: 'stored', ...this.#progress() };
    }
    if (this.#isClosed) return closedPair;
    const { firstTime, traceparent } = set.header;
    const result = await this.#spool.put({ epoch, sequence, firstTime, traceparent, content, lent: passed === 'passing' });
    if (result === 'old-epoch') return this.#refuseOldEpoch(set, content);
    if (result === 'stored') this.#stored(set.header, content.length, stage);
    this.hops.answered(set.header);
    return { kind: 'stored', ...this.#progress() };
  }

  /** These sets are to be traced although they were not sampled; the master target is told with the next sets. */
  traceLate(places: readonly ChangeSetPlace[]): void {
    for (const place of places) this.hops.traceLate(place);
    this.#lateTraces.add(places);
  }

  quarantined(): KeptSet[] {
    return this.#spool.quarantine.list();
  }

  /** Passes a question on to the target (see CompareRequest). */
  async compare(question: Uint8Array, place: StreamPlace): Promise<CompareOutcome> {
    const { epoch } = place;
    if (epoch < this.#spool.epoch) return endedEpoch({ code: OLD_EPOCH, reason: `epoch ${epoch} is over, the pair is in epoch ${this.#spool.epoch}` });
    if (this.#ended && epoch <= this.#ended.epoch) return endedEpoch(this.#ended);
    return askTarget(this.#config.paused ? undefined : this.#forwarder, { question, place });
  }

  /** Of a pair that is new here, and perhaps came from another process server, only the target knows the epochs. */
  async position(): Promise<PairPosition> {
    const { epoch, received: sequence } = this.#spool;
    const atTarget = epoch === 0 ? await this.#forwarder.position() : undefined;
    if (atTarget?.kind !== 'known') return { epoch, sequence, ...this.#progress() };
    const { appliedEpoch, appliedSequence } = atTarget;
    return { ...this.#progress(), epoch: atTarget.epoch, sequence: atTarget.sequence, appliedEpoch, appliedSequence };
  }

  checkpoint(): Promise<void> {
    return this.#spool.checkpoint();
  }

  /** Sets that wait in the spool since before `time`; one of before a restart counts from then on. */
  waitingSince(time: TimeMicros): SpooledSet[] {
    return [...this.#spool.queues()].flatMap((queue) => [...queue.sets()]).filter(({ durableAt = this.#openedAt }) => durableAt <= time);
  }

  /** Reads a set again; see PairSpool.verify. */
  verify(set: SpooledSet): Promise<ByteCount | undefined> {
    return this.#spool.verify(set);
  }

  /**
   * The disk changed a set that waits: it is lost, unless it is in memory too. The sets before it are still sent; the agent learns at once that
   * it has to begin a new epoch, so that what is written from now on is of use.
   */
  spoolDamaged({ epoch, sequence, bytes, memory }: SpooledSet): void {
    this.#services.reporter.report({ kind: 'damage-found', pairId: this.pairId, bytes });
    if (!memory && epoch === this.#spool.epoch) this.#break(epoch, `set ${sequence} of epoch ${epoch} was damaged on the disk of the process server`);
  }

  telemetry(): ProcessServerPairTelemetry {
    const { epoch, received, forwarded, oldestTime } = this.#spool;
    const fault = this.#fault();
    return {
      pairId: this.pairId,
      ...(epoch === 0 ? {} : { epoch, receivedSequence: received }),
      forwardedSequence: forwarded.epoch === epoch ? forwarded.sequence : 0,
      spoolBytes: this.#spool.spoolBytes,
      spoolSets: this.#spool.spoolSets,
      sent: this.#sent,
      ...(oldestTime === undefined ? {} : { oldestTime: isoFromMicros(oldestTime) }),
      flowControlled: this.#flow.active,
      ...this.hops.telemetry(this.#oldestSince),
      ...(this.#config.handover === 'from' && this.#forwarder.isDrained ? { drained: this.#config.move ?? 0 } : {}),
      ...(fault ? { fault: { code: fault.code, hint: fault.hint } } : {}),
    };
  }

  /** Counts and reports a set that was refused for good; the same reason at most every ten seconds. */
  reportRefused(set: { readonly epoch: number; readonly sequence: number }, refusal: { readonly code: string; readonly detail: string }): void {
    counters.refusedSets.add(1, { code: refusal.code });
    const nowMillis = this.#services.now() / 1000;
    if (nowMillis - (this.#reported.get(refusal.code) ?? -Infinity) < reportAgainMillis) return;
    this.#reported.set(refusal.code, nowMillis);
    const { epoch, sequence } = set;
    this.#services.reporter.report({
      kind: 'change-set-refused', pairId: this.pairId, epoch, sequence, code: refusal.code, reason: refusal.detail,
    });
  }

  /** What has not come to the spool by then is held off. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#forwarder.stop();
    await this.#spool.close();
  }

  #startForwarder(): PairForwarder {
    const { masterTargetUrl, compression, deduplication, paused, pairId, handover } = this.#config;
    const { connect, forwardBudget, timers, compress, shaper, deduplicator } = this.#services;
    const forwarder = new PairForwarder({
      pairId, spool: this.#spool, client: connect(masterTargetUrl), budget: forwardBudget, compression, compress, timers, paused, handover, turn: shaper.turnsOf(this.#config),
      observer: this.#observer(),
      lateTraces: this.#lateTraces,
      deduplicator: deduplication === true ? deduplicator?.forPair({ target: masterTargetUrl, applied: () => this.#spool.applied }) : undefined,
    });
    forwarder.start();
    return forwarder;
  }

  #observer(): ForwardObserver {
    return {
      sending: (set) => this.#sending(set),
      forwarded: () => {
        counters.forwardedSets.add(1);
        if (this.#flow.active) this.#credit();
      },
      refused: (set, refusal) => {
        this.reportRefused(set, refusal);
        this.hops.refused(set);
        if (endsEpoch(refusal.code)) this.#ended = { epoch: set.epoch, code: refusal.code, reason: refusal.detail };
      },
      broken: (epoch, reason) => this.#break(epoch, reason),
    };
  }

  #sending(set: Parameters<ForwardObserver['sending']>[0]): ReturnType<ForwardObserver['sending']> {
    this.hops.sending(set);
    return ({ kind, wireBytes, contentBytes, referencedBytes, transferMicros }) => {
      counters.wireBytes.add(wireBytes);
      if (kind === 'stored') this.#count({ contentBytes, referencedBytes, wireBytes });
      this.hops.sent(set, { forwarded: kind === 'stored', transferMicros, bytes: set.bytes, wireBytes });
    };
  }

  #count({ contentBytes, referencedBytes, wireBytes }: SentBytes): void {
    counters.referencedBytes.add(referencedBytes);
    const sent = this.#sent;
    this.#sent = { contentBytes: sent.contentBytes + contentBytes, referencedBytes: sent.referencedBytes + referencedBytes, wireBytes: sent.wireBytes + wireBytes };
  }

  /**
   * A set goes on to the target without being written down here, as long as the target takes it in time (ADR 12). From a target that is slow to
   * answer the spool takes over, and the agent is free to go on.
   * @writePath 4 To a target that answers in time the set goes on at once, and the agent is answered when the target has it durably: nothing is durable here, and a crash loses nothing, because the agent still holds the set.
   */
  async #passOn(set: StoredChangeSet, content: Uint8Array): Promise<'passed' | 'passing' | 'not-passed'> {
    const { epoch, sequence, traceparent } = set.header;
    const forwarder = this.#forwarder;
    const passing = forwarder.passOn({ epoch, sequence, traceparent, content });
    if (!passing) return 'not-passed';
    const slow = Promise.withResolvers<'slow'>();
    const cancel = this.#services.timers.after(passMillisMax, () => slow.resolve('slow'));
    const outcome = await Promise.race([passing, slow.promise]);
    cancel();
    if (outcome === 'slow' && forwarder.takeBack(set.header)) return 'not-passed';
    if (outcome !== true) return 'passing';
    counters.passedSets.add(1);
    return 'passed';
  }

  /** The set's content is the spool's now. */
  #stored(place: StoredChangeSet['header'], bytes: ByteCount, stage: ReturnType<typeof stageOfSet>): void {
    this.#services.freeSpace.count(bytes);
    this.hops.spooled(place);
    this.#received(bytes, stage);
    this.#forwarder.wake();
  }

  #received(bytes: ByteCount, stage: ReturnType<typeof stageOfSet>): void {
    counters.receivedBytes.add(bytes);
    counters.receivedSets.add(1);
    if (stage) this.#spool.setStage(stage);
  }

  /** A set that comes again takes no room: held off, it would keep the agent from the one that a full spool waits for. */
  #heldOff(set: StoredChangeSet, bytes: ByteCount): HeldOff | undefined {
    if (set.header.epoch === this.#spool.epoch && set.header.sequence <= this.#spool.received) return undefined;
    const full = this.#credit() === 0;
    const { freeSpace } = this.#services;
    const unblocks = this.#unblocks(set);
    const noSpace = !freeSpace.hasRoomFor(unblocks ? bytes - freeSpace.freeBytesMin / 2 : bytes);
    if (!noSpace && (!full || unblocks)) return undefined;
    const code = noSpace ? 'storage/no-space' : 'change-set/flow-controlled';
    const detail = noSpace ? `less than ${freeSpace.freeBytesMin} bytes are free where the process server keeps its data` : 'the spool of the pair is full';
    counters.heldOffSets.add(1, { code });
    return { kind: 'held-off', code, detail, retryAfterMillis };
  }

  /** Without this set nothing of the pair could be forwarded, so its spool would stay full for ever. */
  #unblocks({ header: { epoch, sequence } }: StoredChangeSet): boolean {
    if (epoch > this.#spool.epoch) return true;
    const { forwarded, received } = this.#spool;
    return sequence === received + 1 && received === (forwarded.epoch === epoch ? forwarded.sequence : 0);
  }

  async #refuseOldEpoch(set: StoredChangeSet, content: Uint8Array): Promise<Refusal> {
    const { epoch, sequence } = set.header;
    const refusal: Refusal = {
      kind: 'refused',
      code: OLD_EPOCH,
      detail: `epoch ${epoch} is over, the pair is in epoch ${this.#spool.epoch}`,
      hint: 'Another agent or a newer start of this agent writes to the pair; start a new epoch.',
    };
    await this.#spool.quarantine.keep({ epoch, sequence, reason: refusal.detail, keptAt: this.#services.now() }, content);
    this.reportRefused(set.header, refusal);
    return refusal;
  }

  #progress(): Omit<Stored, 'kind'> {
    const { epoch: appliedEpoch, sequence: appliedSequence } = this.#spool.applied;
    const creditBytes = this.#credit();
    const damaged = this.#spool.damagedAtTarget;
    return { appliedEpoch, appliedSequence, creditBytes, ...(damaged.length > 0 && { damaged }), ...(creditBytes === 0 ? { retryAfterMillis } : {}) };
  }

  #credit(): ByteCount {
    return this.#flow.credit(this.#spool.spoolBytes, this.#config.spoolBytesMax[this.#spool.stage]);
  }

  /** Since when the next set to be sent waits in the spool; one of before a restart counts from then on. */
  get #oldestSince(): TimeMicros | undefined {
    const oldest = this.#spool.oldestSet;
    return oldest && (oldest.durableAt ?? this.#openedAt);
  }

  #fault(): ForwardFault | undefined {
    if (this.#ended?.code === streamBroken && this.#ended.epoch === this.#spool.epoch) {
      return { code: streamBroken, hint: `${this.#ended.reason}. Check the disk; the agent begins a new epoch and resynchronises.` };
    }
    if (this.#config.paused) return { code: 'forward/paused', hint: 'The pair is paused; resume its plan to go on.' };
    return this.#forwarder.fault;
  }

  #refuseEnded(set: StoredChangeSet, ended: { readonly code: string; readonly reason: string }): Refusal {
    const refusal = endedEpoch(ended);
    this.reportRefused(set.header, refusal);
    return refusal;
  }

  #break(epoch: Epoch, reason: string): void {
    if (this.#ended && epoch <= this.#ended.epoch) return;
    this.#ended = { epoch, code: streamBroken, reason };
    this.#services.reporter.report({ kind: 'resync-required', pairId: this.pairId, reason });
  }
}

function endedEpoch({ code, reason }: { readonly code: string; readonly reason: string }): Refusal {
  return { kind: 'refused', code, detail: reason, hint: 'Begin a new epoch.' };
}
