// SPDX-License-Identifier: Apache-2.0
// The machines, the links between them and what watches them, as one seed makes them. The second process server is there for pairs that move.
import { encodeChangeSet, type VerifiedChangeSet, verifyContent, verifyStored } from '@secondsite/change-set';
import { isOperationError, KIB } from '@secondsite/units';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { Application } from './application';
import { MachineClock } from './machine-clock';
import { type AuditedWorld, auditPowerCut, spooledEpoch } from './power-cut-audit';
import { ProcessServerMoves } from './process-server-moves';
import { ProcessServerNode } from './process-server-node';
import { ProtectedHost } from './protected-host';
import { Scheduler } from './scheduler';
import { SimulatedDisk } from './simulated-disk';
import { SimulatedLink } from './simulated-link';
import { SourceModel, type StreamPlace } from './source-model';
import { TargetNode } from './target-node';
import { Witness } from './witness';

export const PAIR_ID = '6f1c0a52-0000-4000-8000-000000000001';
const VOLUME_BYTES = 20 * KIB + 300;
const SPOOL_BYTES_MAX = { resync: 48 * KIB, differential: 96 * KIB };
/** What may be on its way when a place says that it is full. */
const OVERSHOOT_BYTES = 256 * KIB;

const LIMITS_EVERY_STEPS = 16;

/** What differs between histories besides their troubles. */
interface Traits {
  readonly budgetBytes: number;
  readonly tickMicros: number;
  readonly cacheBytesMax: number;
  readonly gapMicros: number;
  readonly retentionMicros: number | undefined;
  readonly sourceCompression: boolean;
}

interface ProcessServerTraits {
  readonly name: string;
  readonly which: 'processServer' | 'otherProcessServer';
  readonly toTarget: SimulatedLink;
  readonly compression: 'none' | 'process-server';
  readonly deduplication: boolean;
}

interface SentBytes {
  readonly place: StreamPlace;
  readonly bytes: Uint8Array;
}

export class World {
  readonly scheduler: Scheduler;
  readonly clocks: Record<'agent' | 'processServer' | 'otherProcessServer' | 'target', MachineClock>;
  readonly disks: Record<'volume' | 'data' | 'processServer' | 'otherProcessServer' | 'target', SimulatedDisk>;
  readonly links: Record<'toProcessServer' | 'toTarget' | 'toOtherProcessServer' | 'fromOtherToTarget', SimulatedLink>;
  readonly host: ProtectedHost;
  readonly processServer: ProcessServerNode;
  readonly otherProcessServer: ProcessServerNode;
  readonly moves: ProcessServerMoves;
  readonly target: TargetNode;
  readonly application: Application;
  readonly model: SourceModel;
  readonly witness: Witness;
  readonly #traits: Traits;
  readonly #sent: SentBytes[] = [];
  readonly #source: () => Uint8Array;
  readonly #replica: () => Uint8Array;
  #failure: Error | undefined;
  #steps = 0;
  audits = 0;
  /** Somebody wants to know what a power cut would do now. */
  auditIsDue = false;

  private constructor(scheduler: Scheduler, parts: { readonly volume: SimulatedDisk; readonly source: () => Uint8Array }) {
    this.scheduler = scheduler;
    this.#traits = traitsOf(scheduler);
    const disk = (name: string): SimulatedDisk => new SimulatedDisk(name, scheduler);
    this.disks = { volume: parts.volume, data: disk('data disk'), processServer: disk('spool disk'), otherProcessServer: disk('other spool disk'), target: disk('target disk') };
    const clock = (): MachineClock => new MachineClock(scheduler);
    this.clocks = { agent: clock(), processServer: clock(), otherProcessServer: clock(), target: clock() };
    this.#source = parts.source;
    this.#replica = reader(this.disks.target, '/pair/', 'replica.img');
    this.model = new SourceModel(this.#source);
    this.witness = new Witness({ model: this.model, replica: this.#replica, retentionIsLimited: () => this.#traits.retentionMicros !== undefined || this.disks.target.wasFull });
    this.target = this.#makeTarget();
    this.links = {
      toProcessServer: this.#linkTo('ps', () => this.processServer), toTarget: this.#linkToTarget('ps'),
      toOtherProcessServer: this.#linkTo('other ps', () => this.otherProcessServer), fromOtherToTarget: this.#linkToTarget('other ps'),
    };
    const traits = { compression: scheduler.chance(0.3) ? 'process-server' : 'none', deduplication: scheduler.chance(0.5) } as const;
    this.processServer = this.#makeProcessServer({ name: 'process-server', which: 'processServer', toTarget: this.links.toTarget, ...traits });
    this.otherProcessServer = this.#makeProcessServer({ name: 'other-process-server', which: 'otherProcessServer', toTarget: this.links.fromOtherToTarget, ...traits });
    this.host = this.#makeHost();
    const places = [{ node: this.processServer, link: this.links.toProcessServer }, { node: this.otherProcessServer, link: this.links.toOtherProcessServer }] as const;
    this.moves = new ProcessServerMoves({ scheduler, host: this.host, places, onGivenUp: () => this.witness.excuseLosses() });
    this.application = new Application({
      scheduler, host: this.host, clock: this.clocks.agent, dataDisk: this.disks.data, volumeDisk: this.disks.volume, model: this.model,
      volumeBytes: VOLUME_BYTES, gapMicros: this.#traits.gapMicros, onFault: (error) => this.fail(error),
      durableEpoch: async () => Math.max(...(await Promise.all([this.disks.processServer, this.disks.otherProcessServer].map((disk) => spooledEpoch(disk.copyAfterPowerCut(this.scheduler.random), PAIR_ID))))),
    });
  }

  static async make(seed: number): Promise<World> {
    const scheduler = new Scheduler(seed);
    const volume = new SimulatedDisk('volume', scheduler);
    const file = await volume.storage.root.open('disk', { create: true });
    await file.truncate(VOLUME_BYTES);
    file.writeNow(new Uint8Array(7 * KIB).fill(7), 3 * KIB);
    await file.sync();
    await volume.storage.root.sync();
    return new World(scheduler, { volume, source: reader(volume, '/', 'disk') });
  }

  /** What was thrown where nobody waits for it; the step under way throws it. */
  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
  }

  startAll(): void {
    this.target.start();
    this.processServer.start();
    this.otherProcessServer.start();
    this.host.start();
  }

  restoreSpool(): void {
    this.processServer.configure({ spoolBytesMax: SPOOL_BYTES_MAX });
  }

  requestResync(): void {
    this.host.running?.replication.requestResync().catch((error: unknown) => {
      if (!isOperationError(error)) this.fail(error);
    });
  }

  /** Somebody who was away since an older epoch comes back with a set of it, or goes on in it (I6). */
  sendOldSet(machine: 'processServer' | 'target'): void {
    const to = this[machine].receiver;
    const current = machine === 'target' ? this.target.pair?.position().epoch : this.processServer.telemetry?.epoch;
    const old = this.#sent.filter(({ place }) => place.epoch < (current ?? 0));
    if (!to || old.length === 0) return;
    const { place: { epoch, sequence }, bytes } = this.scheduler.chance(0.3) ? this.scheduler.pick(old) : this.#wentOn(old);
    const body = Buffer.from(new ArrayBuffer(bytes.length));
    body.set(bytes);
    to.handler.store({ pairId: PAIR_ID, epoch, sequence, body, traceparent: undefined, oldestPending: undefined, lateTraces: [], peer: undefined }).then(
      ({ kind }) => this.scheduler.note('a stray', `set ${epoch}/${sequence}: ${kind}`),
      (error: unknown) => {
        if (!isOperationError(error)) this.fail(error);
      },
    );
  }

  /** Everything that was broken works again. */
  heal(): void {
    for (const disk of Object.values(this.disks)) disk.heal();
    for (const link of Object.values(this.links)) link.heal();
    for (const node of [this.processServer, this.otherProcessServer]) node.configure({ paused: false, spoolBytesMax: SPOOL_BYTES_MAX });
    this.startAll();
  }

  /** One event and what must hold after it. */
  async step(): Promise<void> {
    await this.scheduler.step();
    const { pair } = this.target;
    if (pair && !pair.failed) this.witness.look(pair);
    if (this.#steps++ % LIMITS_EVERY_STEPS === 0) this.#expectLimits();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async audit(): Promise<void> {
    this.audits += 1;
    this.auditIsDue = false;
    const { volume: volumeDisk, data: dataDisk, processServer, otherProcessServer, target: targetDisk } = this.disks;
    const audited: AuditedWorld = {
      pairId: PAIR_ID, volumeBytes: VOLUME_BYTES, volumeDisk, dataDisk, processServerDisks: [processServer, otherProcessServer], targetDisk, decompress, model: this.model, witness: this.witness,
    };
    await auditPowerCut(audited, this.scheduler.random);
  }

  /** A view of an instant that is offered, read, and read again some time later. */
  async lookAtView(holdMicros: number): Promise<void> {
    const { pair, life } = this.target;
    const spans = pair?.points().spans ?? [];
    if (!pair || !life || spans.length === 0) return;
    const { from, to } = this.scheduler.pick(spans);
    const time = this.scheduler.chance(0.3) ? to : this.scheduler.between(from, to + 1);
    try {
      const reader = await pair.openReader(time);
      for (const pause of [0, holdMicros]) {
        await life.sleep(pause);
        const seen = Buffer.alloc(VOLUME_BYTES);
        await reader.read(seen, 0);
        if (this.target.pair !== pair || pair.failed) return;
        this.witness.look(pair);
        this.witness.expectView(time, seen);
      }
      pair.closeReader(reader);
      life.note(`the view of ${time} is exact`);
    } catch (error) {
      // A disk that fails, or a pair that is being closed, may fail a read; it must not lie.
      if (this.target.pair === pair && !isOperationError(error)) this.fail(error);
    }
  }

  /** Nothing is on its way, and the replica is the source. */
  get isSettled(): boolean {
    const { running } = this.host;
    const { pair } = this.target;
    if (!running || !pair || this.moves.isUnderWay) return false;
    const { mode, resync, epoch, sequence, heldBytes } = running.replication.status;
    const { applied } = pair.journal;
    return mode === 'data' && resync === undefined && heldBytes === 0 && applied.green && applied.epoch === epoch && applied.sequence === sequence;
  }

  get situation(): string {
    const agent = this.host.running?.replication.status;
    const target = this.target.pair?.status();
    return JSON.stringify({ agent: agent ?? 'down', processServer: this.processServer.telemetry ?? 'down', otherProcessServer: this.otherProcessServer.telemetry ?? 'down', moves: this.moves.isUnderWay, target: target ?? 'down' });
  }

  expectEqual(): void {
    if (Buffer.compare(this.#source(), this.#replica()) !== 0) throw new Error('I8: in the end the replica is not the source');
  }

  #expectLimits(): void {
    const { memory } = this.witness;
    const { running } = this.host;
    const { budgetBytes, cacheBytesMax } = this.#traits;
    if (running) memory.expectAtMost('the change buffer', { bytes: running.budget.usedBytes, bytesMax: budgetBytes });
    for (const { spoolBytes } of [this.processServer, this.otherProcessServer]) memory.expectAtMost('the spool', { bytes: spoolBytes, bytesMax: SPOOL_BYTES_MAX.differential + OVERSHOOT_BYTES });
    memory.expectAtMost('the cache', { bytes: this.target.cacheBytes, bytesMax: cacheBytesMax + OVERSHOOT_BYTES });
  }

  #linkTo(name: string, node: () => ProcessServerNode): SimulatedLink {
    return new SimulatedLink({
      name: `agent > ${name}`, scheduler: this.scheduler,
      receiver: () => node().receiver,
      onSent: (bytes) => this.#note(bytes),
      onFault: (error) => this.fail(error),
    });
  }

  /** What an agent that knows nothing of the newer epoch would send next. */
  #wentOn(old: readonly SentBytes[]): SentBytes {
    const { epoch } = this.scheduler.pick(old).place;
    const sequence = Math.max(...old.filter(({ place }) => place.epoch === epoch).map(({ place }) => place.sequence)) + this.scheduler.between(1, 4);
    const write = { kind: 'write', time: this.scheduler.now, offset: 0, length: 512, bytes: [new Uint8Array(512).fill(0xbd)] } as const;
    return { place: { epoch, sequence }, bytes: Buffer.concat(encodeChangeSet({ pairId: PAIR_ID, epoch, sequence, traceparent: undefined }, [write]).parts) };
  }

  #note(bytes: Uint8Array): void {
    const set = decoded(bytes);
    this.model.sent(set);
    this.#sent.push({ place: set.header, bytes });
  }

  #linkToTarget(from: string): SimulatedLink {
    return new SimulatedLink({ name: `${from} > target`, scheduler: this.scheduler, receiver: () => this.target.receiver, onFault: (error) => this.fail(error) });
  }

  #makeHost(): ProtectedHost {
    const { budgetBytes, tickMicros, sourceCompression } = this.#traits;
    return new ProtectedHost({
      scheduler: this.scheduler, clock: this.clocks.agent, volumeDisk: this.disks.volume, dataDisk: this.disks.data,
      pairId: PAIR_ID, volumeBytes: VOLUME_BYTES, budgetBytes, tickMicros, compress: sourceCompression ? compress : undefined, model: this.model,
      onStored: (place) => this.witness.forgets(place),
      onFault: (error) => this.fail(error),
    });
  }

  #makeProcessServer({ name, which, toTarget, compression, deduplication }: ProcessServerTraits): ProcessServerNode {
    return new ProcessServerNode({
      name, scheduler: this.scheduler, clock: this.clocks[which], disk: this.disks[which], toTarget, compress,
      pair: { pairId: PAIR_ID, masterTargetUrl: 'http://target', compression, deduplication, paused: false, priority: 'normal', linkIds: [], spoolBytesMax: SPOOL_BYTES_MAX },
      onFault: (error) => this.fail(error),
    });
  }

  #makeTarget(): TargetNode {
    const { cacheBytesMax, retentionMicros = 1e15 } = this.#traits;
    return new TargetNode({
      scheduler: this.scheduler, clock: this.clocks.target, disk: this.disks.target, decompress, pairId: PAIR_ID, sizeBytes: VOLUME_BYTES,
      retention: { windowMicros: retentionMicros },
      limits: {
        segmentBytes: 32 * KIB, freeBytesMin: 8 * KIB, groupBytes: 24 * KIB, checkpointBytes: 32 * KIB, checkpointMicros: 300_000,
        memoryBytesMax: 24 * KIB, windowSets: 16, cacheBytesMax,
      },
      onOpen: (pair) => this.witness.opened(pair),
      onEvent: (event, pair) => {
        if (event.kind === 'applied') this.witness.confirmed(event, { coveredTime: event.coveredTime, pair });
      },
      onFault: (error) => this.fail(error),
    });
  }
}

function traitsOf(scheduler: Scheduler): Traits {
  return {
    budgetBytes: scheduler.pick([48, 64, 160]) * KIB,
    tickMicros: scheduler.pick([20, 40, 100]) * 1000,
    cacheBytesMax: scheduler.pick([24, 64, 1024]) * KIB,
    gapMicros: scheduler.pick([3000, 20_000, 60_000]),
    retentionMicros: scheduler.chance(0.2) ? 4e6 : undefined,
    sourceCompression: scheduler.chance(0.2),
  };
}

/** Reads a file as the page cache has it. */
function reader(disk: SimulatedDisk, ...[path, name]: [path: string, name: string]): () => Uint8Array {
  return () => disk.storage.contentOf(path, name) ?? new Uint8Array(0);
}

/** In this thread and at once: the thread pool would answer when it likes. */
async function compress(parts: readonly Uint8Array[]): Promise<Uint8Array> {
  return zstdCompressSync(Buffer.concat(parts));
}

async function decompress(stored: Uint8Array, { bytesMax }: { readonly bytesMax: number }): Promise<Uint8Array> {
  return zstdDecompressSync(stored, { maxOutputLength: Math.max(1, bytesMax) });
}

function decoded(bytes: Uint8Array): VerifiedChangeSet {
  const stored = verifyStored(bytes);
  const set = stored.ok ? verifyContent(stored, stored.header.compression === 'zstd' ? zstdDecompressSync(stored.stored) : stored.stored) : stored;
  if (!set.ok) throw new Error(`the agent sends what is no change set: ${set.detail}`);
  return set;
}
