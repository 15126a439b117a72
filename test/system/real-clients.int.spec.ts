// SPDX-License-Identifier: Apache-2.0
// Programs that know nothing of Secondsite use a protected disk and its views: fio, nbdcopy, qemu-img, and the kernel's ext4.
import { createHash, randomBytes } from 'node:crypto';
import { open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { TestCluster, type TestDisk, waitFor } from '@secondsite/cli/testing';
import type { HookResult, RecoveryPoints, View } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import { isoFromMicros, MIB, type TimeMicros } from '@secondsite/units';
import { itWithTools, runTool, withBlockDevice, withMounted } from './host-tools';

const diskBytes = 96 * MIB;

describe('real clients of a protected disk', () => {
  let cluster: TestCluster;
  let disk: TestDisk;

  beforeAll(async () => {
    cluster = await TestCluster.start();
    disk = await cluster.addDisk('disk', diskBytes);
    await cluster.cli('plan', 'create', 'plan', '--volume', 'disk');
    await cluster.whenInSync('plan');
  }, 180_000);

  afterAll(async () => cluster?.stop(), 60_000);

  itWithTools('fio reads back what it wrote, on several connections at depth', { tools: ['fio', 'qemu-img'] }, async () => {
    const job = ['--name=verify', '--ioengine=nbd', `--uri=${disk.uri}`, '--rw=randwrite', '--bsrange=512-128k', '--size=16m', '--iodepth=16', '--numjobs=2', '--offset_increment=32m', '--fsync=50'];
    expect(await runTool('fio', ...job, '--verify=crc32c', '--verify_fatal=1', '--verify_state_save=0')).not.toMatch(/err= *[^ 0]/);
    expect(await compareLatestWithSource()).toContain('identical');
  }, 120_000);

  itWithTools('nbdcopy copies in, and the newest view is the source', { tools: ['nbdcopy', 'qemu-img'] }, async () => {
    const image = join(cluster.folder, 'in.img');
    await writeImage(image);
    await runTool('nbdcopy', '--flush', image, disk.uri);
    expect(await runTool('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', image, disk.image)).toContain('identical');
    expect(await compareLatestWithSource()).toContain('identical');
    const out = join(cluster.folder, 'out.img');
    await withLatest((uri) => runTool('nbdcopy', uri, out));
    expect(await runTool('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', image, out)).toContain('identical');
  }, 120_000);

  const fileSystemTools = ['nbdfuse', 'losetup', 'mkfs.ext4', 'mount', 'e2fsck'];
  itWithTools('an ext4 file system mounts as it was while it was in use, with every synced file', { tools: fileSystemTools, asRoot: true }, async () => {
    const mounted = join(cluster.folder, 'mounted');
    const files = Object.fromEntries(Array.from({ length: 20 }, (_, number) => [`file-${number}`, randomBytes(1 + number * 7919)]));
    const beforeDamage = await withBlockDevice({ uri: disk.uri, folder: cluster.folder, name: 'disk.fuse' }, async (device) => {
      await runTool('mkfs.ext4', '-q', device);
      return withMounted({ device, at: mounted }, async () => {
        for (const [name, content] of Object.entries(files)) await writeFile(join(mounted, name), content);
        await runTool('sync', '-f', mounted);
        const synced = clockMicros();
        for (const name of Object.keys(files)) await rm(join(mounted, name));
        await runTool('sync', '-f', mounted);
        return synced;
      });
    });
    expect(await filesInViewAt(beforeDamage)).toEqual(Object.fromEntries(Object.entries(files).map(([name, content]) => [name, digest(content)])));
    expect(await filesInViewAt(await coveredAfter(clockMicros()))).toEqual({});
  }, 120_000);

  itWithTools('a bookmark of level file-system finds the file system clean while it is in use, and it goes on', { tools: [...fileSystemTools, 'fsfreeze', 'dumpe2fs', 'nbdcopy'], asRoot: true }, async () => {
    const mounted = join(cluster.folder, 'mounted');
    await cluster.cli('volume', 'hooks', 'set', 'disk', '--fsfreeze', mounted);
    await withBlockDevice({ uri: disk.uri, folder: cluster.folder, name: 'disk.fuse' }, async (device) => {
      await runTool('mkfs.ext4', '-qF', device);
      await withMounted({ device, at: mounted }, async () => {
        const writing = new AbortController();
        let written = 0;
        const writer = (async () => {
          for (; !writing.signal.aborted; written++) await writeFile(join(mounted, `file-${written % 50}`), randomBytes(9000), { flush: true });
        })();
        await cluster.cli('bookmark', 'create', 'plan', 'crash', '--level', 'crash');
        const frozen = await cluster.cli<{ level: string; hooks: HookResult[] }>('bookmark', 'create', 'plan', 'frozen', '--level', 'file-system');
        expect(frozen).toMatchObject({ level: 'file-system', hooks: [{ hook: 'fsfreeze', step: 'freeze', outcome: 'done' }, { hook: 'fsfreeze', step: 'thaw', outcome: 'done' }] });
        const before = written;
        await waitFor('writes after the thaw', 20, async () => written > before);
        writing.abort();
        await writer;
      });
    });
    expect(await cluster.cliFailure('bookmark', 'create', 'plan', 'no', '--level', 'application')).toMatchObject({ problem: { code: 'bookmark/no-hooks' } });
    expect(await cluster.cliFailure('bookmark', 'create', 'plan', 'no', '--level', 'file-system')).toMatchObject({ problem: { code: 'bookmark/level-not-reached' } });
    await coveredAfter(clockMicros());
    const points = await cluster.cli<RecoveryPoints>('points', 'plan');
    expect(points.common.bookmarks.map(({ name, level }) => `${name} ${level}`)).toEqual(['crash crash', 'frozen file-system']);
    expect([await featuresAt('crash'), await featuresAt('frozen')]).toEqual([expect.stringContaining('needs_recovery'), expect.not.stringContaining('needs_recovery')]);
  }, 120_000);

  /** What the ext4 file system says of itself at a bookmark. */
  async function featuresAt(bookmark: string): Promise<string> {
    return cluster.withView({ of: 'disk', point: ['--bookmark', bookmark] }, async (_client, { nbdUris }) => {
      const image = join(cluster.folder, 'at-bookmark.img');
      await runTool('nbdcopy', nbdUris[0] as string, image);
      const [, features = ''] = /features: +(.*)/.exec(await runTool('dumpe2fs', '-h', image)) ?? [];
      await rm(image);
      return features;
    });
  }

  /** Opens a writable view (the mount replays the file system's journal into it), mounts it, and reads the files; then checks the file system. */
  async function filesInViewAt(at: TimeMicros): Promise<Record<string, string>> {
    await coveredAfter(at);
    const { views } = await cluster.cli<{ views: View[] }>('view', 'open', 'disk', '--rw', '--at', isoFromMicros(at));
    const { viewId, nbdUris } = views[0] as View;
    const uri = nbdUris[0] as string;
    const mounted = join(cluster.folder, 'view');
    const found = await withBlockDevice({ uri, folder: cluster.folder, name: 'view.fuse' }, async (device) => {
      const contents = await withMounted({ device, at: mounted }, async () => {
        const names = (await readdir(mounted)).filter((name) => name.startsWith('file-'));
        return Object.fromEntries(await Promise.all(names.map(async (name) => [name, digest(await readFile(join(mounted, name)))] as const)));
      });
      await runTool('e2fsck', '-f', '-n', device);
      return contents;
    });
    await cluster.cli('view', 'close', viewId);
    return found;
  }

  async function coveredAfter(time: TimeMicros): Promise<TimeMicros> {
    await cluster.whenInSync('plan', { pointAfter: time });
    return time;
  }

  async function withLatest<Result>(act: (uri: string) => Promise<Result>): Promise<Result> {
    await coveredAfter(clockMicros());
    return cluster.withView({ of: 'disk', point: ['--latest'] }, (_client, view) => act(view.nbdUris[0] as string));
  }

  function compareLatestWithSource(): Promise<string> {
    return withLatest((uri) => runTool('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', disk.image, uri));
  }
});

/** Random data in half of the disk, in pieces of odd sizes; the rest holes. */
async function writeImage(path: string): Promise<void> {
  const file = await open(path, 'wx');
  await file.truncate(diskBytes);
  for (let offset = 0; offset + 4 * MIB < diskBytes; offset += 8 * MIB) await file.write(randomBytes(4 * MIB - 4096), 0, 4 * MIB - 4096, offset + 1536);
  await file.close();
}

function digest(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
