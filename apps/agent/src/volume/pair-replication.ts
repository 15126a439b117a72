// SPDX-License-Identifier: Apache-2.0
// Replication of one volume at the agent: which state it is in (data mode, bitmap mode, a new epoch to begin) and what may happen in it.
// Invariants: a range is marked on stable storage before a write reaches it (I1); while capturing, every change of the disk is in the
// stream in order; while not, its regions are in `toResync`; marked regions that are not in `toResync` are those whose changes stand in
// the stream of this epoch. Nothing here has a timer: `tick` is called every few milliseconds.
import type { StreamMarker } from '@secondsite/change-set';
import type { StorageFile } from '@secondsite/durable-storage';
import { type Progress, REPLICA_LACKS_BASE } from '@secondsite/transport';
import type { ByteCount, ByteOffset, Epoch, SequenceNumber, TimeMicros } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';
import { ChangeBuffer, type HeldChangeSet } from './change-buffer';
import { ChangeSetShipper, type ShipperListener } from './change-set-shipper';
import { ChangeStream, MARKER_ROOM_BYTES } from './change-stream';
import { DamageRepair } from './damage-repair';
import { EpochRaiser, type EpochRaiserOptions } from './epoch-raiser';
import { bitmapBehind, firstEpoch, type Interruption, marksLost, markerReason, type NewEpoch, type WhyResync } from './interruption';
import { MarkKeeper } from './mark-keeper';
import { OverloadPause } from './overload-pause';
import { PairFacts } from './pair-facts';
import { PairFaults } from './pair-faults';
import type { PairReplicationOptions } from './pair-replication-options';
import { PairTracing } from './pair-tracing';
import { ReadAhead } from './read-ahead';
import { recapture } from './recapture';
import { RegionLedger } from './region-ledger';
import { RegionComparer } from './region-comparer';
import type { BitmapModeReason } from './replication-fact';
import { notInDataMode, type ReplicationStatus, whyNoMemory } from './replication-status';
import { RegionSweeper, type StreamPosition } from './region-sweeper';
import { ResyncProgress } from './resync-progress';
import { ResyncReader } from './resync-reader';
import { SetSealer } from './set-sealer';
import { type WholeCause, WholeResync } from './whole-resync';

export type { PairReplicationOptions } from './pair-replication-options';

export class PairReplication {
  readonly pairId: string;
  readonly tracing: PairTracing;
  readonly #options: PairReplicationOptions & Pick<EpochRaiserOptions, 'timeLimit'>;
  readonly #buffer: ChangeBuffer;
  readonly #stream: ChangeStream;
  readonly #shipper: ChangeSetShipper;
  readonly #marks: MarkKeeper;
  readonly #ledger: RegionLedger;
  readonly #comparer: RegionComparer;
  readonly #reader: ResyncReader;
  readonly #repair: DamageRepair;
  readonly #sweeper: RegionSweeper;
  readonly #epochs: EpochRaiser;
  readonly #overload: OverloadPause;
  readonly #readAhead: ReadAhead;
  readonly #whole: WholeResync;
  readonly #sealer: SetSealer;
  readonly #facts: PairFacts;
  /** Undefined while capturing. */
  #interruption: Interruption | undefined;
  #resync: ResyncProgress | undefined;
  #appliedSequence: SequenceNumber = 0;
  /** The tap does not see every change: nothing starts until `resumeTap`. */
  #tapLost: boolean;
  #stopped = false;
  readonly #faults = new PairFaults();
  readonly #reads = this.#faults.of('source/read-failed');

  constructor(options: PairReplicationOptions) {
    this.#options = { timeLimit: (millis) => AbortSignal.timeout(millis), ...options };
    this.pairId = options.pairId;
    this.#tapLost = options.tap?.attached === false;
    this.#overload = new OverloadPause({ ...options, calmBytesPerSecond: options.budget.bytesMax / 10 });
    this.#buffer = new ChangeBuffer({ budget: options.budget, dataBytes: options.segmentDataBytes, entriesMax: options.segmentEntriesMax });
    this.tracing = new PairTracing(options);
    this.#shipper = new ChangeSetShipper({ ...options, listener: this.#shipperListener(), lateTraces: this.tracing.lateTraces, isUrgent: () => this.#marks.isGivingUp });
    this.#stream = new ChangeStream({ ...options, buffer: this.#buffer, ship: (set) => this.#ship(set) });
    this.#sealer = new SetSealer({ ...options, stream: this.#stream, shipper: this.#shipper });
    this.#facts = new PairFacts({ ...options, epoch: () => this.#stream.epoch });
    const memory = () => ({ heldBytes: this.#shipper.heldBytes, freeBytes: this.#buffer.freeBytes });
    this.#readAhead = new ReadAhead({ bytesMax: options.budget.bytesMax, regionBytes: options.bitmap.regionBytes, millis: options.millis, memory });
    this.#ledger = new RegionLedger(options.bitmap, options.volumeBytes);
    this.#ledger.beginEpoch();
    this.#marks = new MarkKeeper({ ...options, givingUp: () => this.#loseMarks(), beforeReturn: () => this.#whole.keep() });
    const marking = this.#faults.of('bitmap/not-durable');
    this.#sweeper = new RegionSweeper({ ...options, ledger: this.#ledger, syncSource: () => options.source.sync(), outcome: marking });
    this.#comparer = new RegionComparer({
      ...options, compare: (question, about) => options.sender.compare(question, about), position: () => this.#streamPosition, outcome: this.#faults.of('checksums/not-durable'),
    });
    const mayRead = (bytes: ByteCount): boolean => this.#readAhead.may(bytes);
    this.#reader = new ResyncReader({
      ...options, regionBytes: options.bitmap.regionBytes, ledger: this.#ledger, stream: this.#stream, comparer: this.#comparer.canCompare(options.bitmap.regionBytes) ? this.#comparer : undefined,
      mayBegin: () => !this.#whole.waits, mayRead, ended: () => this.#endResync(), outcome: this.#reads,
    });
    this.#repair = new DamageRepair({ ...options, ledger: this.#ledger, stream: this.#stream, admit: (range) => this.admit(range), mayRead, outcome: this.#reads });
    const cause = options.wholeCause ?? (options.bitmap.recovery.origin === 'recovered' ? undefined : 'baseline');
    this.#whole = new WholeResync({ ...options, cause, note: options.noteWhole ?? (async () => undefined), outcome: this.#faults.of('pair-state/not-durable') });
    this.#epochs = new EpochRaiser({
      ...this.#options, marks: this.#marks, whole: this.#whole, failed: marking.failed, behind: () => void this.#needWhole({ cause: 'bitmap-lost', detail: bitmapBehind }),
      isNewest: (interruption) => this.#interruption === interruption, raised: (epoch, interruption) => this.#epochRaised(epoch, interruption),
    });
    this.#interruption = firstEpoch(options.bitmap, [this.#whole.cause, options.startCause]);
    if (this.#whole.cause !== undefined && this.#whole.cause !== 'baseline') this.#facts.required(this.#interruption, { isWhole: true });
  }

  get status(): ReplicationStatus {
    const { kind } = this.#interruption ?? { kind: undefined };
    const leftBytes = this.#ledger.toResyncBytes;
    return {
      mode: kind === undefined ? 'data' : kind === 'bitmap-mode' ? 'bitmap' : 'resync-required',
      epoch: this.#stream.epoch, sequence: this.#stream.sealedSequence, lastWriteTime: this.#stream.lastWriteTime,
      heldBytes: this.#shipper.heldBytes + this.#buffer.openBytes,
      dirtyBytes: leftBytes, resync: this.#resync?.reading(leftBytes, this.#reader.counts), flowControlled: this.#shipper.flowControlled,
      fault: this.#marks.fault ?? this.#faults.first ?? this.#shipper.fault, stays: { gatherSeconds: this.tracing.hops.gatherSeconds, ...this.#shipper.stays },
      shippedBytesPerSecond: this.#shipper.bytesPerSecond,
    };
  }

  set paused(paused: boolean) {
    this.#shipper.paused = paused;
  }

  /** False: a resynchronisation of the whole volume waits, before it begins or where it is. */
  set resyncTurn(hasTurn: boolean) {
    this.#whole.hasTurn = hasTurn;
  }

  /** True: nothing is sent; which regions change is noted, and a new epoch brings them when this ends. */
  set standby(standby: boolean) {
    this.#epochs.standby = standby;
  }

  /** Before a change of the range: `undefined` when it may happen in this turn, else wait and ask again. */
  admit(range: ByteRange): undefined | Promise<void> {
    return this.#marks.admit(range);
  }

  /** Puts a write into the stream, in the turn in which it is done. Returns its bytes in one piece, or undefined in bitmap mode. */
  captureWrite(offset: ByteOffset, parts: readonly Uint8Array[], length: ByteCount): Uint8Array | undefined {
    const range = { offset, length };
    if (!this.#capture(range, length)) return undefined;
    return this.#stream.appendBytes({ kind: 'write', offset }, parts);
  }

  /** The same for a range that becomes zeros. True when it stands in the stream. */
  captureRange(kind: 'zero' | 'trim', range: ByteRange): boolean {
    if (!this.#capture(range, 0)) return false;
    this.#stream.appendRange({ kind, ...range });
    return true;
  }

  /** The disk failed a change that was captured last: what the range holds now is read, at once, or else by a resync. */
  revoke(range: ByteRange, disk: StorageFile): void {
    this.#stream.dropLast();
    if (recapture(range, { disk, stream: this.#stream, ledger: this.#ledger, failed: this.#reads.failed })) return;
    this.#ledger.miss(range);
    this.#enterBitmapMode('requested');
  }

  /** Throws OperationError `bookmark/not-in-data-mode` unless a bookmark could be cut now. */
  assertCut(): void {
    if (this.#interruption || this.#resync || this.#options.tap?.isProven === false || !this.#stream.makeRoom(MARKER_ROOM_BYTES)) throw notInDataMode(this.pairId);
  }

  /** A bookmark at `time`, which is after every write so far; ends the set. Throws OperationError `bookmark/not-in-data-mode`. */
  cut(marker: StreamMarker, time: TimeMicros): { readonly epoch: Epoch; readonly sequence: SequenceNumber } {
    this.assertCut();
    this.#stream.appendMarker(marker, time);
    this.#stream.seal();
    return { epoch: this.#stream.epoch, sequence: this.#stream.sealedSequence };
  }

  /** Reads the whole volume again in a new epoch. Resolves when that is decided durably; it begins at once. */
  async requestResync(): Promise<void> {
    await this.#epochs.markAll(this.#needWhole({ cause: 'requested' }));
    this.tick();
  }

  /** The tap may miss changes from now on. What was captured before is still shipped; nothing more enters the stream until `resumeTap`. */
  loseTap(): void {
    if (this.#tapLost) return;
    this.#tapLost = true;
    if (!this.#interruption) this.#interrupt({ kind: 'tap-lost' });
    this.#facts.required({ cause: 'tap-interrupted' }, { isWhole: this.#whole.cause !== undefined });
  }

  /** While the tap is lost: these ranges changed, or may have, without being seen. Durably noted when it resolves. */
  async noteMissed(ranges: readonly ByteRange[]): Promise<void> {
    for (const range of ranges) this.#ledger.miss(range);
    await Promise.all(ranges.map(async (range) => {
      for (let wait = this.admit(range); wait; wait = this.admit(range)) await wait;
    }));
  }

  /** Every change that is not noted as missed is seen again. */
  resumeTap(): void {
    this.#tapLost = false;
  }

  /** Everything that depends on time. */
  tick(): void {
    if (this.#stopped) return;
    this.#marks.tick();
    if (this.#epochs.standby && !this.#interruption) this.#interrupt({ kind: 'new-epoch', cause: 'bitmap-mode', step: 'to-raise' });
    this.#shipper.pump();
    if (this.#interruption) this.#goOn(this.#interruption);
    this.#reader.pump();
    if (!this.#interruption) {
      this.#repair.pump();
      this.#sealer.tick();
    }
    this.#endResync();
    this.#whole.pump();
    this.#sweeper.tick(() => this.#streamPosition);
    if (!this.#shipper.paused) this.tracing.tick();
  }

  /**
   * Ships what was captured, waits at most so long until the target has applied it, and closes the bitmap, clean when nothing is left.
   * Only when the disk is not written any more.
   */
  async stop({ drainMillisMax, wait }: { readonly drainMillisMax: number; readonly wait: (millis: number) => Promise<void> }): Promise<void> {
    const { bitmap, millis } = this.#options;
    const end = millis() + drainMillisMax;
    this.#reader.stop();
    this.#repair.stop();
    this.#stream.seal();
    await this.#shipper.drain({ end, wait });
    while (this.#appliedSequence < this.#stream.sealedSequence && this.#shipper.pendingSets === 0 && millis() < end) await this.#askApplied(wait);
    this.#stopped = true;
    this.#shipper.close();
    this.#buffer.close();
    this.#marks.close();
    if (this.#streamPosition) await this.#sweeper.finish(this.#streamPosition);
    await this.#comparer.close();
    await bitmap.close({ clean: bitmap.markedRegions === 0 });
  }

  #capture(range: ByteRange, dataBytes: ByteCount): boolean {
    this.#reader.overlap(range);
    this.#repair.overlap(range);
    if (!this.#interruption && !this.#stream.makeRoom(dataBytes)) this.#enterBitmapMode(whyNoMemory(this.#shipper));
    this.#overload.written(range.length);
    this.#readAhead.written(range.length);
    if (this.#interruption) this.#ledger.miss(range);
    else this.#ledger.write(range, this.#stream.openSequence);
    return !this.#interruption;
  }

  #enterBitmapMode(reason: BitmapModeReason): void {
    this.#interrupt({ kind: 'bitmap-mode' });
    this.#overload.begin();
    this.#facts.bitmapModeEntered(reason);
  }

  #interrupt(interruption: Interruption): void {
    this.#interruption = interruption;
    if (interruption.kind !== 'tap-lost') this.#resync = undefined;
    this.#reader.stop();
    this.#repair.stop();
    if (interruption.kind !== 'new-epoch') return this.#stream.seal();
    this.#shipper.abandon();
    this.tracing.gaveUp();
    this.#stream.begin(this.#stream.epoch);
    this.#facts.required(interruption, { isWhole: this.#whole.cause !== undefined });
  }

  /** Everything is read again in a new epoch, once that is noted durably. */
  #needWhole(why: WhyResync & { readonly cause: WholeCause }): NewEpoch {
    const interruption: NewEpoch = { kind: 'new-epoch', ...why, step: 'to-mark' };
    this.#whole.need(why.cause);
    this.#ledger.miss({ offset: 0, length: this.#options.volumeBytes });
    this.#interrupt(interruption);
    return interruption;
  }

  #goOn(interruption: Interruption): void {
    if (this.#tapLost) return;
    if (interruption.kind === 'tap-lost') this.#resumeStream();
    else if (interruption.kind === 'bitmap-mode') {
      if (this.#mayLeaveBitmapMode() && this.#resume({ kind: 'resync-started', reason: 'bitmap-mode', resyncBytes: this.#ledger.toResyncBytes }, { cause: 'bitmap-mode' })) {
        this.#facts.bitmapModeLeft(this.#ledger.toResyncBytes);
      }
    } else if (interruption.step === 'raised') this.#startEpoch(interruption);
    else this.#epochs.goOn(interruption);
  }

  #epochRaised(epoch: Epoch, interruption: NewEpoch): void {
    this.#ledger.beginEpoch();
    this.#stream.begin(epoch);
    this.#appliedSequence = 0;
    this.#faults.forgetAll();
    if (!this.#stopped && !this.#tapLost) this.#startEpoch(interruption);
  }

  #startEpoch(interruption: NewEpoch): void {
    const { base, toResyncBytes: resyncBytes } = this.#ledger;
    const marker = { kind: 'epoch-started', reason: resyncBytes === 0 ? 'none' : markerReason[interruption.cause], volumeBytes: this.#options.volumeBytes, resyncBytes } as const;
    this.#resume(base ? { ...marker, base } : marker, interruption);
  }

  /** The tap is back. When nothing was missed the stream just goes on, also with a resync whose end was not told yet. */
  #resumeStream(): void {
    const resyncBytes = this.#ledger.toResyncBytes;
    if (resyncBytes > 0) return void this.#resume({ kind: 'resync-started', reason: 'tap-interrupted', resyncBytes }, { cause: 'tap-interrupted' });
    this.#interruption = undefined;
    this.#facts.goesOn({ cause: 'tap-interrupted' }, { isWhole: false, reason: 'none', resyncBytes });
  }

  /** Captures again, from this marker on. False while there is no memory. */
  #resume(marker: StreamMarker & { kind: 'epoch-started' | 'resync-started' }, why: WhyResync): boolean {
    if (!this.#stream.makeRoom(MARKER_ROOM_BYTES)) return false;
    this.#interruption = undefined;
    this.#stream.appendMarker(marker);
    const { reason, resyncBytes } = marker;
    this.#facts.goesOn(why, { isWhole: this.#whole.cause !== undefined, reason, resyncBytes });
    if (resyncBytes === 0) return true;
    this.#resync = new ResyncProgress({ millis: this.#options.millis, totalBytes: resyncBytes });
    // The marker goes out at once: nothing can be compared before the target has it.
    if (this.#hasReplica) this.#stream.seal();
    this.#reader.start({ compareFrom: this.#hasReplica ? this.#stream.sealedSequence : undefined });
    return true;
  }

  #mayLeaveBitmapMode(): boolean {
    const { budget } = this.#options;
    const calm = this.#overload.isOver && this.#shipper.fault === undefined && !this.#shipper.flowControlled && !this.#shipper.paused;
    return calm && this.#shipper.heldBytes <= budget.bytesMax / 4 && this.#buffer.freeBytes >= budget.bytesMax / 4;
  }

  #endResync(): void {
    if (!this.#resync || this.#interruption || this.#options.tap?.isProven === false) return;
    this.#sealer.read();
    if (this.#ledger.toResync.size > 0 || !this.#reader.isIdle) return;
    this.#stream.seal(); // The last blocks go by themselves: a set with a marker does not pass (ADR 11).
    if (!this.#stream.makeRoom(MARKER_ROOM_BYTES)) return;
    this.#resync = undefined;
    this.#whole.end();
    this.#overload.caughtUp();
    this.#stream.appendMarker({ kind: 'resync-read' });
    this.#stream.seal();
    this.#facts.resyncRead(this.#stream.sealedSequence, this.#reader.counts);
  }

  /** The target has, or had, most of the volume: only the baseline of a new pair is sent without asking. */
  get #hasReplica(): boolean {
    return this.#stream.epoch > 1 || this.#whole.cause !== 'baseline';
  }

  /** Undefined between two epochs, when no sequence means anything. */
  get #streamPosition(): StreamPosition | undefined {
    if (this.#interruption?.kind === 'new-epoch') return undefined;
    return { epoch: this.#stream.epoch, sealed: this.#stream.sealedSequence, applied: this.#appliedSequence };
  }

  #ship(set: HeldChangeSet): void {
    this.#sealer.sealed();
    this.tracing.sealed(set.header, this.#options.clock.last);
    this.#shipper.offer(set);
  }

  #shipperListener(): ShipperListener {
    return {
      sent: (set) => void this.tracing.hops.note(set.header, { sentAt: this.#options.clock.now() }),
      stored: (set) => {
        this.#marks.stored(set.header.epoch);
        this.#overload.shipped(set.header.contentBytes);
        this.tracing.answered(set.header, this.#options.clock.now());
      },
      progress: (progress) => this.#progress(progress),
      flowControl: (change) => this.#facts.flowControl(change),
      refused: (refusal) => {
        this.#facts.refused(refusal);
        this.tracing.failed({ epoch: this.#stream.epoch, sequence: refusal.sequence });
        if (!this.#stopped) this.#endEpoch(refusal);
      },
    };
  }

  /** The disk of the bitmap does not take marks: a new epoch, of which the process server knows and the file does not. */
  #loseMarks(): void {
    this.#interrupt({ kind: 'new-epoch', cause: 'bitmap-lost', detail: marksLost, step: this.#whole.cause === undefined ? 'to-raise' : 'to-mark' });
  }

  /** What the stream carried is marked in the bitmap; only a replica that lacks what was applied before needs more. */
  #endEpoch({ code, detail }: { readonly code: string; readonly detail: string }): void {
    if (code === REPLICA_LACKS_BASE) this.#needWhole({ cause: 'replica-lost', detail });
    else this.#interrupt({ kind: 'new-epoch', cause: 'stream-broken', detail, step: 'to-raise' });
  }

  #progress({ appliedEpoch, appliedSequence, damaged = [] }: Progress): void {
    this.#ledger.learnHeld({ epoch: appliedEpoch, sequence: appliedSequence });
    this.tracing.applied({ epoch: appliedEpoch, sequence: appliedSequence });
    if (appliedEpoch === this.#stream.epoch) this.#appliedSequence = Math.max(this.#appliedSequence, appliedSequence);
    this.#repair.learn(damaged, this.#appliedSequence);
  }

  async #askApplied(wait: (millis: number) => Promise<void>): Promise<void> {
    const position = await this.#options.sender.position(this.pairId, this.#options.timeLimit(1000));
    if (position.kind === 'known') this.#progress(position);
    if (this.#appliedSequence < this.#stream.sealedSequence) await wait(50);
  }
}
