// SPDX-License-Identifier: Apache-2.0
// Replication of one volume at the agent: which state it is in (data mode, bitmap mode, a new epoch to begin) and what may happen in it.
// Invariants: a range is marked on stable storage before a write reaches it (I1); while capturing, every change of the disk is in the
// stream in order; while not, its regions are in `toResync`; marked regions that are not in `toResync` are those whose changes stand in
// the stream of this epoch. Nothing here has a timer: `tick` is called every few milliseconds.
import { DATA_BYTES_MAX, ENTRY_BYTES, type ResyncReason, type StreamMarker } from '@secondsite/change-set';
import type { StorageFile } from '@secondsite/durable-storage';
import type { Progress } from '@secondsite/transport';
import type { ByteCount, ByteOffset, Epoch, SequenceNumber, TimeMicros } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';
import { Backoff } from './backoff';
import { ChangeBuffer, type HeldChangeSet } from './change-buffer';
import { ChangeSetHopLog } from './change-set-hop-log';
import { ChangeSetShipper, type ShipperListener } from './change-set-shipper';
import { ChangeStream, MARKER_ROOM_BYTES } from './change-stream';
import { OverloadPause } from './overload-pause';
import type { PairReplicationOptions } from './pair-replication-options';
import { RegionLedger } from './region-ledger';
import { RegionComparer } from './region-comparer';
import type { BitmapModeReason } from './replication-fact';
import { type Fault, faultOf, notInDataMode, type ReplicationStatus, resyncProgress, whyNoMemory } from './replication-status';
import { RegionSweeper, type StreamPosition } from './region-sweeper';
import { ResyncReader } from './resync-reader';

export type { PairReplicationOptions } from './pair-replication-options';
export type { ReplicationStatus } from './replication-status';

/** Why the stream takes no writes now. */
type Interruption = { readonly kind: 'bitmap-mode' } | { readonly kind: 'tap-lost' } | { readonly kind: 'new-epoch'; readonly reason: ResyncReason; step: 'to-raise' | 'raising' | 'raised' };

const HEARTBEAT_MILLIS = 1000;
const READ_AHEAD_BYTES_MAX = 96 * 1024 * 1024;

export class PairReplication {
  readonly pairId: string;
  readonly hops = new ChangeSetHopLog();
  readonly #options: PairReplicationOptions;
  readonly #buffer: ChangeBuffer;
  readonly #stream: ChangeStream;
  readonly #shipper: ChangeSetShipper;
  readonly #ledger: RegionLedger;
  readonly #comparer: RegionComparer;
  readonly #reader: ResyncReader;
  readonly #sweeper: RegionSweeper;
  readonly #epochBackoff: Backoff;
  readonly #overload: OverloadPause;
  /** Undefined while capturing. */
  #interruption: Interruption | undefined;
  #resync: { readonly totalBytes: ByteCount; readonly startedMillis: number } | undefined;
  #baselineRead = false;
  #appliedSequence: SequenceNumber = 0;
  #sealedMillis = 0;
  #flowControlledMillis = 0;
  #fault: Fault | undefined;
  /** The tap does not see every change: nothing starts until `resumeTap`. */
  #tapLost: boolean;
  #stopped = false;

  constructor(options: PairReplicationOptions) {
    this.#options = options;
    this.pairId = options.pairId;
    this.#tapLost = options.tap?.attached === false;
    this.#epochBackoff = new Backoff(options.millis);
    this.#overload = new OverloadPause({ ...options, calmBytesPerSecond: options.budget.bytesMax / 10 });
    this.#buffer = new ChangeBuffer({ budget: options.budget, ...(options.segmentDataBytes === undefined ? {} : { dataBytes: options.segmentDataBytes }) });
    this.#shipper = new ChangeSetShipper({ ...options, listener: this.#shipperListener() });
    this.#stream = new ChangeStream({ ...options, buffer: this.#buffer, ship: (set) => this.#ship(set) });
    this.#ledger = new RegionLedger(options.bitmap);
    this.#ledger.beginEpoch();
    this.#sweeper = new RegionSweeper({
      bitmap: options.bitmap, ledger: this.#ledger, millis: options.millis, syncSource: () => options.source.sync(),
      failed: (error) => (this.#fault = faultOf(error, 'bitmap/not-durable')),
    });
    const { regionBytes } = options.bitmap;
    this.#comparer = new RegionComparer({
      ...options, compare: (question, about) => options.sender.compare(question, about), position: () => this.#streamPosition,
      failed: (error) => (this.#fault = faultOf(error, 'checksums/not-durable')),
    });
    this.#reader = new ResyncReader({
      ...options, regionBytes, ledger: this.#ledger, stream: this.#stream, comparer: RegionComparer.canCompare(regionBytes) ? this.#comparer : undefined,
      mayRead: (bytes) => this.#mayReadAhead(bytes),
      failed: (error) => (this.#fault = faultOf(error, 'source/read-failed')),
    });
    const { origin } = options.bitmap.recovery;
    this.#interruption = { kind: 'new-epoch', reason: origin === 'recovered' ? 'agent-crash' : 'baseline', step: 'to-raise' };
  }

  get status(): ReplicationStatus {
    const { kind } = this.#interruption ?? { kind: undefined };
    const leftBytes = this.#ledger.toResyncBytes;
    return {
      mode: kind === undefined ? 'data' : kind === 'bitmap-mode' ? 'bitmap' : 'resync-required',
      epoch: this.#stream.epoch, sequence: this.#stream.sealedSequence, lastWriteTime: this.#stream.lastWriteTime,
      heldBytes: this.#shipper.heldBytes + this.#openBytes,
      dirtyBytes: leftBytes, resync: this.#resync && resyncProgress(this.#resync, { leftBytes, millis: this.#options.millis(), counts: this.#reader.counts }), flowControlled: this.#shipper.flowControlled,
      fault: this.#fault ?? this.#shipper.fault,
    };
  }

  set paused(paused: boolean) {
    this.#shipper.paused = paused;
  }

  /** Before a change of the range: `undefined` when it may happen in this turn, else wait and ask again. */
  admit(range: ByteRange): undefined | Promise<void> {
    const marked = this.#options.bitmap.mark(range);
    const stale = this.#options.checksums?.changing(range);
    // Both syncs go side by side; whoever waited for the first asks again, and so learns how the second ended.
    if (marked) stale?.catch(() => undefined);
    return marked ?? stale;
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
    if (range.length <= DATA_BYTES_MAX && this.#recapture(range, disk)) return;
    this.#ledger.miss(range);
    this.#enterBitmapMode('requested');
  }

  /** A bookmark at `time`, which is after every write so far; ends the set. Throws OperationError `bookmark/not-in-data-mode`. */
  cut(marker: StreamMarker, time: TimeMicros): { readonly epoch: Epoch; readonly sequence: SequenceNumber } {
    if (this.#interruption || this.#resync || this.#options.tap?.isProven === false || !this.#stream.makeRoom(MARKER_ROOM_BYTES)) throw notInDataMode(this.pairId);
    this.#stream.appendMarker(marker, time);
    this.#stream.seal();
    return { epoch: this.#stream.epoch, sequence: this.#stream.sealedSequence };
  }

  /** Reads the whole volume again in a new epoch. Resolves when that is decided durably. */
  async requestResync(): Promise<void> {
    const whole = { offset: 0, length: this.#options.volumeBytes };
    this.#ledger.miss(whole);
    await this.#options.bitmap.mark(whole);
    this.#interrupt({ kind: 'new-epoch', reason: 'target-request', step: 'to-raise' });
  }

  /** The tap may miss changes from now on. What was captured before is still shipped; nothing more enters the stream until `resumeTap`. */
  loseTap(): void {
    if (this.#tapLost) return;
    this.#tapLost = true;
    if (!this.#interruption) this.#interrupt({ kind: 'tap-lost' });
    this.#options.onFact({ kind: 'resync-required', pairId: this.pairId, epoch: this.#stream.epoch, reason: 'tap-interrupted' });
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
    this.#shipper.pump();
    if (this.#interruption) this.#goOn(this.#interruption);
    this.#reader.pump();
    if (!this.#interruption) this.#sealByTime();
    this.#endResync();
    this.#sweeper.tick(() => this.#streamPosition);
  }

  /**
   * Ships what was captured, waits at most so long until the target has applied it, and closes the bitmap, clean when nothing is left.
   * Only when the disk is not written any more.
   */
  async stop({ drainMillisMax, wait }: { readonly drainMillisMax: number; readonly wait: (millis: number) => Promise<void> }): Promise<void> {
    const { bitmap, millis } = this.#options;
    const end = millis() + drainMillisMax;
    this.#reader.stop();
    this.#stream.seal();
    while (this.#shipper.pendingSets > 0 && millis() < end) {
      this.#shipper.pump();
      await wait(10);
    }
    while (this.#appliedSequence < this.#stream.sealedSequence && this.#shipper.pendingSets === 0 && millis() < end) await this.#askApplied(wait);
    this.#stopped = true;
    this.#shipper.close();
    this.#buffer.close();
    if (this.#streamPosition) await this.#sweeper.finish(this.#streamPosition);
    await this.#comparer.close();
    await bitmap.close({ clean: bitmap.markedRegions === 0 });
  }

  get #openBytes(): ByteCount {
    const { dataBytes = 0, entryCount = 0 } = this.#buffer.builder ?? {};
    return dataBytes + entryCount * ENTRY_BYTES;
  }

  #capture(range: ByteRange, dataBytes: ByteCount): boolean {
    this.#reader.overlap(range);
    if (!this.#interruption && !this.#stream.makeRoom(dataBytes)) this.#enterBitmapMode(whyNoMemory(this.#shipper));
    this.#overload.written(range.length);
    if (this.#interruption) this.#ledger.miss(range);
    else this.#ledger.write(range, this.#stream.openSequence);
    return !this.#interruption;
  }

  #recapture({ offset, length }: ByteRange, disk: StorageFile): boolean {
    const bytes = Buffer.alloc(length);
    try {
      disk.readNow(bytes, offset);
    } catch (error) {
      this.#fault = faultOf(error, 'source/read-failed');
      return false;
    }
    if (!this.#stream.makeRoom(length)) return false;
    this.#stream.appendBytes({ kind: 'resync-write', offset }, [bytes]);
    this.#ledger.write({ offset, length }, this.#stream.openSequence);
    return true;
  }

  #enterBitmapMode(reason: BitmapModeReason): void {
    this.#interrupt({ kind: 'bitmap-mode' });
    this.#overload.begin();
    this.#options.onFact({ kind: 'bitmap-mode-entered', pairId: this.pairId, epoch: this.#stream.epoch, reason });
  }

  #interrupt(interruption: Interruption): void {
    this.#interruption = interruption;
    if (interruption.kind !== 'tap-lost') this.#resync = undefined;
    this.#reader.stop();
    if (interruption.kind !== 'new-epoch') return this.#stream.seal();
    this.#shipper.abandon();
    this.#stream.begin(this.#stream.epoch);
    this.#options.onFact({ kind: 'resync-required', pairId: this.pairId, epoch: this.#stream.epoch, reason: interruption.reason });
  }

  #goOn(interruption: Interruption): void {
    if (this.#tapLost) return;
    if (interruption.kind === 'tap-lost') this.#resumeStream();
    else if (interruption.kind === 'bitmap-mode') {
      if (this.#mayLeaveBitmapMode() && this.#resume({ kind: 'resync-started', reason: 'bitmap-mode', resyncBytes: this.#ledger.toResyncBytes })) {
        this.#options.onFact({ kind: 'bitmap-mode-left', pairId: this.pairId, epoch: this.#stream.epoch, dirtyBytes: this.#ledger.toResyncBytes });
      }
    } else if (interruption.step === 'raised') this.#startEpoch(interruption.reason);
    else if (interruption.step === 'to-raise' && this.#epochBackoff.isOver) void this.#raiseEpoch(interruption);
  }

  async #raiseEpoch(interruption: Interruption & { kind: 'new-epoch' }): Promise<void> {
    const { bitmap, sender } = this.#options;
    interruption.step = 'raising';
    try {
      const position = await sender.position(this.pairId, AbortSignal.timeout(3000));
      const epoch = await bitmap.raiseEpoch({ atLeast: position.kind === 'known' ? position.epoch + 1 : 1 });
      this.#ledger.beginEpoch();
      this.#stream.begin(epoch);
      this.#appliedSequence = 0;
      this.#epochBackoff.reset();
      this.#fault = undefined;
      interruption.step = 'raised';
      if (this.#interruption === interruption && !this.#stopped && !this.#tapLost) this.#startEpoch(interruption.reason);
    } catch (error) {
      this.#fault = faultOf(error, 'bitmap/not-durable');
      this.#epochBackoff.fail();
      interruption.step = 'to-raise';
    }
  }

  #startEpoch(reason: ResyncReason): void {
    const resyncBytes = this.#ledger.toResyncBytes;
    this.#resume({ kind: 'epoch-started', reason: resyncBytes === 0 ? 'none' : reason, volumeBytes: this.#options.volumeBytes, resyncBytes });
  }

  /** The tap is back. When nothing was missed the stream just goes on, also with a resync whose end was not told yet. */
  #resumeStream(): void {
    const resyncBytes = this.#ledger.toResyncBytes;
    if (resyncBytes === 0) this.#interruption = undefined;
    else this.#resume({ kind: 'resync-started', reason: 'tap-interrupted', resyncBytes });
  }

  /** Captures again, from this marker on. False while there is no memory. */
  #resume(marker: StreamMarker & { kind: 'epoch-started' | 'resync-started' }): boolean {
    if (!this.#stream.makeRoom(MARKER_ROOM_BYTES)) return false;
    this.#interruption = undefined;
    this.#stream.appendMarker(marker);
    const { reason, resyncBytes } = marker;
    if (resyncBytes === 0) return true;
    this.#resync = { totalBytes: resyncBytes, startedMillis: this.#options.millis() };
    // The marker goes out at once: nothing can be compared before the target has it.
    if (this.#hasReplica) this.#stream.seal();
    this.#reader.start({ compareFrom: this.#hasReplica ? this.#stream.sealedSequence : undefined });
    this.#options.onFact({ kind: 'resync-started', pairId: this.pairId, epoch: this.#stream.epoch, reason, resyncBytes, volumeBytes: this.#options.volumeBytes });
    return true;
  }

  #mayLeaveBitmapMode(): boolean {
    const { budget } = this.#options;
    const calm = this.#overload.isOver && this.#shipper.fault === undefined && !this.#shipper.flowControlled && !this.#shipper.paused;
    return calm && this.#shipper.heldBytes <= budget.bytesMax / 4 && this.#buffer.freeBytes >= budget.bytesMax / 4;
  }

  #mayReadAhead(bytes: ByteCount): boolean {
    const { bytesMax } = this.#options.budget;
    return this.#shipper.heldBytes + bytes <= Math.min(READ_AHEAD_BYTES_MAX, bytesMax / 2) && this.#buffer.freeBytes >= bytesMax / 4;
  }

  /** A set waits for more writes as long as the process server has others to take first. */
  #sealByTime(): void {
    const { clock, lingerMillis = 200, millis, tap } = this.#options;
    if (this.#shipper.waitingSets > 0) return;
    if (!this.#stream.isEmpty) {
      if (clock.now() - this.#stream.openedAt >= lingerMillis * 1000) this.#stream.seal();
    } else if (this.#shipper.pendingSets === 0 && millis() - this.#sealedMillis >= HEARTBEAT_MILLIS && this.#stream.makeRoom(MARKER_ROOM_BYTES)) {
      // A heartbeat says that nothing else was written until then, so its time is one for which the tap is known to have seen everything.
      if (tap && tap.provenUntil <= clock.last) return;
      this.#stream.appendMarker({ kind: 'heartbeat' }, tap?.provenUntil);
      this.#stream.seal();
    }
  }

  #endResync(): void {
    if (!this.#resync || this.#interruption || this.#options.tap?.isProven === false) return;
    if (this.#ledger.toResync.size > 0 || !this.#reader.isIdle || !this.#stream.makeRoom(MARKER_ROOM_BYTES)) return;
    this.#resync = undefined;
    this.#baselineRead = true;
    this.#overload.caughtUp();
    this.#stream.appendMarker({ kind: 'resync-read' });
    this.#stream.seal();
    if (this.#reader.counts.comparedBlocks > 0) this.#options.onFact({ kind: 'resync-compared', pairId: this.pairId, epoch: this.#stream.epoch, ...this.#reader.counts });
    this.#options.onFact({ kind: 'resync-read', pairId: this.pairId, epoch: this.#stream.epoch, sequence: this.#stream.sealedSequence });
  }

  /** The target has, or had, most of the volume: only the baseline of a new pair is sent without asking. */
  get #hasReplica(): boolean {
    return this.#stream.epoch > 1 || this.#baselineRead;
  }

  /** Undefined between two epochs, when no sequence means anything. */
  get #streamPosition(): StreamPosition | undefined {
    if (this.#interruption?.kind === 'new-epoch') return undefined;
    return { epoch: this.#stream.epoch, sealed: this.#stream.sealedSequence, applied: this.#appliedSequence };
  }

  #ship(set: HeldChangeSet): void {
    this.#sealedMillis = this.#options.millis();
    this.hops.cut(set.header, this.#options.clock.last);
    this.#shipper.offer(set);
  }

  #shipperListener(): ShipperListener {
    return {
      sent: (set) => this.hops.sent(set.header, this.#options.clock.now()),
      stored: (set) => {
        this.#overload.shipped(set.header.contentBytes);
        const hops = this.hops.answered(set.header, this.#options.clock.now());
        if (hops) this.#options.onPassed?.(hops);
      },
      progress: (progress) => this.#progress(progress),
      flowControl: ({ on, heldBytes }) => this.#flowControl(on, heldBytes),
      refused: ({ code, detail, sequence }) => {
        this.#options.onFact({ kind: 'change-set-refused', pairId: this.pairId, epoch: this.#stream.epoch, sequence, code, reason: detail });
        if (!this.#stopped) this.#interrupt({ kind: 'new-epoch', reason: 'target-request', step: 'to-raise' });
      },
    };
  }

  #progress({ appliedEpoch, appliedSequence }: Progress): void {
    if (appliedEpoch === this.#stream.epoch) this.#appliedSequence = Math.max(this.#appliedSequence, appliedSequence);
  }

  #flowControl(on: boolean, heldBytes: ByteCount): void {
    const now = this.#options.millis();
    if (on) this.#options.onFact({ kind: 'flow-control-started', pairId: this.pairId, heldBytes });
    else this.#options.onFact({ kind: 'flow-control-ended', pairId: this.pairId, seconds: (now - this.#flowControlledMillis) / 1000 });
    this.#flowControlledMillis = now;
  }

  async #askApplied(wait: (millis: number) => Promise<void>): Promise<void> {
    const position = await this.#options.sender.position(this.pairId, AbortSignal.timeout(1000));
    if (position.kind === 'known') this.#progress(position);
    if (this.#appliedSequence < this.#stream.sealedSequence) await wait(50);
  }
}
