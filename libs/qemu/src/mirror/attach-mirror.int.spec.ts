// SPDX-License-Identifier: Apache-2.0
// One guest under tcg lives through all that can happen to the agentless tap. After each step the target equals the guest's disk byte for byte.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB } from '@secondsite/units';
import { bootGuest, type RunningGuest } from '../boot/boot-guest';
import { buildGuest } from '../guest/build-guest';
import { createGuestDisk } from '../guest/create-guest-disk';
import { hostTimeMicros } from '../host-tools/host-time';
import { runTool } from '../host-tools/run-tool';
import { waitUntil } from '../host-tools/wait-until';
import { QmpClient } from '../qmp/qmp-client';
import { NbdTarget } from '../testing/nbd-target';
import { sharedGuestFolder } from '../testing/shared-guest';
import { attachMirror, type Attachment, type AttachOptions } from './attach-mirror';

const sizeBytes = 64 * MIB;
/** Longer than the guest needs for its write when nobody holds it. */
const heldMillis = 3000;

describe('the agentless tap', () => {
  let folder: string;
  let disk: string;
  let targetFile: string;
  let guest: RunningGuest;
  let qmp: QmpClient;
  let target: NbdTarget;
  let attachment: Attachment;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secondsite-mirror-'));
    disk = join(folder, 'disk.img');
    targetFile = join(folder, 'target.img');
    const image = await buildGuest(sharedGuestFolder());
    await createGuestDisk({ path: disk, sizeBytes, guest: image });
    await writeFile(targetFile, '');
    await truncate(targetFile, sizeBytes);
    target = await startTarget();
    guest = await bootGuest({ guest: image, disk, mode: 'idle', rebootContinues: true, connectQmp: false });
    qmp = await QmpClient.connect({ socketPath: guest.qmpSocket });
    await guest.waitForLine(/^SECONDSITE-READY/, 60_000);
  }, 300_000);

  afterAll(async () => {
    await guest?.kill();
    await target?.kill();
    await rm(folder, { recursive: true, force: true });
  });

  it('asks for the whole disk at first, and again until the caller has noted it', async () => {
    attachment = await attach();
    expect(attachment).toMatchObject({ resync: { kind: 'full' }, sizeBytes });
    attachment = await attach();
    expect(attachment.resync).toEqual({ kind: 'full' });
  });

  it('gives the guest its acknowledgement only after the target has the write', async () => {
    await whileStopped(() => nbdCopy(attachment.sourceUri, targetFile));
    await attachment.mirror.confirmResync();
    target.hang();
    const startedMillis = performance.now();
    setTimeout(() => target.resume(), heldMillis);
    await guestWrites('first');
    expect(performance.now() - startedMillis).toBeGreaterThan(heldMillis - 1);
    expect((await readFile(targetFile)).includes(contentOf('first'))).toBe(true);
    await expectEqualDisks();
  });

  it('carries deleted files, zeroes and discards as well', async () => {
    await guestRuns('rm -rf /data/* && dd if=/dev/zero of=/data/zero bs=64k count=40 conv=fsync && fstrim / ; sync');
    await expectEqualDisks();
  });

  it('goes on through a lost QMP connection without any resync', async () => {
    const lost = attachment.mirror.lost;
    qmp.close();
    await expect(lost).resolves.toMatchObject({ reason: 'qmp-closed' });
    await guestWrites('unwatched');
    qmp = await QmpClient.connect({ socketPath: guest.qmpSocket });
    attachment = await attach({ continueRunning: true });
    expect(attachment.resync).toEqual({ kind: 'none' });
    await guestWrites('watched');
    await expectEqualDisks();
  });

  it('survives a reset of the machine', async () => {
    const sinceMicros = hostTimeMicros();
    await qmp.execute('system_reset');
    await guest.waitForLine(/^SECONDSITE-READY/, 60_000, { sinceMicros });
    await guestWrites('after-reset');
    await expect(attachment.mirror.isRunning()).resolves.toBe(true);
    await expectEqualDisks();
  }, 60_000);

  it('never stops the guest when the target dies; a re-attach then asks only for the regions written meanwhile', async () => {
    const retired = await attachment.mirror.rotateBitmap();
    await expect(attachment.mirror.isRunning()).resolves.toBe(true);
    await attachment.mirror.removeBitmap(retired);
    await target.kill();
    await guestWrites('while-away');
    await expect(attachment.mirror.lost).resolves.toMatchObject({ reason: 'target-failed' });
    await guestWrites('still-away');
    target = await startTarget();
    attachment = await attach();
    await guestWrites('already-back');
    const copiedBytes = await resyncRegions();
    expect(copiedBytes).toBeGreaterThan(0);
    expect(copiedBytes).toBeLessThan(sizeBytes / 4);
    await attachment.mirror.confirmResync();
    await expectEqualDisks();
  });

  it('releases a guest that waits for a hung target when it is detached with force', async () => {
    target.hang();
    const waiting = guestWrites('held');
    await guestWaits();
    // A transaction makes QEMU's main loop wait for the write: only an out-of-band command helps now.
    const blocking = qmp.execute('transaction', { actions: [{ type: 'block-dirty-bitmap-add', data: { node: 'disk0', name: 'another' } }] });
    await attachment.mirror.detach({ force: true });
    await Promise.all([waiting, blocking]);
    await target.kill();
    target = await startTarget();
    attachment = await attach();
    expect(await resyncRegions()).toBeLessThan(sizeBytes / 4);
    await attachment.mirror.confirmResync();
    await expectEqualDisks();
  });

  it('refuses a target of another size and a disk that is not there, and leaves the guest as it was', async () => {
    const small = join(folder, 'small.img');
    await writeFile(small, Buffer.alloc(4096));
    const wrong = await NbdTarget.start({ file: small, socketPath: join(folder, 'small.sock') });
    await expect(attach({ id: 'other', targetUri: wrong.uri })).rejects.toMatchObject({ code: 'mirror/size-differs' });
    await expect(attach({ id: 'third', device: 'nothing' })).rejects.toMatchObject({ code: 'mirror/no-such-disk', hint: expect.stringContaining('vd0') });
    await wrong.kill();
    await guestWrites('unharmed');
    await expectEqualDisks();
  });

  it('tells when QEMU ends', async () => {
    await guest.kill();
    await expect(attachment.mirror.lost).resolves.toMatchObject({ reason: 'qmp-closed' });
    await expect(QmpClient.connect({ socketPath: guest.qmpSocket, timeLimitMillis: 50 })).rejects.toMatchObject({ code: 'qmp/unreachable' });
  });

  function startTarget(): Promise<NbdTarget> {
    return NbdTarget.start({ file: targetFile, socketPath: join(folder, 'target.sock') });
  }

  function attach(changes: Partial<AttachOptions> = {}): Promise<Attachment> {
    return attachMirror({ qmp, device: 'vd0', id: 'volume-1', targetUri: target.uri, sourceSocketPath: join(folder, 'source.sock'), ...changes });
  }

  function contentOf(name: string): string {
    return `${name} `.repeat(500).trim();
  }

  async function guestRuns(script: string): Promise<void> {
    const result = await guest.run(script);
    if (result.exitCode !== 0) throw new Error(`the guest could not run ${script}: ${result.output}`);
  }

  function guestWrites(name: string): Promise<void> {
    return guestRuns(`echo '${contentOf(name)}' > /data/${name} && dd if=/dev/urandom of=/data/${name}.random bs=8k count=20 conv=fsync && sync`);
  }

  /** A write of the guest has reached the mirror and not the target: the job has more to do than it has done. */
  function guestWaits(): Promise<true> {
    const probe = async (): Promise<true | undefined> => {
      const jobs = (await qmp.execute('query-block-jobs')) as { len: number; offset: number }[];
      return jobs.some((job) => job.offset < job.len) ? true : undefined;
    };
    return waitUntil({ probe, timeLimitMillis: 20_000, operation: 'see the guest wait', hint: '' });
  }

  async function whileStopped<T>(action: () => Promise<T>): Promise<T> {
    await qmp.execute('stop');
    const result = await action();
    await qmp.execute('cont');
    return result;
  }

  async function expectEqualDisks(): Promise<void> {
    const [left, right] = await whileStopped(() => Promise.all([readFile(disk), readFile(targetFile)]));
    expect(Buffer.compare(left, right)).toBe(0);
  }

  /** What the agent does after a re-attach: reads the dirty regions. The guest stands still, as ordering is not this library's part. */
  async function resyncRegions(): Promise<number> {
    if (attachment.resync.kind !== 'bitmap') throw new Error(`unexpected resync ${attachment.resync.kind}`);
    const map = ['--json', `--map=qemu:dirty-bitmap:${attachment.resync.bitmap}`, attachment.sourceUri];
    const text = await runTool({ command: 'nbdinfo', args: map, operation: 'read the bitmap', hint: 'apt-get install libnbd-bin' });
    const extents = JSON.parse(text) as { offset: number; length: number; type: number }[];
    const dirty = extents.filter((extent) => extent.type === 1);
    const copy = join(folder, 'copy.img');
    await whileStopped(async () => {
      await nbdCopy(attachment.sourceUri, copy);
      await copyExtents({ from: copy, to: targetFile, extents: dirty });
    });
    return dirty.reduce((sum, extent) => sum + extent.length, 0);
  }
});

async function nbdCopy(uri: string, file: string): Promise<void> {
  await runTool({ command: 'nbdcopy', args: [uri, file], operation: 'copy an export', hint: 'apt-get install libnbd-bin' });
}

async function copyExtents(copy: { from: string; to: string; extents: readonly { offset: number; length: number }[] }): Promise<void> {
  const content = await readFile(copy.from);
  const file = await open(copy.to, 'r+');
  for (const { offset, length } of copy.extents) await file.write(content, offset, length, offset);
  await file.close();
}
