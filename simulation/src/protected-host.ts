// SPDX-License-Identifier: Apache-2.0
// The agent's machine: one protected volume as ProtectedVolume wires it up, over simulated disks, network and time, and what is observed of it.
import { KeptChecksums } from '@secondsite/block-checksums';
import type { Compress } from '@secondsite/change-set';
import { compressSealed } from '@secondsite/change-set';
import type { StorageFile } from '@secondsite/durable-storage';
import { BufferBudget, type ChangeSetSender, PairReplication, type PairReplicationOptions, type ReplicationFact, SenderRoute, SourceDisk, StreamTimes, VolumeDevice } from '@secondsite/agent/testing';
import { isOperationError, KIB } from '@secondsite/units';
import { WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import { LAYOUT, REGION_BYTES } from './layout';
import { Life } from './life';
import type { MachineClock } from './machine-clock';
import { ObservedFile } from './observed-file';
import type { Scheduler } from './scheduler';
import type { SimulatedDisk } from './simulated-disk';
import type { SimulatedLink } from './simulated-link';
import type { SourceModel } from './source-model';

export const BITMAP = 'bitmap';
export const CHECKSUMS = 'blocks';
export const VOLUME_ID = 'volume';

export interface ProtectedHostOptions {
  readonly scheduler: Scheduler;
  readonly clock: MachineClock;
  /** The protected disk, and the one with the agent's own files. */
  readonly volumeDisk: SimulatedDisk;
  readonly dataDisk: SimulatedDisk;
  readonly pairId: string;
  readonly volumeBytes: number;
  readonly budgetBytes: number;
  readonly tickMicros: number;
  /** Undefined: sets are sent as they are. */
  readonly compress: Compress | undefined;
  readonly model: SourceModel;
  /** The agent forgets a set, because its process server has it. */
  readonly onStored: (place: { readonly epoch: number; readonly sequence: number }) => void;
  readonly onFault: (error: unknown) => void;
}

/** The process server that the agent should send to. */
export interface WayOut {
  readonly link: SimulatedLink;
  readonly move: number;
}

export interface RunningVolume {
  readonly life: Life;
  readonly route: ObservedRoute;
  readonly device: VolumeDevice;
  readonly replication: PairReplication;
  readonly budget: BufferBudget;
  readonly times: StreamTimes;
}

const RETRY_MICROS = 1_000_000;
/** A desired state reaches the agent within that. */
const HEARS_MICROS = 2_000_000;

/** Tells which sets the agent takes for stored. */
class ObservedRoute extends SenderRoute {
  readonly #onStored: ProtectedHostOptions['onStored'];

  constructor(sender: ChangeSetSender, onStored: ProtectedHostOptions['onStored']) {
    super(sender);
    this.#onStored = onStored;
  }

  override async put(...put: Parameters<SenderRoute['put']>): ReturnType<SenderRoute['put']> {
    const outcome = await super.put(...put);
    if (outcome.kind === 'stored') this.#onStored(put[1]);
    return outcome;
  }
}

/** Tells the model which of the disk's changes stand in the stream. */
class ObservedReplication extends PairReplication {
  readonly #model: SourceModel;

  constructor(options: PairReplicationOptions, model: SourceModel) {
    super(options);
    this.#model = model;
  }

  override captureWrite(...write: Parameters<PairReplication['captureWrite']>): Uint8Array | undefined {
    const bytes = super.captureWrite(...write);
    this.#model.capturing = bytes !== undefined;
    return bytes;
  }

  override captureRange(...range: Parameters<PairReplication['captureRange']>): boolean {
    this.#model.capturing = super.captureRange(...range);
    return this.#model.capturing;
  }

  /** What the disk holds after a change that failed counts from when it was read again. */
  override revoke(...revoked: Parameters<PairReplication['revoke']>): void {
    super.revoke(...revoked);
    this.#model.capturing = this.status.mode === 'data';
    this.#model.changed();
  }
}

export class ProtectedHost {
  readonly #options: ProtectedHostOptions;
  #life: Life | undefined;
  #running: RunningVolume | undefined;
  /** What it obeys, and has to obey as soon as it hears of it. */
  #way: WayOut | undefined;
  #wanted: WayOut | undefined;
  #traces = 0;
  /** Blocks that a resynchronisation did not send because the replica had them. */
  skippedBlocks = 0;

  constructor(options: ProtectedHostOptions) {
    this.#options = options;
  }

  /** Undefined while the volume is not served. */
  get running(): RunningVolume | undefined {
    return this.#running;
  }

  /** Of the process server that it sends to; undefined while it does not run. */
  get move(): number | undefined {
    return this.#running && this.#way?.move;
  }

  /** A changed desired state. */
  follow(way: WayOut): void {
    this.#way ??= way;
    this.#wanted = way;
    if (this.#running) this.#hearsSoon(this.#running);
  }

  start(): void {
    if (this.#life) return;
    const life = new Life('agent', this.#options.scheduler);
    this.#life = life;
    this.#open(life).catch((error: unknown) => this.#fails(life, error));
  }

  /** As `kill -9`. */
  kill(): void {
    this.#running = undefined;
    this.#life?.end();
    this.#life = undefined;
  }

  /** A clean stop, which ships what was captured, and a start. */
  async restart(drainMillisMax: number): Promise<void> {
    const running = this.#running;
    if (!running) return;
    const { life, replication } = running;
    this.#running = undefined;
    life.note('stops');
    await replication.stop({ drainMillisMax, wait: (millis) => life.sleep(millis * 1000) }).catch((error: unknown) => this.#expected(error));
    if (life.isOver) return;
    this.kill();
    this.start();
  }

  async #open(life: Life): Promise<void> {
    const { volumeDisk, dataDisk, pairId, volumeBytes, model, scheduler, budgetBytes, tickMicros } = this.#options;
    const file = await volumeDisk.root(life).open('disk');
    const bitmap = await WriteIntentBitmap.open({ directory: dataDisk.root(life), name: BITMAP, volumeId: VOLUME_ID, volumeBytes, regionBytesMin: REGION_BYTES, aroundMax: 2 });
    const checksums = await KeptChecksums.open({ directory: dataDisk.root(life), name: CHECKSUMS, pairId, volumeBytes, layout: LAYOUT });
    const times = new StreamTimes(() => this.#options.clock.read());
    model.started(times);
    const observed = new ObservedFile(file, model);
    const disk = new SourceDisk(observed, { millis: () => scheduler.elapsedMicros / 1000 });
    const device = new VolumeDevice(disk);
    const budget = new BufferBudget({ shared: BufferBudget.createShared(), bytesMax: budgetBytes });
    const route = new ObservedRoute((this.#way as WayOut).link.connect(life), this.#options.onStored);
    const replication = new ObservedReplication(this.#replicationOptions(life, { file: observed, bitmap, checksums, times, budget, route }), model);
    device.replication = replication;
    this.#running = { life, route, device, replication, budget, times };
    this.#hearsSoon(this.#running);
    life.note(`is up, ${bitmap.markedRegions} of ${bitmap.regionCount} regions marked`);
    life.every(tickMicros, () => replication.tick());
  }

  #replicationOptions(life: Life, parts: { readonly file: StorageFile; readonly bitmap: WriteIntentBitmap; readonly checksums: KeptChecksums; readonly times: StreamTimes; readonly budget: BufferBudget; readonly route: ObservedRoute }): PairReplicationOptions {
    const { pairId, volumeBytes, compress, model, scheduler } = this.#options;
    return {
      pairId, volumeBytes, source: parts.file, bitmap: parts.bitmap, checksums: parts.checksums, layout: LAYOUT, budget: parts.budget, clock: parts.times,
      millis: () => scheduler.elapsedMicros / 1000,
      sender: parts.route,
      timeLimit: (millis) => timeLimit(life, millis),
      segmentDataBytes: 6 * KIB, segmentEntriesMax: 40,
      onFact: (fact) => this.#heard(life, fact),
      newTraceparent: () => this.#sealed(model),
      ...(compress ? { prepare: (set) => compressSealed(set, compress) } : {}),
    };
  }

  #hearsSoon({ life, route }: RunningVolume): void {
    life.after(this.#options.scheduler.between(1, HEARS_MICROS), () => {
      const wanted = this.#wanted as WayOut;
      if (wanted.link !== this.#way?.link) {
        life.note('sends to the other process server');
        route.changeTo(wanted.link.connect(life));
      }
      this.#way = wanted;
    });
  }

  #heard(life: Life, fact: ReplicationFact): void {
    life.note(factText(fact));
    if (fact.kind === 'resync-compared') this.skippedBlocks += fact.skippedBlocks;
  }

  /** Called in the turn in which a set is sealed. */
  #sealed(model: SourceModel): string {
    const traceparent = `00-${String((this.#traces += 1)).padStart(32, '0')}-00000000000000aa-00`;
    model.sealed(traceparent);
    return traceparent;
  }

  #fails(life: Life, error: unknown): void {
    if (life.isOver || !this.#expected(error)) return;
    life.note(`cannot start: ${String(error)}`);
    this.kill();
    this.#options.scheduler.after(RETRY_MICROS, () => this.start());
  }

  #expected(error: unknown): boolean {
    if (!isOperationError(error)) this.#options.onFault(error);
    return isOperationError(error);
  }
}

function timeLimit(life: Life, millis: number): AbortSignal {
  const limit = new AbortController();
  life.after(millis * 1000, () => limit.abort());
  return limit.signal;
}

function factText(fact: ReplicationFact): string {
  if (fact.kind === 'resync-compared') return `${fact.kind}: ${fact.comparedBlocks} blocks, ${fact.skippedBlocks} the same, ${fact.sentBlocks} sent`;
  return 'reason' in fact ? `${fact.kind} (${fact.reason})` : fact.kind;
}
