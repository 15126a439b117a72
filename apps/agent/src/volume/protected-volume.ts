// SPDX-License-Identifier: Apache-2.0
// One volume of the host: its tap, and its replication while it is protected. Needs a thread of its own, because its
// writes block; can be used without one in tests.
import { clientTlsOptions } from '@secondsite/certificates/tls';
import type { BookmarkMarker } from '@secondsite/change-set';
import { clockMicros } from '@secondsite/disk-files';
import { ChangeSetClient } from '@secondsite/transport';
import { type ByteCount, isOperationError, OperationError, type TimeMicros } from '@secondsite/units';
import type { ByteRange, WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { QemuTap } from '../qemu-tap/qemu-tap';
import { BufferBudget } from './buffer-budget';
import type { ChangeSetHops } from './change-set-hop-log';
import { NbdTap } from './nbd-tap';
import { PairFiles } from './pair-files';
import { PairReplication } from './pair-replication';
import { prepareChangeSet } from './prepare-change-set';
import type { ReplicationFact } from './replication-fact';
import { SenderRoute } from './sender-route';
import { StreamTimes } from './stream-times';
import type { VolumeTap } from './volume-tap';
import type { WholeCause } from './whole-resync';
import type { Credentials, CutReply, CutRequest, HoldRequest, PairSettings, VolumeEnvironment, VolumeSettings, VolumeStatus } from './volume-thread';
import { WriteHolds } from './write-holds';

export interface VolumeListener {
  fact(fact: ReplicationFact): void;
  passed(passed: { readonly pairId: string; readonly hops: ChangeSetHops }): void;
  /** The tap may miss changes from now on (QEMU's mirror only). */
  tapLost(reason: string): void;
}

interface Protection {
  readonly replication: PairReplication;
  readonly route: SenderRoute<ChangeSetClient>;
  /** Of the process server that change sets are sent to (see AgentPair). */
  move: number | undefined;
}

const TICK_MILLIS = 20;
const SIZE_MILLIS = 1000;
/** Who holds while the protection changes; then no bookmark lets writes go. */
const PROTECTION_CHANGE = 'protection change';
const millis = () => performance.now();

export class ProtectedVolume {
  readonly #environment: VolumeEnvironment;
  readonly #listener: VolumeListener;
  readonly #tap: VolumeTap;
  readonly #files: PairFiles;
  readonly #times = new StreamTimes(clockMicros);
  readonly #budget: BufferBudget;
  readonly #ticker: NodeJS.Timeout;
  readonly #sizeTimer: NodeJS.Timeout;
  /** The source has become so small; undefined when it is not smaller than the volume. */
  #shrunkTo: ByteCount | undefined;
  #settings: VolumeSettings;
  #credentials: Credentials | undefined;
  #pair: PairSettings | undefined;
  #protection: Protection | undefined;
  readonly #holds: WriteHolds;
  #configuring: Promise<void> = Promise.resolve();

  private constructor(settings: VolumeSettings, parts: { environment: VolumeEnvironment; listener: VolumeListener; tap: VolumeTap; files: PairFiles }) {
    this.#settings = settings;
    this.#environment = parts.environment;
    this.#credentials = parts.environment.credentials;
    this.#listener = parts.listener;
    this.#tap = parts.tap;
    this.#holds = new WriteHolds(parts.tap, millis);
    this.#files = parts.files;
    this.#budget = new BufferBudget(parts.environment.budget);
    this.#ticker = setInterval(() => this.#protection?.replication.tick(), TICK_MILLIS);
    this.#sizeTimer = setInterval(() => void this.#followSize(), SIZE_MILLIS);
  }

  /** Opens the tap, protects the volume when the settings say so, and takes its changes. Throws OperationError `storage/…` when the disk cannot be used. */
  static async open(settings: VolumeSettings, environment: VolumeEnvironment, listener: VolumeListener): Promise<ProtectedVolume> {
    const tap = await openTap(settings, environment, listener);
    try {
      const files = await PairFiles.open(join(environment.dataDir, 'volumes', settings.volumeId));
      const volume = new ProtectedVolume(settings, { environment, listener, tap, files });
      await volume.#start();
      return volume;
    } catch (error) {
      await tap.close();
      throw error;
    }
  }

  /** Obeys changed settings (tap and size cannot change); one call after the other. */
  configure(settings: VolumeSettings): Promise<void> {
    return this.#inTurn(() => this.#configure(settings));
  }

  /** No write reaches the disk until `cut` or `release`, or until the limit has passed. Refused when no cut could be made now. */
  hold({ holdId, limitMillis }: HoldRequest): TimeMicros {
    this.#replication.assertCut();
    this.#holds.hold(holdId, limitMillis);
    return this.#times.last;
  }

  /** Ends the open change set with a bookmark at the given time and lets writes go on. */
  cut({ holdId, bookmark, time }: CutRequest): CutReply {
    try {
      const heldMillis = this.#holds.heldMillis(holdId);
      if (heldMillis === undefined) throw heldTooLong(this.#settings);
      const replication = this.#replication;
      return { pairId: replication.pairId, ...replication.cut(bookmark, time), heldMillis };
    } finally {
      this.release(holdId);
    }
  }

  /** The same for a bookmark of this volume only, at once: what was written until now is before it. */
  cutAlone(bookmark: BookmarkMarker): CutReply & { readonly time: TimeMicros } {
    const replication = this.#replication;
    const [started, time] = [millis(), this.#times.now()];
    return { pairId: replication.pairId, ...replication.cut(bookmark, time), time, heldMillis: millis() - started };
  }

  release(holdId: string): void {
    this.#holds.release(holdId);
  }

  hops(key: { readonly epoch: number; readonly sequence: number } | undefined): ChangeSetHops | undefined {
    return this.#protection?.replication.tracing.hops.find(key);
  }

  /** New connections use a renewed certificate. */
  useCredentials(credentials: Credentials): void {
    this.#credentials = credentials;
    this.#tap.useCredentials(credentials);
    this.#protection?.route.sender.setTls(processServerTls(credentials));
  }

  /** The part of the tap that its keeper speaks to. Throws OperationError `tap/not-a-mirror`. */
  get mirror(): QemuTap {
    if (this.#tap instanceof QemuTap) return this.#tap;
    throw notMirror(this.#settings);
  }

  get status(): VolumeStatus {
    const { replication, move } = this.#protection ?? {};
    return {
      sizeBytes: this.#tap.sizeBytes, nbdUris: this.#tap.nbdUris, writes: this.#tap.writes, writtenBytes: this.#tap.writtenBytes,
      replication: replication && { ...replication.status, pairId: replication.pairId, move },
    };
  }

  /** Ends the export, ships what was captured within the time, and leaves everything durable. */
  async close({ drainMillisMax }: { readonly drainMillisMax: number }): Promise<void> {
    await this.#configuring;
    this.#holds.releaseAll();
    await this.#tap.endChanges();
    clearInterval(this.#ticker);
    clearInterval(this.#sizeTimer);
    await this.#configuring;
    await this.#unprotect({ drainMillisMax });
    await this.#tap.close();
  }

  async #start(): Promise<void> {
    await this.#configure(this.#settings);
    await this.#tap.start();
  }

  async #configure(settings: VolumeSettings): Promise<void> {
    const { pair } = settings;
    if (pair?.pairId !== this.#pair?.pairId || (pair && !this.#protection)) await this.#changeProtection(pair);
    else if (this.#protection && pair) this.#followProcessServer(this.#protection, pair);
    this.#settings = settings;
    this.#pair = pair;
    if (this.#protection && pair) await this.#alter(this.#protection.replication, pair);
  }

  /** Another process server, or the same at another address: the stream goes on there, in the same epoch. */
  #followProcessServer(protection: Protection, { processServerUrl, move }: PairSettings): void {
    if (processServerUrl !== this.#pair?.processServerUrl) protection.route.changeTo(this.#connect(processServerUrl));
    protection.move = move;
  }

  #connect(url: string): ChangeSetClient {
    return new ChangeSetClient({ url, connectionsMax: 6, ...(this.#credentials ? { tls: processServerTls(this.#credentials) } : {}) });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#configuring.then(work);
    this.#configuring = done.catch(() => undefined); // The caller sees the failure and repeats.
    return done;
  }

  async #changeProtection(pair: PairSettings | undefined): Promise<void> {
    await this.#whileHeld(async () => {
      await this.#unprotect({ drainMillisMax: 0 });
      await this.#files.keepOnly(pair?.pairId);
      if (pair) await this.#protect(pair);
    });
  }

  /**
   * A source that grew takes the volume with it: a new epoch brings the new part. One that shrank does not: the volume keeps its size, and what is
   * missing reads as zeros, for nobody can say that this is wanted.
   */
  async #followSize(): Promise<void> {
    try {
      if (this.#pair && !this.#protection) await this.configure(this.#settings);
      const { sourceBytes } = this.#tap;
      if (sourceBytes > this.#tap.sizeBytes) await this.#inTurn(() => this.#grow(sourceBytes));
      await this.#followShrinking(sourceBytes < this.#tap.sizeBytes ? sourceBytes : undefined);
    } catch (error) {
      if (!isOperationError(error)) throw error; // A disk that cannot be asked or a bitmap that cannot be written: it is tried again.
    }
  }

  async #grow(sizeBytes: ByteCount): Promise<void> {
    if (sizeBytes > this.#tap.sizeBytes) await this.#protectAnew({ before: () => this.#tap.grow?.(sizeBytes) });
  }

  /** What the source lacked for a while may come back as something else, unseen by the tap. */
  async #followShrinking(sourceBytes: ByteCount | undefined): Promise<void> {
    const pairId = this.#protection?.replication.pairId;
    const shrunkTo = this.#shrunkTo;
    if (pairId === undefined || sourceBytes === shrunkTo) return;
    this.#shrunkTo = sourceBytes;
    const volumeBytes = this.#tap.sizeBytes;
    if (sourceBytes !== undefined) this.#listener.fact({ kind: 'volume-shrunk', pairId, volumeBytes, sourceBytes });
    if (shrunkTo !== undefined) await this.#inTurn(() => this.#protectAnew({ missed: { offset: Number(shrunkTo), length: volumeBytes - shrunkTo } }));
    if (sourceBytes === undefined) this.#listener.fact({ kind: 'volume-restored', pairId, volumeBytes });
  }

  /** Begins a new epoch, with what was not seen by the tap marked. */
  #protectAnew({ before, missed }: { readonly before?: () => void; readonly missed?: ByteRange }): Promise<void> {
    const pair = this.#pair;
    return this.#whileHeld(async () => {
      await this.#unprotect({ drainMillisMax: 0 });
      before?.();
      if (pair) await this.#protect(pair, missed);
    });
  }

  /** Writes wait meanwhile, so that none of them is missing in the bitmap that is kept; not for a disk that does not answer. */
  async #whileHeld(change: () => Promise<void>): Promise<void> {
    await this.#files.probe();
    this.#holds.hold(PROTECTION_CHANGE);
    try {
      await change();
    } catch (error) {
      await this.#files.keepOnly(undefined); // Writes are not watched from here on. If even this fails they stay held.
      this.#holds.release(PROTECTION_CHANGE);
      throw error;
    }
    this.#holds.release(PROTECTION_CHANGE);
  }

  /** Throws OperationError `volume/not-protected`. */
  get #replication(): PairReplication {
    if (this.#protection && this.#holds.heldMillis(PROTECTION_CHANGE) === undefined) return this.#protection.replication;
    throw notProtected(this.#settings);
  }

  /** A request is obeyed when the pair has its turn; until then it stays in sync. */
  async #alter(replication: PairReplication, { pairId, paused, standby, resyncRequest, resyncTurn }: PairSettings): Promise<void> {
    replication.paused = paused;
    replication.standby = standby === true;
    replication.resyncTurn = resyncTurn;
    const obeyed = (await this.#files.state(pairId))?.resyncRequest;
    if (obeyed === resyncRequest || (obeyed !== undefined && !resyncTurn)) return;
    if (obeyed !== undefined) await replication.requestResync();
    await this.#files.change(pairId, { resyncRequest });
  }

  async #protect({ pairId, processServerUrl, move, paused, standby, resyncTurn }: PairSettings, missed?: ByteRange): Promise<void> {
    const bitmap = await this.#openBitmap(pairId);
    const wholeCause = await this.#wholeCause(pairId, bitmap);
    const volumeBytes = this.#tap.sizeBytes;
    const checksums = await this.#files.openChecksums({ pairId, volumeBytes });
    if (missed) await Promise.all([bitmap.mark(missed), checksums.changing(missed)]);
    const route = new SenderRoute(this.#connect(processServerUrl));
    const replication = new PairReplication({
      pairId, bitmap, checksums, sender: route, millis, volumeBytes, source: this.#tap.source, budget: this.#budget, clock: this.#times,
      segmentDataBytes: this.#environment.segmentDataBytes,
      ...(this.#tap.watch ? { tap: this.#tap.watch } : {}),
      onFact: (fact) => this.#listener.fact(fact),
      onPassed: (hops) => this.#listener.passed({ pairId, hops }),
      traceSlowMillis: this.#environment.traceSlowMillis,
      newTraceparent: () => newTraceparent(this.#environment.traceRatio),
      prepare: (set) => prepareChangeSet(set, this.#pair ?? { compression: 'none', folding: false }),
      wholeCause,
      ...(missed ? { startCause: 'tap-interrupted' as const } : {}),
      noteWhole: (wholeResync) => this.#files.change(pairId, { wholeResync }),
    });
    replication.paused = paused;
    replication.standby = standby === true;
    replication.resyncTurn = resyncTurn;
    this.#protection = { replication, route, move };
    this.#tap.replication = replication;
  }

  async #openBitmap(pairId: string): Promise<WriteIntentBitmap> {
    const known = (await this.#files.state(pairId))?.volumeBytes ?? 0;
    if (known > this.#tap.sizeBytes) this.#tap.grow?.(known);
    const volumeBytes = this.#tap.sizeBytes;
    const bitmap = await this.#files.openBitmap({ pairId, volumeId: this.#settings.volumeId, volumeBytes });
    if (known !== volumeBytes) await this.#files.change(pairId, { volumeBytes });
    const { grownFrom } = bitmap.recovery;
    if (grownFrom !== undefined) this.#listener.fact({ kind: 'volume-grown', pairId, fromBytes: grownFrom, toBytes: volumeBytes });
    return bitmap;
  }

  /** Why everything has to be read, if it has; kept durably before the bitmap is used, which does not know whether it is the pair's first. */
  async #wholeCause(pairId: string, { recovery }: WriteIntentBitmap): Promise<WholeCause | undefined> {
    const state = await this.#files.state(pairId);
    if (recovery.origin === 'recovered') return state?.wholeResync;
    const wholeResync = state?.resyncRequest === undefined ? 'baseline' : 'bitmap-lost';
    await this.#files.change(pairId, { wholeResync });
    return wholeResync;
  }

  async #unprotect({ drainMillisMax }: { readonly drainMillisMax: number }): Promise<void> {
    const protection = this.#protection;
    if (!protection) return;
    try {
      await protection.replication.stop({ drainMillisMax, wait: (time) => delay(time) });
    } finally {
      this.#protection = undefined;
      this.#tap.replication = undefined;
    }
  }

}

function openTap(settings: VolumeSettings, environment: VolumeEnvironment, listener: VolumeListener): Promise<VolumeTap> {
  if (settings.tap.kind === 'nbd') return NbdTap.open(settings.tap.source, settings, environment);
  return QemuTap.open(settings, environment, { lost: (reason) => listener.tapLost(reason) });
}

function processServerTls(credentials: Credentials) {
  return clientTlsOptions(credentials, { serverRoles: ['process-server'], tenantId: credentials.tenantId });
}

function newTraceparent(ratio: number): string {
  const id = randomBytes(24).toString('hex');
  return `00-${id.slice(0, 32)}-${id.slice(32)}-${Math.random() < ratio ? '01' : '00'}`;
}

function notProtected({ volumeId, name }: VolumeSettings): OperationError {
  return new OperationError({
    code: 'volume/not-protected', operation: 'create bookmark', context: { volumeId, name }, retryable: false, hint: 'Add the volume to a protection plan first.',
  });
}

function notMirror({ volumeId }: VolumeSettings): OperationError {
  const hint = 'Only a volume of a running QEMU has a mirror.';
  return new OperationError({ code: 'tap/not-a-mirror', operation: 'use mirror', context: { volumeId }, retryable: false, hint });
}

function heldTooLong({ volumeId }: VolumeSettings): OperationError {
  return new OperationError({
    code: 'bookmark/held-too-long', operation: 'create bookmark', context: { volumeId }, retryable: true,
    hint: 'Writes were let go before all volumes could be cut; repeat the bookmark.',
  });
}
