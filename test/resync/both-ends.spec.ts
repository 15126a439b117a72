// SPDX-License-Identifier: Apache-2.0
// A real agent's volume and a real target's pair, each on storage of its own that loses power, in seeded histories: writes go on while regions
// are compared, either end dies at any moment, checksums are kept over all of it. In the end replica and source must be the same bytes.
// Between them stands what a process server does when nothing waits there: it passes on, and breaks a stream of which the target lost sets.
import { describe, expect, it } from '@jest/globals';
import { KeptChecksums } from '@secondsite/block-checksums';
import { CrashableStorage, randomBelow, type Random, seededRandom } from '@secondsite/durable-storage/testing';
import type { CompareAnswer, CompareOptions, PositionAnswer, PutOptions, PutOutcome, Refusal, StoreOutcome } from '@secondsite/transport';
import { KIB, MIB, OperationError } from '@secondsite/units';
import { WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import { decompressZstd } from '@secondsite/zstd';
import { setImmediate } from 'node:timers/promises';
import { BufferBudget } from '../../apps/agent/src/volume/buffer-budget';
import type { ChangeSetSender } from '../../apps/agent/src/volume/change-set-shipper';
import { PairReplication } from '../../apps/agent/src/volume/pair-replication';
import type { ReplicationFact } from '../../apps/agent/src/volume/replication-fact';
import { SourceDisk } from '../../apps/agent/src/volume/source-disk';
import { StreamTimes } from '../../apps/agent/src/volume/stream-times';
import { VolumeDevice } from '../../apps/agent/src/volume/volume-device';
import { TargetPair } from '../../apps/master-target/src/pair/target-pair';

const pairId = '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e';
const volumeBytes = 3 * MIB + 700;

function unreachable(cause: unknown): { readonly kind: 'unreachable'; readonly cause: Error } {
  return { kind: 'unreachable', cause: new OperationError({ code: 'transport/unreachable', operation: 'send', retryable: true, hint: 'Simulated.', cause }) };
}

class BothEnds implements ChangeSetSender {
  readonly #agentStorage = new CrashableStorage();
  readonly #targetStorage = new CrashableStorage();
  readonly #random: Random;
  readonly #times = new StreamTimes(() => this.#millis * 1000);
  readonly #writes = new Set<Promise<unknown>>();
  readonly counts = { compared: 0, skipped: 0 };
  #millis = 1_000_000;
  #targetClock = 1_000_000;
  #pair!: TargetPair;
  #targetDied = Promise.withResolvers<never>();
  #disk!: SourceDisk;
  #device!: VolumeDevice;
  #replication!: PairReplication;

  constructor(random: Random) {
    this.#random = random;
  }

  async startTarget(): Promise<void> {
    this.#pair = await TargetPair.open({
      directory: this.#targetStorage.root, pairId, sizeBytes: volumeBytes, retention: { windowMicros: 1e12 }, decompress: decompressZstd,
      clock: () => (this.#targetClock += 1000), delay: async () => void (await setImmediate()),
      limits: { segmentBytes: 2 * MIB, freeBytesMin: 0, groupBytes: 256 * KIB, checkpointBytes: 512 * KIB, checkpointMicros: 20_000 },
    });
    this.#pair.start();
  }

  async startAgent(): Promise<void> {
    const { root } = this.#agentStorage;
    const file = await root.open('disk', { create: true });
    if (file.size() < volumeBytes) {
      await file.truncate(volumeBytes);
      await file.sync();
      await root.sync();
    }
    this.#disk = new SourceDisk(file);
    this.#device = new VolumeDevice(this.#disk);
    this.#replication = new PairReplication({
      pairId, volumeBytes, source: file, clock: this.#times, millis: () => this.#millis, sender: this, segmentDataBytes: 256 * KIB,
      bitmap: await WriteIntentBitmap.open({ directory: root, name: 'bitmap', volumeId: 'v', volumeBytes }),
      checksums: await KeptChecksums.open({ directory: root, name: 'kept', pairId, volumeBytes }),
      budget: new BufferBudget({ shared: BufferBudget.createShared(), bytesMax: 8 * MIB }),
      onFact: (fact) => this.#note(fact), newTraceparent: () => undefined,
    });
    this.#device.replication = this.#replication;
  }

  #note(fact: ReplicationFact): void {
    if (fact.kind !== 'resync-compared') return;
    this.counts.compared += fact.comparedBlocks;
    this.counts.skipped += fact.skippedBlocks;
  }

  async put(parts: readonly Uint8Array[], { epoch, sequence, oldestPending }: PutOptions): Promise<PutOutcome> {
    const body = Buffer.concat(parts);
    for (let turn = randomBelow(this.#random, 40); turn > 0; turn--) await setImmediate();
    return this.#reach(async () => {
      const at = this.#pair.position();
      const lost = at.epoch === epoch && oldestPending !== undefined && at.sequence + 1 < oldestPending;
      if (lost) return { kind: 'refused', status: 409, code: 'change-set/stream-broken', detail: 'the target lost sets', hint: '' };
      const outcome: StoreOutcome = await this.#pair.store(body, { epoch, sequence });
      return outcome.kind === 'corrupt' || outcome.kind === 'refused' ? refused(outcome) : outcome;
    });
  }

  async position(): Promise<PositionAnswer> {
    return this.#reach(async () => ({ kind: 'known', ...this.#pair.position() }));
  }

  async compare(question: Uint8Array, { epoch, sequence }: CompareOptions): Promise<CompareAnswer> {
    return this.#reach(async () => {
      const outcome = await this.#pair.compare(question, { epoch, sequence });
      return outcome.kind === 'refused' ? refused(outcome) : outcome;
    });
  }

  close(): void {
    // Nothing is kept open.
  }

  /** A target that dies meanwhile does not answer; what it answers after its death is not heard. */
  async #reach<T>(ask: () => Promise<T>): Promise<T | ReturnType<typeof unreachable>> {
    const pair = this.#pair;
    try {
      const answer = await Promise.race([ask(), this.#targetDied.promise]);
      return this.#pair === pair ? answer : unreachable(undefined);
    } catch (error) {
      return unreachable(error);
    }
  }

  async step(): Promise<void> {
    const roll = this.#random();
    if (roll < 0.5) this.#write();
    else if (roll < 0.85) await this.tick([5, 20, 250, 1100, 5100][randomBelow(this.#random, 5)] as number);
    else if (roll < 0.91) this.#keep(this.#replication.requestResync());
    else if (roll < 0.94) this.#interruptTap();
    else if (roll < 0.97) await this.#crashTarget();
    else await this.#crashAgent();
  }

  #write(): void {
    // Few places and contents, so that a block often becomes again what it was.
    const again = this.#random() < 0.6;
    const length = again ? 4096 : 1 + randomBelow(this.#random, 200_000);
    const offset = again ? 400_000 * randomBelow(this.#random, 4) : randomBelow(this.#random, volumeBytes - length);
    const bytes = Buffer.alloc(length, randomBelow(this.#random, 2));
    this.#keep(this.#device.write(offset, [bytes], { fua: this.#random() < 0.1 }));
  }

  #interruptTap(): void {
    this.#replication.loseTap();
    for (let write = 0; write < 3; write++) this.#write();
    this.#replication.resumeTap();
  }

  async #crashTarget(): Promise<void> {
    this.#targetStorage.crash(this.#random);
    this.#targetDied.promise.catch(() => undefined);
    this.#targetDied.reject(new Error('the target died'));
    this.#targetDied = Promise.withResolvers();
    await this.startTarget();
  }

  async #crashAgent(): Promise<void> {
    this.#device.replication = undefined;
    if (this.#random() < 0.5) this.#agentStorage.crash(this.#random);
    else this.#agentStorage.restore(this.#agentStorage.snapshot());
    this.#writes.clear(); // Whoever waited for a mark waits for ever: its process is gone.
    await this.startAgent();
  }

  async tick(millis: number): Promise<void> {
    this.#millis += millis;
    this.#replication.tick();
    for (let turn = 0; turn < 4; turn++) await setImmediate();
  }

  /** Until everything is applied and consistent; throws when source and replica are not the same then. */
  async drain(): Promise<void> {
    for (let round = 0; round < 4000; round++) {
      await this.tick(round % 50 === 49 ? 1500 : 40);
      const { mode, heldBytes, epoch, sequence, dirtyBytes } = this.#replication.status;
      const { green, epoch: appliedEpoch, sequence: appliedSequence } = this.#pair.status();
      if (mode === 'data' && heldBytes === 0 && dirtyBytes === 0 && green && appliedEpoch === epoch && appliedSequence === sequence) return this.#expectSame();
    }
    throw new Error(`it does not end: ${JSON.stringify([this.#replication.status, this.#pair.status()])}`);
  }

  async #expectSame(): Promise<void> {
    await this.#pair.idle();
    const [source, replica] = [Buffer.alloc(volumeBytes), Buffer.alloc(volumeBytes)];
    this.#disk.file.readNow(source, 0);
    const image = await this.#targetStorage.root.open('replica.img');
    image.readNow(replica, 0);
    if (!source.equals(replica)) throw new Error(`replica and source differ at byte ${source.findIndex((byte, at) => byte !== replica[at])}`);
  }

  #keep(completion: undefined | Promise<unknown>): void {
    if (!completion) return;
    const kept = completion.catch((error: unknown) => {
      if (!String(error).includes('power')) throw error;
    });
    this.#writes.add(kept);
    kept.catch(() => undefined);
  }
}

function refused({ code, detail, hint }: Omit<Refusal, 'kind'>): Refusal & { readonly status: number } {
  return { kind: 'refused', status: 409, code, detail, hint };
}

describe('a resynchronisation between two ends that die', () => {
  it('ends with the same bytes at both, in any history', async () => {
    let skipped = 0;
    const firstSeed = Number(process.env['FIRST_SEED'] ?? 1);
    for (let seed = firstSeed; seed < firstSeed + Number(process.env['RESYNC_HISTORIES'] ?? 20); seed++) {
      const ends = new BothEnds(seededRandom(seed));
      try {
        await ends.startTarget();
        await ends.startAgent();
        await ends.drain();
        for (let round = 0; round < 3; round++) {
          for (let step = 0; step < 25; step++) await ends.step();
          await ends.drain();
        }
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      }
      skipped += ends.counts.skipped;
    }
    expect(skipped).toBeGreaterThan(100);
  });
});
