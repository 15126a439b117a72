// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it, jest } from '@jest/globals';
import { BLOCK_BYTES } from '@secondsite/block-checksums';
import { verifyStored } from '@secondsite/change-set';
import { seededRandom } from '@secondsite/durable-storage/testing';
import { OLD_EPOCH } from '@secondsite/transport';
import { MIB } from '@secondsite/units';
import { ReplicationBench } from '../testing/replication-bench';

const plain = { fua: false };

/** A volume full of data, in differential sync. */
async function started(options: ConstructorParameters<typeof ReplicationBench>[0] = {}): Promise<ReplicationBench> {
  const bench = new ReplicationBench(options);
  await bench.start();
  await bench.drain();
  for (let offset = 0; offset < bench.volumeBytes; offset += 100_000) {
    await bench.device.write(offset, [Buffer.alloc(Math.min(100_000, bench.volumeBytes - offset), 1 + (offset % 251))], plain);
    await bench.tick(20);
    bench.target.immediate = true;
  }
  await bench.drain();
  return bench;
}

/** What the agent told of its last comparison; zeros when it told nothing. */
function reported(bench: ReplicationBench) {
  const told = bench.facts.findLast((fact) => fact.kind === 'resync-compared');
  return { comparedBlocks: told?.comparedBlocks ?? 0, sentBlocks: told?.sentBlocks ?? 0, skippedBlocks: told?.skippedBlocks ?? 0 };
}

/** Resynchronises the whole volume, and returns what crossed for it. */
async function resync(bench: ReplicationBench, meanwhile: () => Promise<void> = async () => undefined) {
  const before = bench.target.resyncBytes;
  bench.facts.length = 0;
  await bench.replication.requestResync();
  await meanwhile();
  await bench.drain();
  return { sentBytes: bench.target.resyncBytes - before, ...reported(bench) };
}

/** Bytes that the agent reads of its disk in `run`; the bench, to compare, reads it whole. */
async function sourceReads(bench: ReplicationBench, run: () => Promise<unknown>): Promise<number> {
  let bytes = 0;
  bench.storage.fault = (operation) => {
    if (operation.kind === 'read' && operation.name === 'disk' && operation.bytes < bench.volumeBytes) bytes += operation.bytes;
    return undefined;
  };
  await run();
  bench.storage.fault = undefined;
  return bytes;
}

describe('fast resync', () => {
  it.each([false, true])('sends nothing when nothing differs (source in another process: %s)', async (slowSource) => {
    const bench = await started({ slowSource });
    expect(await resync(bench)).toEqual({ sentBytes: 0, comparedBlocks: 81, sentBlocks: 0, skippedBlocks: 81 });
    expect(bench.target.markers.filter(({ kind }) => kind === 'epoch-started').at(-1)).toMatchObject({ reason: 'target-request', resyncBytes: 6 * MIB });
  });

  it('sends exactly the blocks that differ', async () => {
    const bench = await started();
    for (const offset of [0, 3 * BLOCK_BYTES - 1, 20 * BLOCK_BYTES + 9, bench.volumeBytes - 1]) bench.target.replica[offset] = 0;
    expect(await resync(bench)).toEqual({ sentBytes: 3 * BLOCK_BYTES + 300, comparedBlocks: 81, sentBlocks: 4, skippedBlocks: 77 });
  });

  it('waits for no tick, and its end goes out by itself', async () => {
    const bench = await started();
    bench.target.replica[3 * BLOCK_BYTES] = 0;
    bench.target.immediate = true;
    const put = jest.spyOn(bench.target, 'put');
    await bench.replication.requestResync();
    for (let turn = 0; turn < 200 && (bench.target.epoch < 2 || !bench.target.green); turn++) await bench.settle();
    expect(reported(bench)).toEqual({ comparedBlocks: 81, sentBlocks: 1, skippedBlocks: 80 });
    const sets = put.mock.calls.map(([parts]) => {
      const set = verifyStored(Buffer.concat(parts));
      return set.ok ? set.header.entryCount : 0;
    });
    expect(sets).toEqual([1, 1, 1]);
  });

  it('begins in the moment in which its pair is not paused any more', async () => {
    const bench = await started();
    const put = jest.spyOn(bench.target, 'put');
    bench.replication.paused = true;
    await bench.replication.requestResync();
    await bench.settle();
    expect(put).not.toHaveBeenCalled();
    bench.replication.paused = false;
    await bench.settle();
    expect(put).toHaveBeenCalledTimes(1);
  });

  it('sends a volume of which nothing is the same nearly as if it had not asked', async () => {
    const bench = await started();
    bench.target.replica.fill(0xee);
    const { sentBytes, comparedBlocks, sentBlocks } = await resync(bench);
    expect({ sentBytes, sentBlocks }).toEqual({ sentBytes: bench.volumeBytes, sentBlocks: 81 });
    expect(comparedBlocks).toBeLessThanOrEqual(81);
  });

  it('begins no comparison while the whole volume has to wait for its turn', async () => {
    const bench = await started();
    const compare = jest.spyOn(bench.target, 'compare');
    await bench.replication.requestResync();
    while (compare.mock.calls.length === 0) await bench.tick(20);
    bench.replication.resyncTurn = false;
    bench.replication.loseTap();
    bench.replication.resumeTap();
    bench.target.immediate = true;
    for (let round = 0; round < 20; round++) await bench.tick(50);
    expect(bench.replication.status).toMatchObject({ mode: 'data', dirtyBytes: 6 * MIB });
    expect(compare).toHaveBeenCalledTimes(1);
    bench.replication.resyncTurn = true;
    await bench.drain();
    expect(compare.mock.calls.length).toBeGreaterThan(1);
  });

  it('compares with a replica that may be an older one, and sends nearly all of one that is another', async () => {
    const bench = await started();
    await bench.quiet();
    bench.target.loseReplica();
    const before = bench.target.resyncBytes;
    await bench.device.write(5, [Buffer.alloc(10, 1)], plain);
    await bench.drain();
    expect(bench.facts.findLast((fact) => fact.kind === 'resync-chosen')).toMatchObject({ cause: 'replica-lost', work: 'whole' });
    expect(bench.target.resyncBytes - before).toBe(bench.volumeBytes);
    expect(bench.target.questions).toBe(1);
  });

  it('asks nothing in the baseline of a new pair', async () => {
    const bench = new ReplicationBench();
    await bench.fillDisk();
    await bench.start();
    await bench.drain();
    expect(reported(bench).comparedBlocks).toBe(0);
    expect(bench.target.questions).toBe(0);
  });

  it('sends everything when the target does not understand the question', async () => {
    const bench = await started();
    bench.target.compare = async () => ({ kind: 'refused', status: 404, code: 'transport/unknown-path', detail: 'no such path', hint: '' });
    expect(await resync(bench)).toMatchObject({ sentBytes: bench.volumeBytes, comparedBlocks: 0 });
  });

  it('does not believe an answer that is damaged or about something else, and asks again', async () => {
    const bench = await started();
    bench.target.replica[5 * BLOCK_BYTES] = 0;
    const ask = bench.target.compare.bind(bench.target);
    let answers = 0;
    bench.target.compare = async (question, about) => {
      const outcome = await ask(question, about);
      answers += 1;
      if (outcome.kind !== 'compared' || answers > 2) return outcome;
      // All the same, says the changed answer.
      return { kind: 'compared', answer: Buffer.from(outcome.answer).fill(0, 24, 30) };
    };
    expect(await resync(bench)).toMatchObject({ sentBlocks: 1 });
    expect(answers).toBeGreaterThan(2);
  });

  it('leaves an application alone that writes meanwhile, and still ends equal', async () => {
    const bench = await started({ budgetBytes: 24 * MIB });
    const random = seededRandom(11);
    for (let block = 0; block < 81; block += 7) bench.target.replica[block * BLOCK_BYTES + 77] = 0;
    const { comparedBlocks, skippedBlocks } = await resync(bench, async () => {
      for (let write = 0; write < 60; write++) {
        expect(bench.device.write(Math.floor(random() * (bench.volumeBytes - 5000)), [Buffer.alloc(5000, write)], plain)).toBeUndefined();
        await bench.tick(7);
      }
    });
    expect(comparedBlocks).toBe(81);
    expect(skippedBlocks).toBeGreaterThan(10);
  });

  it('asks about a replica that has everything captured before the changes that were missed', async () => {
    const bench = await started();
    const before = Buffer.from(bench.source().subarray(2 * MIB, 3 * MIB));
    bench.target.immediate = false;
    await bench.device.write(2 * MIB + 5 * BLOCK_BYTES, [Buffer.alloc(BLOCK_BYTES, 0xc1)], plain);
    bench.replication.loseTap();
    // Missed: the source is again what the replica is as long as the captured write is on its way.
    await bench.device.write(2 * MIB, [before], plain);
    bench.replication.resumeTap();
    await bench.tick(20);
    await bench.tick(20);
    expect(bench.target.pendingPuts).toBe(3);
    for (let step = 0; step < 2; step++) bench.target.answer(2);
    await bench.settle();
    await bench.drain();
    expect(reported(bench)).toMatchObject({ comparedBlocks: 16, sentBlocks: 1 });
  });

  it('reads nothing the second time where nothing was written since, also after a clean stop; after a crash no stale checksum is believed', async () => {
    const bench = await started();
    await resync(bench);
    expect(await sourceReads(bench, () => resync(bench))).toBe(0);
    await bench.device.write(9 * BLOCK_BYTES - 1, [Buffer.alloc(2, 7)], plain);
    await bench.drain();
    bench.target.replica[30 * BLOCK_BYTES] = 0;
    expect(await sourceReads(bench, () => resync(bench))).toBe(3 * BLOCK_BYTES);
    bench.target.immediate = true;
    await bench.replication.stop({ drainMillisMax: 1000, wait: () => bench.settle().then(() => void (bench.millis += 10)) });
    await bench.start();
    await bench.drain();
    expect(await sourceReads(bench, () => resync(bench))).toBe(0);
    await bench.device.write(40 * BLOCK_BYTES, [Buffer.alloc(9, 7)], plain);
    bench.crash(seededRandom(1), { powerLost: true });
    await bench.start();
    await bench.drain();
    expect(await sourceReads(bench, () => resync(bench))).toBeLessThanOrEqual(16 * BLOCK_BYTES);
  });

  it('believes no kept checksum of what the tap missed', async () => {
    const bench = await started();
    await resync(bench);
    bench.target.immediate = true;
    bench.replication.loseTap();
    // Past the tap, as QEMU does while the mirror is away.
    bench.disk.file.writeNow(Buffer.alloc(10, 0xd7), 3 * MIB);
    await bench.replication.noteMissed([{ offset: 0, length: bench.volumeBytes }]);
    await bench.drain();
    expect(reported(bench)).toMatchObject({ comparedBlocks: 81, sentBlocks: 1 });
  });

  it('sends after bitmap mode the pages that were missed and nothing else, without a comparison', async () => {
    const bench = await started();
    bench.target.behaviour = 'unreachable';
    while (bench.replication.status.mode !== 'bitmap') await bench.device.write(4 * MIB, [Buffer.alloc(220 * 4096, 0xef)], plain);
    for (const region of [0, 2, 3]) {
      for (const at of [70_000, 80_000, 500_000, MIB - 1]) await bench.device.write(region * MIB + at, [Buffer.alloc(100, 0xe0 + region)], plain);
    }
    bench.target.behaviour = 'normal';
    bench.target.immediate = true;
    while (bench.target.pendingPuts > 0) bench.target.answer();
    bench.facts.length = 0;
    const before = bench.target.resyncBytes;
    await bench.drain();
    // Four pages in each of three regions, two in the regions into which a write reaches, and the first 220 of the last region.
    expect(bench.target.resyncBytes - before).toBe((3 * 4 + 2 + 220) * 4096);
    expect(reported(bench)).toMatchObject({ comparedBlocks: 0, skippedBlocks: 0 });
    expect(bench.chosen()).toMatchObject([{ cause: 'bitmap-mode', work: 'regions', resyncBytes: (3 * 4 + 2 + 220) * 4096 }]);
  });

  it('reads a region whole in a new epoch, also when only some of its pages were missed: what was captured of it may not have come', async () => {
    const bench = await started();
    bench.target.behaviour = 'unreachable';
    await bench.device.write(100_000, [Buffer.alloc(100, 0xca)], plain);
    while (bench.replication.status.mode !== 'bitmap') await bench.device.write(4 * MIB, [Buffer.alloc(900_000, 0xef)], plain);
    await bench.device.write(500_000, [Buffer.alloc(100, 0xe0)], plain);
    bench.target.refuseNext = { code: OLD_EPOCH, detail: 'test' };
    await bench.drain();
    expect(bench.chosen().at(-1)).toMatchObject({ cause: 'stream-broken' });
  });
});
