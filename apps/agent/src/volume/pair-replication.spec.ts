// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '@secondsite/durable-storage/testing';
import { OLD_EPOCH, type PositionAnswer } from '@secondsite/transport';
import { isOperationError, MIB } from '@secondsite/units';
import * as fc from 'fast-check';
import { ReplicationBench } from '../testing/replication-bench';

const plain = { fua: false };

function pattern(length: number, fill: number): Buffer {
  const bytes = Buffer.alloc(length, fill);
  if (length > 4) bytes.writeUInt32LE((fill * 2654435761) >>> 0, 0);
  return bytes;
}

async function started(): Promise<ReplicationBench> {
  const bench = new ReplicationBench();
  await bench.start();
  await bench.drain();
  return bench;
}

describe('replication of a volume', () => {
  it('begins with a baseline, then carries every write; the replica is the source at every cut', async () => {
    const bench = await started();
    expect(bench.target.markers.map((marker) => marker.kind)).toEqual(expect.arrayContaining(['epoch-started', 'resync-read']));
    for (let write = 1; write <= 50; write++) {
      await bench.device.write(write * 5000, [pattern(3000, write), pattern(100, write + 1)], plain);
      if (write % 10 === 0) await bench.tick(200);
    }
    await bench.device.zero(5000, 70_000, { fua: false, mayPunch: true, fast: false });
    await bench.device.trim(200_000, 10_000, { fua: true });
    await bench.drain();
    expect(bench.cutsChecked).toBeGreaterThan(2);
  });

  it('sends heartbeats when nobody writes', async () => {
    const bench = await started();
    const { lastTime } = bench.target;
    bench.target.immediate = true;
    await bench.tick(1100);
    expect(bench.target.markers.at(-1)).toEqual({ kind: 'heartbeat' });
    expect(bench.target.lastTime - lastTime).toBeGreaterThan(1_000_000);
  });

  it('enters bitmap mode when the memory is used up, never holds a write, and comes back by itself', async () => {
    const bench = await started();
    bench.target.behaviour = 'unreachable';
    for (let write = 0; write < 40; write++) {
      expect(bench.device.write((write % 5) * MIB, [pattern(900_000, write)], plain)).toBeUndefined();
      await bench.tick(10);
    }
    expect(bench.replication.status.mode).toBe('bitmap');
    expect(bench.replication.status.heldBytes).toBeLessThanOrEqual(12 * MIB);
    await bench.drain();
    expect(bench.facts.map((fact) => fact.kind)).toEqual(expect.arrayContaining(['bitmap-mode-entered', 'bitmap-mode-left', 'resync-read']));
  });

  it('stays in bitmap mode while the application writes faster than sets are shipped, and leaves when it has calmed down', async () => {
    const bench = await started();
    const writeOn = async (seconds: number): Promise<void> => {
      for (let write = 0; write < seconds * 50; write++) {
        await bench.device.write((write % 5) * MIB, [pattern(900_000, write)], plain);
        await bench.tick(20);
      }
    };
    bench.target.behaviour = 'unreachable';
    await writeOn(1);
    bench.target.behaviour = 'normal';
    bench.target.immediate = true;
    while (bench.target.pendingPuts > 0) bench.target.answer();
    await writeOn(8);
    expect(bench.replication.status).toMatchObject({ mode: 'bitmap', heldBytes: 0 });
    expect(bench.facts.map(({ kind }) => kind)).not.toContain('bitmap-mode-left');
    for (let tick = 0; tick < 50; tick++) await bench.tick(20);
    expect(bench.replication.status.mode).toBe('data');
    await bench.drain();
  });

  it('leaves memory for the writes of the application, whatever a resynchronisation has under way', async () => {
    const bench = new ReplicationBench({ volumeBytes: 16 * MIB });
    await bench.fillDisk();
    await bench.start();
    bench.target.behaviour = 'unreachable';
    for (let tick = 0; tick < 20; tick++) await bench.tick(10);
    expect(bench.replication.status).toMatchObject({ mode: 'data', resync: expect.anything() });
    expect(bench.replication.status.heldBytes).toBeGreaterThan(3 * MIB);
    for (let write = 0; write < 4; write++) await bench.device.write(write * MIB, [pattern(MIB / 8, write)], plain);
    expect(bench.replication.status.mode).toBe('data');
    await bench.drain();
  });

  it('reads only marked regions again after a kill, nothing after a clean stop', async () => {
    const bench = await started();
    await bench.tick(6000);
    await bench.tick(6000);
    await bench.device.write(3 * MIB + 5, [pattern(10, 1)], plain);
    bench.crash(seededRandom(1), { powerLost: false });
    await bench.start();
    await bench.drain();
    expect(bench.target.markers.filter((marker) => marker.kind === 'epoch-started')).toEqual([
      expect.objectContaining({ reason: 'baseline' }),
      { kind: 'epoch-started', reason: 'agent-crash', volumeBytes: bench.volumeBytes, resyncBytes: MIB, base: { epoch: 1, sequence: 1 } },
    ]);
    bench.target.immediate = true;
    await bench.device.write(5, [pattern(10, 1)], plain);
    await bench.replication.stop({ drainMillisMax: 1000, wait: () => bench.settle().then(() => void (bench.millis += 10)) });
    bench.storage.restore(bench.storage.snapshot());
    await bench.start();
    await bench.drain();
    expect(bench.target.markers.filter((marker) => marker.kind === 'epoch-started').at(-1)).toMatchObject({ reason: 'none', resyncBytes: 0 });
  });

  it.each(['bitmap-lost', 'requested'] as const)('lets writes go on when the disk of the bitmap fails, goes on replicating them, and compares everything after a crash (%s)', async (cause) => {
    const bench = new ReplicationBench();
    await bench.fillDisk();
    await bench.start();
    await bench.drain();
    bench.target.immediate = true;
    await bench.replication.requestResync(); // Compares, and so keeps checksums.
    await bench.quiet();
    bench.target.immediate = true;
    const failing = new Set(['bitmap', 'kept.stale', 'kept.checksums']);
    bench.storage.fault = ({ kind, name }) => (kind === 'sync' && failing.has(name) ? 'io-error' : undefined);
    const first = bench.device.write(3 * MIB + 5, [pattern(10, 1)], plain);
    for (let tick = 0; tick < 20; tick++) await bench.tick(20);
    await first;
    for (let write = 0; write < 30; write++) {
      expect(bench.device.write((write % 5) * MIB + 77, [pattern(5000, write)], plain)).toBeUndefined();
      await bench.tick(20);
    }
    await bench.drain();
    expect(bench.replication.status).toMatchObject({ mode: 'data', fault: { code: 'bitmap/not-durable' } });
    expect(bench.chosen().at(-1)).toMatchObject({ work: 'regions', cause: 'bitmap-lost' });
    bench.target.behaviour = 'unreachable';
    await bench.device.write(MIB + 700_000, [pattern(10, 9)], { fua: true }); // A block that nothing else was written to.
    bench.crash(seededRandom(6), { powerLost: true }); // Of the failed syncs nothing reached the disk.
    await bench.start();
    bench.target.behaviour = 'normal';
    bench.replication.tick();
    const hasFoundOut = () => bench.facts.some((fact) => fact.kind === 'resync-required' && fact.cause === 'bitmap-lost' && fact.work === 'whole');
    for (let turn = 0; turn < 100 && !hasFoundOut(); turn++) await Promise.resolve();
    expect(hasFoundOut()).toBe(true);
    if (cause === 'requested') await bench.replication.requestResync();
    await bench.drain();
    expect(bench.chosen().at(-1)).toMatchObject({ work: 'whole', cause, resyncBytes: 6 * MIB });
  });

  it('tells the process server also of a paused pair that its bitmap is given up', async () => {
    const bench = await started();
    await bench.quiet();
    bench.target.immediate = true;
    bench.replication.paused = true;
    bench.storage.fault = ({ kind, name }) => (kind !== 'read' && name === 'bitmap' ? 'io-error' : undefined);
    const write = bench.device.write(3 * MIB + 5, [pattern(10, 1)], plain);
    for (let tick = 0; tick < 20; tick++) await bench.tick(20);
    await write;
    expect(bench.replication.status.heldBytes).toBeGreaterThan(0);
    bench.replication.paused = false;
    await bench.drain();
  });

  it('tells of a bitmap that cannot be written while nobody waits for it, until it can', async () => {
    const bench = await started();
    await bench.quiet();
    await bench.device.write(3 * MIB + 5, [pattern(10, 1)], plain);
    await bench.drain();
    bench.storage.fault = ({ kind, name }) => (kind === 'sync' && name === 'bitmap' ? 'io-error' : undefined);
    await bench.quiet();
    expect(bench.replication.status).toMatchObject({ mode: 'data', epoch: 1, fault: { code: 'bitmap/not-durable' } });
    bench.storage.fault = () => undefined;
    await bench.tick(6000);
    expect(bench.replication.status.fault).toBeUndefined();
    bench.crash(seededRandom(1), { powerLost: true });
    await bench.start();
    await bench.drain();
    expect(bench.chosen().at(-1)).toMatchObject({ work: 'nothing', resyncBytes: 0 });
  });

  it('says what it chose and why, each time that it goes on', async () => {
    const bench = await started();
    const { volumeBytes } = bench;
    await bench.quiet();
    await bench.device.write(3 * MIB + 5, [pattern(10, 1)], plain);
    bench.crash(seededRandom(1), { powerLost: false });
    await bench.start();
    await bench.drain();
    bench.target.immediate = true;
    await bench.replication.stop({ drainMillisMax: 1000, wait: () => bench.settle().then(() => void (bench.millis += 10)) });
    bench.storage.restore(bench.storage.snapshot());
    await bench.start();
    await bench.drain();
    await bench.quiet();
    bench.target.refuseNext = { code: OLD_EPOCH, detail: 'set 7 was damaged' };
    await bench.device.write(5, [pattern(10, 1)], plain);
    await bench.drain();
    expect(bench.chosen()).toEqual([
      { work: 'whole', cause: 'baseline', resyncBytes: 6 * MIB, volumeBytes, detail: undefined },
      { work: 'regions', cause: 'agent-crash', resyncBytes: MIB, volumeBytes, detail: undefined },
      { work: 'nothing', cause: 'clean-start', resyncBytes: 0, volumeBytes, detail: undefined },
      { work: 'regions', cause: 'stream-broken', resyncBytes: MIB, volumeBytes, detail: 'set 7 was damaged' },
    ]);
  });

  it('reads everything when the target lost the replica, whether or not the agent was there, and only then', async () => {
    const bench = await started();
    await bench.quiet();
    bench.target.loseReplica();
    await bench.device.write(5, [pattern(10, 1)], plain);
    await bench.drain();
    await bench.quiet();
    bench.crash(seededRandom(1), { powerLost: true });
    bench.target.loseReplica();
    await bench.start();
    await bench.drain();
    const whole = { work: 'whole', cause: 'replica-lost', resyncBytes: 6 * MIB };
    expect(bench.chosen().filter(({ work }) => work === 'whole')).toMatchObject([{ cause: 'baseline' }, whole, whole]);
    expect(bench.facts.filter((fact) => fact.kind === 'resync-required' && fact.work === 'whole')).toHaveLength(2);
  });

  it('has noted durably that everything has to be read before it begins to: a power cut in the middle changes nothing', async () => {
    const bench = new ReplicationBench({ volumeBytes: 16 * MIB });
    await bench.fillDisk();
    await bench.start();
    await bench.quiet();
    bench.target.loseReplica();
    bench.target.immediate = true;
    await bench.device.write(5, [pattern(10, 1)], plain);
    const { resyncBytes } = bench.target;
    while (bench.target.resyncBytes < resyncBytes + 2 * MIB) await bench.tick(20);
    expect(bench.target.resyncBytes).toBeLessThan(resyncBytes + 12 * MIB);
    bench.crash(seededRandom(2), { powerLost: true });
    await bench.start();
    await bench.drain();
  });

  it('waits for its turn before the whole volume is read, and where it is when the turn is taken away; what is marked needs none', async () => {
    const bench = new ReplicationBench({ volumeBytes: 24 * MIB });
    await bench.fillDisk();
    await bench.start();
    bench.target.immediate = true;
    bench.replication.resyncTurn = false;
    await bench.device.write(9, [pattern(10, 1)], plain);
    for (let round = 0; round < 20; round++) await bench.tick(500);
    expect([bench.target.epoch, bench.replication.status.mode]).toEqual([0, 'resync-required']);
    bench.replication.resyncTurn = true;
    while (bench.target.resyncBytes < MIB) await bench.tick(20);
    bench.replication.resyncTurn = false;
    for (let round = 0; round < 20; round++) await bench.tick(20);
    const { resyncBytes } = bench.target;
    await bench.device.write(4 * MIB, [pattern(10, 2)], plain);
    for (let round = 0; round < 20; round++) await bench.tick(500);
    expect(bench.target.resyncBytes).toBe(resyncBytes);
    expect(bench.replication.status).toMatchObject({ mode: 'data', heldBytes: 0, resync: { totalBytes: 24 * MIB } });
    bench.replication.resyncTurn = true;
    await bench.drain();
    bench.replication.resyncTurn = false;
    bench.replication.loseTap();
    await bench.replication.noteMissed([{ offset: 0, length: 1 }]);
    bench.replication.resumeTap();
    bench.target.immediate = true;
    for (let round = 0; round < 50; round++) await bench.tick(50);
    expect(bench.replication.status).toMatchObject({ mode: 'data', dirtyBytes: 0 });
  });

  it('goes on with a baseline after a power cut: what the target has applied and a sweep has unmarked is not read again', async () => {
    const bench = new ReplicationBench({ volumeBytes: 16 * MIB });
    await bench.fillDisk();
    await bench.start();
    bench.target.immediate = true;
    while (bench.target.resyncBytes < 6 * MIB) await bench.tick(20);
    bench.target.behaviour = 'unreachable';
    await bench.tick(2100);
    await bench.tick(2100);
    const applied = bench.target.resyncBytes;
    bench.crash(seededRandom(1), { powerLost: true });
    bench.target.behaviour = 'normal';
    await bench.start();
    await bench.drain();
    expect(bench.target.resyncBytes - applied).toBe(16 * MIB - applied);
    expect(applied).toBeLessThan(16 * MIB);
  });

  it('raises the epoch above the receiver when its own is refused as old', async () => {
    const bench = await started();
    bench.target.epoch = 41;
    bench.target.applied = 0;
    bench.target.green = false;
    await bench.device.write(5, [pattern(10, 1)], plain);
    await bench.drain();
    expect(bench.replication.status.epoch).toBe(42);
    expect(bench.facts.map((fact) => fact.kind)).toContain('change-set-refused');
  });

  it('begins one epoch, with its marker, when another is asked for while the first still waits for the process server', async () => {
    const bench = await started();
    const waiting = Promise.withResolvers<PositionAnswer>();
    const position = bench.target.position.bind(bench.target);
    bench.target.position = () => waiting.promise;
    await bench.replication.requestResync();
    await bench.tick(20);
    bench.target.position = position;
    await bench.replication.requestResync();
    await bench.drain();
    const { epoch } = bench.replication.status;
    waiting.resolve(await position());
    await bench.settle();
    await bench.device.write(5, [pattern(10, 1)], plain);
    await bench.drain();
    expect(bench.replication.status.epoch).toBe(epoch);
  });

  it('ships a write in time although the clock of its host is set back', async () => {
    const bench = await started();
    await bench.device.write(5, [pattern(10, 1)], plain);
    bench.clockOffsetMicros = -3600e6;
    await bench.tick(250);
    expect(bench.target.pendingPuts).toBe(1);
    await bench.drain();
  });

  it('reads the whole volume again when asked to', async () => {
    const bench = await started();
    await bench.replication.requestResync();
    await bench.drain();
    expect(bench.target.markers.filter((marker) => marker.kind === 'epoch-started').at(-1)).toMatchObject({ reason: 'target-request' });
  });

  it('cuts a bookmark at its exact time, after all writes before it and before all later ones', async () => {
    const bench = await started();
    await bench.device.write(0, [pattern(10, 1)], plain);
    bench.device.hold();
    const later = bench.device.write(0, [pattern(10, 2)], plain);
    const time = (bench.millis + 3) * 1000;
    bench.replication.cut({ kind: 'bookmark', bookmarkId: 'b', name: 'n', level: 'user' }, time);
    bench.device.release();
    await later;
    await bench.drain();
    expect(bench.target.bookmarkTimes).toEqual([time]);
    expect(bench.target.lastTime).toBeGreaterThan(time);
  });

  it('claims nothing while the tap is lost, ships what was captured, and then reads what was missed', async () => {
    const bench = await started();
    bench.target.immediate = true;
    await bench.device.write(9, [pattern(10, 1)], plain);
    bench.replication.loseTap();
    const claimed = bench.replication.status.sequence;
    await bench.device.write(3 * MIB, [pattern(10, 2)], plain);
    for (let round = 0; round < 5; round++) await bench.tick(1500);
    expect(bench.replication.status).toMatchObject({ mode: 'resync-required', sequence: claimed, heldBytes: 0, dirtyBytes: 4096 });
    expect(bench.target.applied).toBe(claimed);
    await bench.replication.noteMissed([{ offset: 5, length: 10 }]);
    await bench.drain();
    expect(bench.target.markers.filter(({ kind }) => kind === 'resync-started')).toEqual([{ kind: 'resync-started', reason: 'tap-interrupted', resyncBytes: 2 * 4096 }]);
    bench.replication.loseTap();
    await bench.drain();
    expect(bench.target.markers.filter(({ kind }) => kind === 'resync-started')).toHaveLength(1);
  });

  it('holds no memory while it stands by in no plan, and then reads only what changed meanwhile, also after a kill', async () => {
    const bench = await started();
    await bench.quiet();
    const { epoch } = bench.replication.status;
    bench.replication.standby = true;
    for (let write = 0; write < 40; write++) {
      await bench.device.write(MIB + (write % 3) * 1000, [pattern(900_000, write)], plain);
      await bench.tick(250);
    }
    expect(bench.replication.status).toMatchObject({ mode: 'resync-required', heldBytes: 0, epoch });
    bench.crash(seededRandom(1), { powerLost: false });
    await bench.start();
    bench.replication.standby = true;
    for (let second = 0; second < 5; second++) await bench.tick(1000);
    expect(bench.target.markers.filter(({ kind }) => kind === 'epoch-started')).toHaveLength(1);
    bench.replication.standby = false;
    await bench.drain();
    const [chosen] = bench.chosen().slice(-1);
    expect(chosen).toMatchObject({ work: 'regions' });
    expect(chosen?.resyncBytes).toBeLessThan(bench.volumeBytes / 2);
  });

  it('refuses a bookmark while it is not consistent', async () => {
    const bench = new ReplicationBench();
    await bench.start();
    let refused: unknown;
    try {
      bench.replication.cut({ kind: 'bookmark', bookmarkId: 'b', name: 'n', level: 'user' }, 5);
    } catch (error) {
      refused = error;
    }
    expect(isOperationError(refused, 'bookmark/not-in-data-mode')).toBe(true);
  });

  it('lets no write reach the disk before its region is marked on stable storage (I1)', async () => {
    const bench = await started();
    for (let sweep = 0; sweep < 3; sweep++) await bench.drain().then(() => bench.tick(6000));
    const operations: string[] = [];
    bench.storage.fault = ({ kind, name }) => void (kind === 'write' || kind === 'sync' ? operations.push(`${kind} ${name}`) : 0);
    const first = bench.device.write(2 * MIB, [pattern(10, 1)], plain);
    expect(first).toBeInstanceOf(Promise);
    await first;
    expect(bench.device.write(2 * MIB + 7, [pattern(10, 1)], plain)).toBeUndefined();
    expect(operations).toEqual(['write bitmap', 'sync bitmap', 'write disk', 'write disk']);
  });

  it('unmarks a region only when the source disk has it durably, so that a power cut cannot part source and replica', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const bench = await started();
      await bench.device.write(2 * MIB, [pattern(5000, seed)], plain);
      for (let sweep = 0; sweep < 4; sweep++) await bench.drain().then(() => bench.tick(6000));
      bench.crash(seededRandom(seed), { powerLost: true });
      await bench.start();
      await bench.drain();
      expect(bench.target.markers.at(-1)).toMatchObject({ reason: 'none' });
    }
  });

  it('keeps replica and source equal when the disk fails a write', async () => {
    const bench = await started();
    bench.storage.fault = ({ kind, name }) => (kind === 'write' && name === 'disk' ? 'io-error' : undefined);
    expect(() => bench.device.write(MIB, [pattern(5000, 3)], plain)).toThrow('io-error');
    bench.storage.fault = undefined;
    await bench.device.write(9, [pattern(10, 1)], plain);
    await bench.drain();
  });
});

type Step =
  | { readonly kind: 'write' | 'zero' | 'trim'; readonly at: number; readonly length: number; readonly fill: number }
  | { readonly kind: 'tick'; readonly millis: number }
  | { readonly kind: 'answer'; readonly which: number; readonly count: number }
  | { readonly kind: 'target'; readonly behaviour: 'normal' | 'unreachable' | 'held-off' }
  | { readonly kind: 'crash'; readonly powerLost: boolean; readonly seed: number }
  | { readonly kind: 'flush' | 'bookmark' | 'resync' | 'drain' | 'tap-lost' | 'tap-back' | 'replica-lost' | 'turn-taken' | 'turn-given' | 'stands-by' | 'joins' };

type Change = Extract<Step, { readonly fill: number }>;

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('write' as const), at: fc.nat(5 * MIB), length: fc.integer({ min: 1, max: 400_000 }), fill: fc.nat(255) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('zero' as const, 'trim' as const), at: fc.nat(5 * MIB), length: fc.integer({ min: 1, max: 2 * MIB }), fill: fc.constant(0) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('tick' as const), millis: fc.constantFrom(1, 20, 250, 1100, 5100) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('answer' as const), which: fc.nat(5), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('target' as const), behaviour: fc.constantFrom('normal' as const, 'normal' as const, 'unreachable' as const, 'held-off' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), powerLost: fc.boolean(), seed: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('flush' as const, 'bookmark' as const, 'resync' as const, 'drain' as const, 'tap-lost' as const, 'tap-back' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('replica-lost' as const, 'turn-taken' as const, 'turn-given' as const, 'stands-by' as const, 'joins' as const) }) },
);

/** What the history promised about acknowledged writes: kept when the process dies, and when the power goes, if flushed (the disk's own rule). */
class History {
  readonly bench: ReplicationBench;
  readonly #waiting = new Set<Promise<unknown>>();
  #bookmarks = 0;

  constructor(options: { readonly slowSource: boolean }) {
    this.bench = new ReplicationBench(options);
  }

  async run(steps: readonly Step[]): Promise<number> {
    await this.bench.start();
    for (const step of steps) {
      await this.#do(step);
      if (step.kind !== 'write') await this.bench.settle();
    }
    await this.bench.drain();
    await Promise.all(this.#waiting);
    return this.bench.cutsChecked;
  }

  async #do(step: Step): Promise<void> {
    const { bench } = this;
    if (step.kind === 'tick') return bench.tick(step.millis);
    if (step.kind === 'target') return void (bench.target.behaviour = step.behaviour);
    if (step.kind === 'flush') return this.#keep(bench.device.flush());
    if (step.kind === 'drain') return bench.drain();
    if (step.kind === 'tap-lost') return bench.replication.loseTap();
    if (step.kind === 'tap-back') return bench.replication.resumeTap();
    if (step.kind === 'replica-lost') return bench.target.loseReplica();
    if (step.kind === 'turn-taken' || step.kind === 'turn-given') return void (bench.replication.resyncTurn = step.kind === 'turn-given');
    if (step.kind === 'stands-by' || step.kind === 'joins') return void (bench.replication.standby = step.kind === 'stands-by');
    if (step.kind === 'resync') return this.#keep(bench.replication.requestResync());
    if (step.kind === 'answer') for (let count = 0; count < step.count; count++) bench.target.answer(step.which % Math.max(1, bench.target.pendingPuts));
    else if (step.kind === 'bookmark') this.#bookmark();
    else if (step.kind === 'crash') await this.#crash(step);
    else if ('fill' in step) this.#change(step);
  }

  #change(step: Change): void {
    const length = Math.min(step.length, this.bench.volumeBytes - step.at);
    const { device } = this.bench;
    if (step.kind === 'write') this.#keep(device.write(step.at, [pattern(length, step.fill)], plain));
    else if (step.kind === 'zero') this.#keep(device.zero(step.at, length, { fua: false, mayPunch: step.length % 2 === 0, fast: false }));
    else this.#keep(device.trim(step.at, length, plain));
  }

  #bookmark(): void {
    if (this.bench.replication.status.mode !== 'data' || this.bench.replication.status.resync) return;
    this.bench.millis += 1;
    const name = `b${(this.#bookmarks += 1)}`;
    try {
      this.bench.replication.cut({ kind: 'bookmark', bookmarkId: name, name, level: 'crash' }, this.bench.millis * 1000 + 500);
    } catch (error) {
      if (!isOperationError(error, 'bookmark/not-in-data-mode')) throw error; // Without memory for the marker it is refused.
    }
    this.bench.millis += 1;
  }

  async #crash({ powerLost, seed }: Step & { kind: 'crash' }): Promise<void> {
    const random = seededRandom(seed);
    this.bench.crash(random, { powerLost });
    this.#waiting.clear(); // Whoever waited for a mark waits for ever: its process is gone.
    await this.bench.start();
  }

  #keep(completion: undefined | Promise<unknown>): void {
    if (!completion) return;
    const kept = completion.catch((error: unknown) => {
      if (!String(error).includes('power')) throw error;
    });
    this.#waiting.add(kept);
    kept.catch(() => undefined);
  }
}

describe('any history of writes, answers, outages and crashes', () => {
  it('leaves the replica equal to the source at every consistent cut and in the end (I1, I3)', async () => {
    let cuts = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(stepArbitrary, { minLength: 10, maxLength: 80, size: 'max' }), fc.boolean(), async (steps, slowSource) => {
        cuts += await new History({ slowSource }).run(steps);
      }),
      { numRuns: Number(process.env['AGENT_HISTORIES'] ?? 40), endOnFailure: true },
    );
    expect(cuts).toBeGreaterThan(50);
  });
});
