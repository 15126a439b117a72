// SPDX-License-Identifier: Apache-2.0
// A protected volume on storage that can lose power, with a fake target: everything of the agent below its main thread, driven step by
// step. `checkCuts` compares the replica after every applied set with the source as it was when the set was sealed (I3).
import { KeptChecksums } from '@secondsite/block-checksums';
import { checksum } from '@secondsite/change-set';
import type { StorageFile } from '@secondsite/durable-storage';
import { CrashableStorage, type Random } from '@secondsite/durable-storage/testing';
import { KIB, MIB } from '@secondsite/units';
import { WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import { BufferBudget } from '../volume/buffer-budget';
import { PairReplication } from '../volume/pair-replication';
import type { ReplicationFact, ResyncChosen } from '../volume/replication-fact';
import type { ResyncSource } from '../volume/resync-source';
import { SourceDisk } from '../volume/source-disk';
import { StreamTimes } from '../volume/stream-times';
import { VolumeDevice } from '../volume/volume-device';
import { FakeTarget } from './fake-target';

export const pairId = '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e';

export interface BenchOptions {
  readonly volumeBytes?: number;
  readonly budgetBytes?: number;
  /** Resync reads and look-ups of holes are answered some turns later, as from a disk in QEMU. */
  readonly slowSource?: boolean;
}

export class ReplicationBench {
  readonly storage = new CrashableStorage();
  readonly target: FakeTarget;
  readonly facts: ReplicationFact[] = [];
  readonly volumeBytes: number;
  millis = 1_000_000;
  /** Of the host's wall clock. */
  clockOffsetMicros = 0;
  cutsChecked = 0;
  device!: VolumeDevice;
  replication!: PairReplication;
  disk!: SourceDisk;
  readonly #budgetBytes: number;
  readonly #slowSource: boolean;
  readonly #sources = new Map<string, string>();
  readonly #scratch: Uint8Array;
  #sealed = 0;
  #nextTrace = 0;
  readonly #times = new StreamTimes(() => this.millis * 1000 + this.clockOffsetMicros);

  constructor({ volumeBytes = 5 * MIB + 300, budgetBytes = 12 * MIB, slowSource = false }: BenchOptions = {}) {
    this.#slowSource = slowSource;
    this.volumeBytes = volumeBytes;
    this.#budgetBytes = budgetBytes;
    this.#scratch = new Uint8Array(volumeBytes);
    this.target = new FakeTarget({ volumeBytes, onApplied: (applied) => this.#checkCut(applied.set.header.traceparent, applied.replica, applied.green) });
  }

  /** Starts the agent's side on what the storage holds. */
  async start(): Promise<void> {
    const file = await this.storage.root.open('disk', { create: true });
    if (file.size() < this.volumeBytes) {
      await file.truncate(this.volumeBytes);
      await file.sync();
      await this.storage.root.sync();
    }
    this.disk = new SourceDisk(file);
    this.device = new VolumeDevice(this.disk);
    const bitmap = await WriteIntentBitmap.open({ directory: this.storage.root, name: 'bitmap', volumeId: 'v', volumeBytes: this.volumeBytes, aroundMax: 2 });
    this.replication = new PairReplication({
      pairId, volumeBytes: this.volumeBytes, source: this.#slowSource ? slow(file) : file, bitmap, checksums: await this.#openChecksums(),
      budget: new BufferBudget({ shared: BufferBudget.createShared(), bytesMax: this.#budgetBytes }),
      clock: this.#times, millis: () => this.millis, sender: this.target, segmentDataBytes: 256 * KIB,
      onFact: (fact) => this.facts.push(fact),
      newTraceparent: () => this.#noteSource(),
    });
    this.device.replication = this.replication;
  }

  /** Before the first start: a disk without holes. */
  async fillDisk(): Promise<void> {
    const file = await this.storage.root.open('disk', { create: true });
    await file.write([Buffer.alloc(this.volumeBytes, 'content')], 0);
    await file.sync();
    await this.storage.root.sync();
  }

  /** Everything is applied and unmarked. */
  async quiet(): Promise<void> {
    await this.drain();
    this.target.immediate = true;
    for (let sweep = 0; sweep < 4; sweep++) await this.tick(6000);
    this.target.immediate = false;
    if (this.replication.status.heldBytes > 0) await this.drain();
  }

  /** What was chosen each time that the pair went on. */
  chosen(): Omit<ResyncChosen, 'kind' | 'pairId' | 'epoch'>[] {
    return this.facts.flatMap((fact) => {
      if (fact.kind !== 'resync-chosen') return [];
      const { kind: _kind, pairId: _pairId, epoch: _epoch, ...chosen } = fact;
      return [chosen];
    });
  }

  #openChecksums(): Promise<KeptChecksums> {
    return KeptChecksums.open({ directory: this.storage.root, name: 'kept', pairId, volumeBytes: this.volumeBytes });
  }

  /** Lets everything run that waits for nothing but its turn. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  async tick(millis: number): Promise<void> {
    this.millis += millis;
    this.replication.tick();
    await this.settle();
  }

  /** The agent is gone at once; with `powerLost` also what the page cache held. */
  crash(random: Random, { powerLost }: { readonly powerLost: boolean }): void {
    this.device.replication = undefined;
    this.target.forget();
    if (powerLost) this.storage.crash(random);
    else this.storage.restore(this.storage.snapshot());
  }

  /** Runs with a healthy target until everything is applied and consistent. */
  async drain(): Promise<void> {
    this.target.behaviour = 'normal';
    this.target.immediate = true;
    this.replication.resumeTap();
    this.replication.standby = false;
    this.replication.resyncTurn = true;
    while (this.target.pendingPuts > 0) this.target.answer();
    for (let round = 0; round < 4000; round++) {
      await this.tick(round % 50 === 49 ? 1500 : 60);
      const { mode, heldBytes, epoch, sequence, dirtyBytes } = this.replication.status;
      const { applied, green, epoch: targetEpoch } = this.target;
      if (mode === 'data' && heldBytes === 0 && dirtyBytes === 0 && green && targetEpoch === epoch && applied === sequence && sequence > 0) return this.#end();
    }
    throw new Error(`it does not end: ${JSON.stringify({ ...this.replication.status, ...this.target, replica: undefined })}`);
  }

  /** The source as it is. */
  source(): Uint8Array {
    this.disk.file.readNow(this.#scratch, 0);
    return this.#scratch;
  }

  #end(): void {
    this.target.immediate = false;
    if (!Buffer.from(this.target.replica).equals(this.source())) throw new Error('in the end the replica is not the source');
  }

  /** Called in the turn in which a set is sealed. */
  #noteSource(): string {
    this.#sealed += 1;
    const trace = `00-${String((this.#nextTrace += 1)).padStart(32, '0')}-00000000000000aa-01`;
    this.#sources.set(trace, Buffer.from(checksum([this.source()])).toString('hex'));
    return trace;
  }

  #checkCut(trace: string | undefined, replica: Uint8Array, green: boolean): void {
    const source = this.#sources.get(trace ?? '');
    if (source === undefined) throw new Error('a set that was never sealed was applied');
    if (!green) return;
    this.cutsChecked += 1;
    if (Buffer.from(checksum([replica])).toString('hex') !== source) throw new Error(`I3: the replica is not the source at cut ${trace} (${this.#sealed} sealed)`);
  }
}

/** A look-up is true when it is asked, and told later. */
function slow(file: StorageFile): ResyncSource {
  const later = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    read: async (into, offset) => {
      const count = await file.read(into, offset);
      await later();
      return count;
    },
    nextData: async (offset) => {
      const data = file.nextData(offset);
      await later();
      return data;
    },
    sync: () => file.sync(),
  };
}
