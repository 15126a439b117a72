// SPDX-License-Identifier: Apache-2.0
// The target says that blocks of its replica are damaged; the agent sends what the source holds. After every applied set the bench compares the
// replica with the source as it was when the set was sealed, so anything wrong or out of order shows.
import { describe, expect, it } from '@jest/globals';
import { BLOCK_BYTES } from '@secondsite/block-checksums';
import { seededRandom } from '@secondsite/durable-storage/testing';
import { ReplicationBench } from '../testing/replication-bench';

const plain = { fua: false };
const damaged = [{ offset: 3 * BLOCK_BYTES, length: BLOCK_BYTES }, { offset: 40 * BLOCK_BYTES, length: 20 * BLOCK_BYTES }];
const damagedBytes = 21 * BLOCK_BYTES;

async function started(options: ConstructorParameters<typeof ReplicationBench>[0] = {}): Promise<ReplicationBench> {
  const bench = new ReplicationBench(options);
  await bench.fillDisk();
  await bench.start();
  await bench.drain();
  await bench.quiet();
  return bench;
}

/** Ticks with a target that answers, until it holds what it asked for; returns what was read for that. */
async function repair(bench: ReplicationBench, meanwhile: () => void = () => undefined): Promise<number> {
  const before = bench.target.resyncBytes;
  bench.target.immediate = true;
  for (let tick = 0; bench.target.damaged.length > 0; tick++) {
    if (tick > 200) throw new Error('it is not repaired');
    meanwhile();
    await bench.tick(60);
  }
  bench.target.immediate = false;
  await bench.drain();
  return bench.target.resyncBytes - before;
}

describe('damage of the replica', () => {
  it.each([false, true])('is sent again from the source, once, inside the stream (source in another process: %s)', async (slowSource) => {
    const bench = await started({ slowSource });
    const { epoch } = bench.replication.status;
    const markers = bench.target.markers.filter(({ kind }) => kind !== 'heartbeat').length;
    bench.target.damaged = damaged;
    expect(await repair(bench)).toBe(damagedBytes);
    expect({ epoch: bench.replication.status.epoch, markers: bench.target.markers.filter(({ kind }) => kind !== 'heartbeat').length }).toEqual({ epoch, markers });
  });

  it('is not sent a second time while the target cannot have applied the first', async () => {
    const bench = await started();
    const before = bench.target.resyncBytes;
    bench.target.damaged = damaged;
    bench.target.immediate = true;
    await bench.tick(1100);
    bench.target.immediate = false;
    for (let tick = 0; tick < 50; tick++) await bench.tick(100);
    await bench.drain();
    expect({ sent: bench.target.resyncBytes - before, left: bench.target.damaged }).toEqual({ sent: damagedBytes, left: [] });
  });

  it('is sent again also while the disk of the bitmap takes no marks', async () => {
    const bench = await started();
    bench.storage.fault = ({ kind, name }) => (kind === 'sync' && name === 'bitmap' ? 'io-error' : undefined);
    bench.target.immediate = true;
    const write = bench.device.write(80 * BLOCK_BYTES, [Buffer.alloc(10, 1)], plain);
    for (let tick = 0; tick < 20; tick++) await bench.tick(60);
    await write;
    await bench.drain();
    expect(bench.replication.status.fault).toMatchObject({ code: 'bitmap/not-durable' });
    bench.target.damaged = damaged;
    expect(await repair(bench)).toBe(damagedBytes);
  });

  it('leaves out what the application wrote while the source was read', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const bench = await started({ slowSource: true });
      const random = seededRandom(seed);
      bench.target.damaged = damaged;
      let writes = 0;
      bench.target.immediate = true;
      for (let tick = 0; tick < 60; tick++) {
        const offset = Math.floor((random() < 0.5 ? 3 : 40) * BLOCK_BYTES + random() * BLOCK_BYTES);
        await bench.device.write(offset, [Buffer.alloc(700, ++writes)], plain);
        await bench.tick(random() < 0.5 ? 1 : 70);
      }
      bench.target.damaged = [];
      await bench.drain();
    }
  });

  it('is sent by an agent that was started anew, as the target goes on saying so', async () => {
    const bench = await started();
    bench.target.damaged = damaged;
    bench.crash(seededRandom(7), { powerLost: true });
    await bench.start();
    expect(await repair(bench)).toBeGreaterThanOrEqual(damagedBytes);
  });

  it('keeps the regions marked until the target holds them', async () => {
    const bench = await started();
    bench.target.damaged = damaged;
    bench.target.immediate = true;
    await bench.tick(1100);
    bench.target.behaviour = 'unreachable';
    for (let tick = 0; tick < 20; tick++) await bench.tick(500);
    bench.crash(seededRandom(8), { powerLost: false });
    bench.target.damaged = [];
    await bench.start();
    bench.target.behaviour = 'normal';
    await bench.drain();
    expect(bench.chosen().at(-1)).toMatchObject({ work: 'regions', cause: 'agent-crash' });
  });
});
