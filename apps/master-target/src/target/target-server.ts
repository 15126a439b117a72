// SPDX-License-Identifier: Apache-2.0
// The data plane of a master target: receives change sets for its pairs and hosts one thread per pair. Needs no bus and no database: the
// last desired state is kept in the data folder. Invariant: data of a pair are removed only when `removedPairs` names it.
import type { KeptSet } from '@secondsite/change-set';
import { type MasterTargetDesiredState, masterTargetDesiredStateSchema, type MasterTargetPair, type MasterTargetPairTelemetry, type PairArrivalTelemetry } from '@secondsite/contracts';
import { clockMicros, type DiskDirectory, type FolderLock, lockFolder, openDirectory, readJsonFile, writeJsonAtomically } from '@secondsite/disk-files';
import { type PointRequest, RecoveryPoints, type ResolvedPoint, type RetentionLimits } from '@secondsite/retention-journal';
import { type Authorize, BodyPool, ChangeSetClient, ChangeSetServer, type CompareOutcome, type CompareRequest, type CopyOutcome, type CopyRequest, type PositionOutcome, type RefusedPeer, type StoreOutcome, type StoreRequest } from '@secondsite/transport';
import { MIB, type ByteCount, isoFromMicros, OperationError, type TimeMicros } from '@secondsite/units';
import { BlockTable } from '@secondsite/wan-deduplication';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConnectionOptions, SecureContextOptions, TlsOptions } from 'node:tls';
import type { TargetReporter } from '../control/control-plane';
import { recordHopSpans } from '../control/hop-spans';
import type { OpenViewAnswer, PairPoints, PairThreadData, RetentionPreview } from '../pair/pair-thread';
import type { PairStatus, SetHops, StreamPlace } from '../pair/pair-types';
import type { PairLimits } from '../pair/pair-limits';
import type { ColdStoreConfig } from '../cold/cold-config';
import type { OpenView } from '../views/view-registry';
import { allocatedBytes, overAllocation } from './allocation';
import { PairHost } from './pair-host';
import { PairMoves } from './pair-moves';
import { RemovedPairs } from './removed-pairs';
import { retentionReport } from './retention-report';
import { scrubReport } from './scrub-report';

export interface TargetServerOptions {
  readonly dataDir: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly advertiseHost: string;
  readonly authorize: Authorize;
  /** Undefined: plain HTTP and NBD (development switch). */
  readonly tls?: { readonly options: TlsOptions; readonly tenantId: string } | undefined;
  /** False: change sets arrive without TLS although views are served with it. Default true. */
  readonly dataTls?: boolean;
  /** To other master targets, from which pairs move here. Undefined: plain HTTP (development switch). */
  readonly copyTls?: ConnectionOptions | undefined;
  readonly onRefusedPeer?: (refused: RefusedPeer) => void;
  readonly reporter: TargetReporter;
  readonly overAllocate: boolean;
  readonly limits?: Partial<PairLimits>;
  /** Where old undo goes; absent: it stays here. */
  readonly cold?: ColdStoreConfig | undefined;
  /** Memory for what is remembered of the blocks of the tenant's replicas. Undefined: change sets bring everything. */
  readonly deduplication?: { readonly tenantId: string; readonly bytesMax: ByteCount } | undefined;
  /** The process cannot go on and has to be started anew. */
  readonly onFatal: (error: unknown) => void;
}

export interface ServedView extends OpenView {
  readonly pairId: string;
  readonly volumeId: string;
}

const stateName = 'desired-state.json';
const RECEIVE_BYTES_MAX = 64 * MIB;
const MOVE_LOOK_MILLIS = 500;

export class TargetServer {
  readonly #options: TargetServerOptions;
  readonly #lock: FolderLock;
  readonly #pairsFolder: DiskDirectory;
  readonly #hosts = new Map<string, PairHost>();
  readonly #server: ChangeSetServer;
  readonly #pool = new BodyPool({ idleBytesMax: RECEIVE_BYTES_MAX });
  readonly #sharedBlocks: PairThreadData['sharedBlocks'];
  readonly #rates = new Map<string, { bytes: number; at: number }>();
  readonly #moves: PairMoves;
  readonly #mover: NodeJS.Timeout;
  #tls: TargetServerOptions['tls'];
  readonly #removed: RemovedPairs;
  #copyTls: ConnectionOptions | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: TargetServerOptions, parts: { readonly lock: FolderLock; readonly pairsFolder: DiskDirectory }) {
    this.#options = options;
    this.#lock = parts.lock;
    this.#pairsFolder = parts.pairsFolder;
    this.#tls = options.tls;
    this.#removed = new RemovedPairs({ folder: parts.pairsFolder.path, cold: options.cold, reporter: options.reporter });
    const { deduplication: shared } = options;
    this.#sharedBlocks = shared && { tenantId: shared.tenantId, memory: BlockTable.ofBytes(shared.bytesMax).memory, pairsFolder: parts.pairsFolder.path };
    this.#copyTls = options.copyTls;
    this.#moves = new PairMoves({
      folder: parts.pairsFolder.path, hosts: this.#hosts, onFatal: options.onFatal,
      open: (pair) => this.#open(pair), close: (pairId) => this.#close(pairId), hasSpaceFor: (pair) => this.#hasSpaceFor(pair),
      connect: (url) => new ChangeSetClient({ url, ...(this.#copyTls && { tls: this.#copyTls }) }),
    });
    this.#mover = setInterval(() => void this.#inTurn(() => this.#moves.look()).catch(options.onFatal), MOVE_LOOK_MILLIS);
    this.#server = new ChangeSetServer({
      authorize: options.authorize,
      handler: { store: (request) => this.store(request), position: ({ pairId }) => this.position(pairId), compare: (request) => this.compare(request), copy: (request) => this.copy(request) },
      onFault: options.onFatal,
      pool: this.#pool,
      limits: { budgetBytes: RECEIVE_BYTES_MAX, peerBudgetBytes: (RECEIVE_BYTES_MAX / 4) * 3 },
      ...(options.tls && options.dataTls !== false && { tls: options.tls.options }),
      ...(options.onRefusedPeer && { onRefusedPeer: options.onRefusedPeer }),
    });
  }

  /** Takes the data folder and opens the pairs of the last desired state. `storage/locked` when another process has it. */
  static async open(options: TargetServerOptions): Promise<TargetServer> {
    await openDirectory(options.dataDir);
    const lock = lockFolder(options.dataDir);
    const server = new TargetServer(options, { lock, pairsFolder: await openDirectory(join(options.dataDir, 'pairs')) });
    const stored = await readJsonFile(join(options.dataDir, stateName));
    if (stored !== undefined) await server.#apply(masterTargetDesiredStateSchema.parse(stored));
    await Promise.all([...server.#hosts.values()].map((host) => host.settled));
    return server;
  }

  /** Starts to receive. */
  listen(): Promise<{ readonly port: number; readonly url: string }> {
    return this.#server.listen(this.#options.listen);
  }

  notReadyReason(): string | undefined {
    for (const [pairId, host] of this.#hosts) if (host.fault !== undefined) return `pair ${pairId}: ${host.fault}`;
    return undefined;
  }

  useCertificate({ secureContext, tls, copyTls }: { readonly secureContext: SecureContextOptions; readonly tls: TlsOptions; readonly copyTls?: ConnectionOptions }): void {
    this.#copyTls = copyTls;
    this.#moves.reconnect();
    if (!this.#tls) return;
    this.#tls = { ...this.#tls, options: tls };
    this.#server.setSecureContext(secureContext);
    for (const host of this.#hosts.values()) host.useCertificate(threadTls(tls));
  }

  /** Makes the pairs as the document says; durable when it resolves. Idempotent. */
  reconcile(document: MasterTargetDesiredState): Promise<void> {
    return this.#inTurn(async () => {
      await writeJsonAtomically(join(this.#options.dataDir, stateName), document);
      await this.#apply(document);
    });
  }

  #inTurn(action: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(action);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #apply(document: MasterTargetDesiredState): Promise<void> {
    const wanted = new Map(document.pairs.map((pair) => [pair.pairId, pair]));
    await this.#moves.reconcile(document);
    for (const pairId of this.#hosts.keys()) if (!wanted.has(pairId) && !this.#moves.isAway(pairId)) await this.#close(pairId);
    await this.#removed.remove(document.removedPairs.filter((pairId) => !wanted.has(pairId)));
    for (const pair of wanted.values()) await this.#applyPair(pair);
  }

  async #applyPair(pair: MasterTargetPair): Promise<void> {
    const host = this.#hosts.get(pair.pairId);
    if (host) return host.update(pair);
    if (await this.#hasSpaceFor(pair)) await this.#open(pair);
  }

  async #open(pair: MasterTargetPair): Promise<void> {
    const opened = this.#openPair(pair);
    this.#hosts.set(pair.pairId, opened);
    await opened.settled;
  }

  async #close(pairId: string): Promise<void> {
    const host = this.#hosts.get(pairId);
    this.#hosts.delete(pairId);
    await host?.close();
  }

  /** A pair that was accepted once stays accepted. */
  async #hasSpaceFor(pair: MasterTargetPair): Promise<boolean> {
    if (this.#options.overAllocate || (await readdir(this.#pairsFolder.path)).includes(pair.pairId)) return true;
    const pairs = [...[...this.#hosts.values()].map((host) => host.pair), ...this.#moves.copies, pair];
    const excess = overAllocation(pairs, { freeBytes: await this.freeBytes(), usedBytes: await allocatedBytes(this.#pairsFolder.path) });
    if (excess) this.#options.reporter.overAllocated(pair.pairId, excess);
    return excess === undefined;
  }

  #openPair(pair: MasterTargetPair): PairHost {
    const { dataDir, listen, advertiseHost, limits = {}, cold, reporter } = this.#options;
    return new PairHost({
      pair,
      reporter,
      threadData: () => ({
        path: join(this.#pairsFolder.path, pair.pairId),
        limits, advertiseHost, cold, listenHost: listen.host,
        sharedBlocks: this.#sharedBlocks,
        socketFolder: join(dataDir, 'views'),
        tls: this.#tls && { options: threadTls(this.#tls.options), tenantId: this.#tls.tenantId },
      }),
      onTraced: (hops) => recordHopSpans(pair.pairId, hops),
      recycle: (memory) => this.#pool.giveBack(memory),
    });
  }

  /** Step 6 of the write path, for the pair's thread. */
  async store({ pairId, epoch, sequence, body, lateTraces }: StoreRequest): Promise<StoreOutcome> {
    const host = this.#hosts.get(pairId);
    if (!host?.isOpen || this.#moves.isAway(pairId)) {
      this.#pool.giveBack(body.buffer);
      return host && !this.#moves.isAway(pairId) ? notOpen(host) : unknownPair(pairId);
    }
    return host.thread.call('store', { epoch, sequence, body, receivedAt: clockMicros(), lateTraces });
  }

  async position(pairId: string): Promise<PositionOutcome> {
    const host = this.#hosts.get(pairId);
    if (!host || this.#moves.isAway(pairId)) return unknownPair(pairId);
    if (!host.isOpen) return notOpen(host);
    return { kind: 'known', ...(await host.thread.call('position', undefined)) };
  }

  async compare({ pairId, epoch, sequence, question }: CompareRequest): Promise<CompareOutcome> {
    const host = this.#hosts.get(pairId);
    if (!host || this.#moves.isAway(pairId)) return unknownPair(pairId);
    if (!host.isOpen) return notOpen(host);
    return host.thread.call('compare', { epoch, sequence, question });
  }

  /** A question of the master target to which the desired state says that the pair moves, for the pair's thread. */
  async copy({ pairId, question, peer }: CopyRequest): Promise<CopyOutcome> {
    const host = this.#hosts.get(pairId);
    if (!host || this.#moves.isAway(pairId)) return unknownPair(pairId);
    const { movingTo, placement = 0 } = host.pair;
    if (movingTo === undefined || (peer && peer.componentId !== movingTo)) return notAllowed(pairId);
    if (!host.isOpen) return notOpen(host);
    return host.thread.call('copy', { question, placement: placement + 1 });
  }

  async points(pairId: string, range: { readonly from?: TimeMicros; readonly to?: TimeMicros }): Promise<PairPoints> {
    return this.#host(pairId).thread.call('points', range);
  }

  /** Keeps a point of all pairs for a while; false when one of them does not offer it any more. */
  async hold(pairIds: readonly string[], point: { readonly time: TimeMicros; readonly micros: TimeMicros }): Promise<boolean> {
    const held = await Promise.all(pairIds.map((pairId) => this.#host(pairId).thread.call('hold', point)));
    return !held.includes(false);
  }

  previewRetention(pairId: string, limits: RetentionLimits): Promise<RetentionPreview> {
    return this.#host(pairId).thread.call('previewRetention', limits);
  }

  /** The point common to all pairs. */
  async resolve(pairIds: readonly string[], request: PointRequest): Promise<ResolvedPoint> {
    const all = await Promise.all(pairIds.map((pairId) => this.points(pairId, {})));
    return RecoveryPoints.common(all.map((points) => RecoveryPoints.of(points))).resolve(request);
  }

  openView(pairId: string, view: { readonly viewId: string; readonly pointTime: TimeMicros; readonly readWrite: boolean }): Promise<(OpenViewAnswer & { ok: false }) | { ok: true; view: ServedView }> {
    const host = this.#host(pairId);
    return host.thread.call('openView', view).then((answer) => (answer.ok ? { ok: true, view: servedView(host.pair, answer.view) } : answer));
  }

  async closeView(viewId: string): Promise<boolean> {
    const closed = await Promise.all([...this.#hosts.values()].map((host) => host.thread.call('closeView', viewId)));
    return closed.includes(true);
  }

  async listViews(pairIds?: readonly string[]): Promise<ServedView[]> {
    const hosts = [...this.#hosts.values()].filter((host) => host.fault === undefined && (pairIds === undefined || pairIds.includes(host.pair.pairId)));
    const lists = await Promise.all(hosts.map(async (host) => (await host.thread.call('listViews', undefined)).map((view) => servedView(host.pair, view))));
    return lists.flat();
  }

  hops(pairId: string, place: StreamPlace | undefined): Promise<SetHops | undefined> {
    return this.#host(pairId).thread.call('hops', place ?? null);
  }

  /** Change sets of pairs that were refused and kept aside; a pair that is not here or not open has none to show. */
  async quarantined(pairIds: readonly string[]): Promise<(KeptSet & { readonly pairId: string })[]> {
    const open = pairIds.filter((pairId) => this.#hosts.get(pairId)?.isOpen === true);
    const lists = await Promise.all(open.map(async (pairId) => (await this.#host(pairId).thread.call('quarantined', undefined)).map((set) => ({ ...set, pairId }))));
    return lists.flat();
  }

  /** Begins to read replica and journal again, unless they are being read. */
  scrub(pairId: string): Promise<void> {
    return this.#host(pairId).thread.call('scrub', undefined);
  }

  status(pairId: string): Promise<PairStatus> {
    return this.#host(pairId).thread.call('status', undefined);
  }

  /** One entry per pair; a pair that is not open says so as its fault. */
  telemetry(): Promise<MasterTargetPairTelemetry[]> {
    return Promise.all([...this.#hosts.values()].filter(({ pair }) => !this.#moves.isAway(pair.pairId)).map((host) => this.#telemetryOf(host)));
  }

  /** Of pairs on their way here. */
  arrivals(): PairArrivalTelemetry[] {
    return this.#moves.telemetry();
  }

  async #telemetryOf(host: PairHost): Promise<MasterTargetPairTelemetry> {
    const { pairId } = host.pair;
    if (host.fault !== undefined) return { ...closedPair, pairId, fault: { code: 'pair/not-open', hint: host.fault } };
    const status = await host.thread.call('status', undefined).catch(() => undefined);
    if (!status) return { ...closedPair, pairId, fault: { code: 'pair/not-open', hint: 'the pair has just stopped' } };
    const { epoch, receivedSequence, sequence, coveredTime, stage, green, cacheBytes, journalBytes, earliestPoint, latestPoint, views, stays, fault } = status;
    return {
      pairId, epoch, receivedSequence, appliedSequence: sequence, stage, green, cacheBytes, journalBytes, views, stays,
      retention: retentionReport(status),
      scrub: scrubReport(status.scrub),
      bytesPerSecond: this.#rateOf(pairId, status.appliedBytesTotal),
      ...(coveredTime > 0 && { coveredTime: isoFromMicros(coveredTime) }),
      ...(earliestPoint !== undefined && { earliestPoint: isoFromMicros(earliestPoint) }),
      ...(latestPoint !== undefined && { latestPoint: isoFromMicros(latestPoint) }),
      ...(fault && { fault }),
    };
  }

  #rateOf(pairId: string, bytes: number): number {
    const now = { bytes, at: performance.now() };
    const before = this.#rates.get(pairId) ?? now;
    this.#rates.set(pairId, now);
    return now.at > before.at ? Math.max(0, ((now.bytes - before.bytes) * 1000) / (now.at - before.at)) : 0;
  }

  freeBytes(): Promise<ByteCount> {
    return this.#pairsFolder.freeBytes();
  }

  async close(): Promise<void> {
    clearInterval(this.#mover);
    await this.#server.close();
    await this.#turn;
    await this.#moves.close();
    await Promise.all([...this.#hosts.values()].map((host) => host.close()));
    await this.#removed.close();
    this.#lock.release();
  }

  #host(pairId: string): PairHost {
    const host = this.#hosts.get(pairId);
    if (host) return host;
    const hint = 'Ask the master target that holds the pair.';
    throw new OperationError({ code: 'pair/unknown', operation: 'use pair', context: { pairId }, retryable: false, hint });
  }
}

const closedPair = {
  epoch: 0, receivedSequence: 0, appliedSequence: 0, cacheBytes: 0, stage: 'resync-step-1', green: false, journalBytes: 0, views: 0,
} as const;

/** A new pair is open after a moment. */
function notOpen(host: PairHost): StoreOutcome & { kind: 'held-off' } {
  return { kind: 'held-off', code: 'pair/not-open', detail: host.fault ?? 'the pair is being opened', retryAfterMillis: 25 };
}

function unknownPair(pairId: string): StoreOutcome & { kind: 'refused' } {
  return { kind: 'refused', code: 'change-set/unknown-pair', detail: `this target has no pair ${pairId}`, hint: 'Wait until the plan has reached the master target, or check its address.' };
}

function notAllowed(pairId: string): CopyOutcome & { kind: 'refused' } {
  return { kind: 'refused', code: 'copy/not-allowed', detail: `pair ${pairId} does not move to who asks`, hint: 'It passes when the desired state has reached this target; else cancel the move.' };
}

function servedView(pair: MasterTargetPair, view: OpenView): ServedView {
  return { ...view, pairId: pair.pairId, volumeId: pair.volumeId };
}

/** What survives the way to a thread. */
function threadTls({ key, cert, ca, minVersion, ciphers, secureOptions }: TlsOptions) {
  return { key, cert, ca, minVersion, ciphers, secureOptions };
}
