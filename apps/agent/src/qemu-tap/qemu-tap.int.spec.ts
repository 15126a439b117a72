// SPDX-License-Identifier: Apache-2.0
// One guest under tcg, protected without an agent in it, lives through what can happen to the tap. Whenever it is quiet the applied stream is
// its disk, byte for byte.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AgentProcess } from '../testing/agent-process';
import { GuestBench } from '../testing/guest-bench';
import { VolumeInProcess } from '../testing/volume-in-process';
import { waitFor } from '../testing/wait-for';

let bench: GuestBench;
let agent: AgentProcess | undefined;

beforeAll(async () => {
  bench = await GuestBench.start();
}, 120_000);

afterAll(async () => {
  await agent?.end('SIGKILL');
  await bench.close();
});

describe('the agentless tap of a running guest', () => {
  it('brings the baseline and every write, while the guest writes all the time', async () => {
    await bench.startWriting();
    const host = await bench.openHost();
    await host.reconcile(bench.desired);
    await waitFor('the replica is consistent', () => bench.server.target.green);
    await bench.goesOn();
    const { heldMillis } = await host.createBookmark({ bookmarkId: 'b', name: 'b', level: 'crash', volumeIds: [bench.volumeId] });
    expect(heldMillis).toBeLessThan(500);
    await bench.stopWriting();
    await bench.run('rm -rf /data/busy.1 && dd if=/dev/zero of=/data/zero bs=64k count=20 conv=fsync && sync');
    await bench.expectEqual();
    expect(await bench.telemetry()).toMatchObject({ mode: 'data', sizeBytes: bench.sizeBytes, nbdUris: [] });
    expect(bench.failures).toEqual([]);
  });

  it('goes on through a lost QMP connection without any resync', async () => {
    const { resyncs } = bench;
    await bench.startWriting();
    bench.qmp.cut();
    await waitFor('the loss is told', async () => (await bench.telemetry())?.fault?.code.includes('qmp') === true);
    await bench.goesOn();
    bench.qmp.mend();
    await waitFor('it is attached again', async () => (await bench.telemetry())?.fault === undefined);
    await bench.stopWriting();
    await bench.expectEqual();
    expect(bench.resyncs).toBe(resyncs);
  });

  it('goes on through a reset of the machine', async () => {
    const { resyncs } = bench;
    const sinceMicros = Date.now() * 1000;
    await bench.guest.run('sync; (sleep 0.2; reboot -f) &');
    await bench.guest.waitForLine(/^SECONDSITE-READY/, 60_000, { sinceMicros });
    await bench.startWriting();
    await bench.goesOn();
    await bench.stopWriting();
    await bench.expectEqual();
    expect(bench.resyncs).toBe(resyncs);
  }, 90_000);

  it('reads only what was written while the agent was away: stopped cleanly, and killed', async () => {
    await bench.host?.close();
    bench.host = undefined;
    await bench.run('dd if=/dev/urandom of=/data/away bs=8k count=20 conv=fsync && sync');
    agent = new AgentProcess({ dataDir: bench.dataDir, desired: bench.desired });
    const { resyncs, resyncBytes } = bench;
    await agent.start();
    await waitFor('it is attached again', () => bench.resyncs > resyncs);
    await bench.expectEqual();
    expect(bench.resyncBytes - resyncBytes).toBeLessThan(bench.sizeBytes / 4);
    await bench.startWriting();
    await bench.goesOn();
    const before = { resyncs: bench.resyncs, resyncBytes: bench.resyncBytes };
    await agent.end('SIGKILL');
    await bench.goesOn();
    await agent.start();
    await waitFor('it is attached again', () => bench.resyncs > before.resyncs && bench.server.target.green);
    await bench.stopWriting();
    await bench.expectEqual();
    expect(bench.resyncBytes - before.resyncBytes).toBeLessThan(bench.sizeBytes / 2);
    expect(await agent.end('SIGTERM')).toBe(0);
  }, 90_000);

  it('lets the guest go on when the volume hangs, and reads afterwards what was written meanwhile', async () => {
    const volume = await VolumeInProcess.open(bench);
    await waitFor('it is in sync', () => volume.status.mode === 'data' && volume.status.resync === undefined);
    await bench.startWriting();
    await bench.goesOn();
    const { resyncs } = bench;
    volume.hang();
    await bench.goesOn();
    expect(volume.fault).toMatchObject({ code: expect.stringMatching(/^tap/) });
    volume.recover();
    await waitFor('it is attached again', () => bench.resyncs > resyncs && volume.fault === undefined);
    await bench.stopWriting();
    await bench.expectEqual();
    await volume.close();
  });

  it('tells that QEMU ended, keeps what was captured, and goes on trying', async () => {
    await bench.openHost();
    await waitFor('it is in sync', async () => (await bench.telemetry())?.mode === 'data' && bench.server.target.green);
    await bench.run('dd if=/dev/urandom of=/data/last bs=8k count=20 conv=fsync && sync');
    await bench.guest.kill();
    bench.qmp.close();
    await waitFor('the end is told', async () => {
      const telemetry = await bench.telemetry();
      return telemetry?.mode === 'resync-required' && telemetry.fault?.code === 'qmp/unreachable';
    });
    await bench.expectEqual();
    const { lastTime } = bench.server.target;
    await waitFor('nothing is claimed any more', async () => (await bench.telemetry())?.heldBytes === 0);
    expect(bench.server.target.lastTime).toBe(lastTime);
  });
});
