// SPDX-License-Identifier: Apache-2.0
// One cut over two hosts (multi-host consistency): two real agents, the clock of one far ahead, and causally linked writes that alternate between
// their disks. At each bookmark no effect is without its cause. A host that is silent fails the bookmark, holds nobody up for long, and no volume
// offers half of it.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestCluster } from '@secondsite/cli/testing';
import type { HistoryEntry, RecoveryPoints, View } from '@secondsite/contracts';
import { MIB, microsFromIso } from '@secondsite/units';
import { CausalChain, newestLinkIn } from './causal-chain';
import { FurtherHost } from './further-host';

interface Bookmark {
  readonly name: string;
  readonly time: string;
  readonly holds: readonly { readonly hostId: string; readonly heldMillis: number }[];
  readonly volumes: readonly { readonly volumeName: string; readonly time: string }[];
}

const bookmarkCount = 5;
const clockAheadSeconds = 20;
const micros = (time: string | undefined): number => microsFromIso(time ?? '') ?? 0;

describe('two hosts in one plan', () => {
  let cluster: TestCluster;
  let other: FurtherHost;
  let chain: CausalChain;
  const bookmarks: Bookmark[] = [];

  beforeAll(async () => {
    cluster = await TestCluster.start();
    other = await FurtherHost.add(cluster, 'other', { clockAheadSeconds });
    const a = await cluster.addDisk('a', 16 * MIB);
    const b = await cluster.addDisk('b', 16 * MIB, 'other');
    await cluster.cli('plan', 'create', 'plan', '--volume', 'a', 'b');
    await cluster.whenInSync('plan');
    chain = await CausalChain.start([a.uri, b.uri]);
  }, 180_000);

  afterAll(async () => {
    await chain?.stop().catch(() => undefined); // Told by the test that it ended in.
    await other?.end();
    await cluster?.stop();
  }, 60_000);

  it('are cut together while they are written, and each tells how long it held its writes', async () => {
    for (let number = 1; number <= bookmarkCount; number++) {
      const before = chain.acknowledged;
      bookmarks.push(await cluster.cli<Bookmark>('bookmark', 'create', 'plan', `cut-${number}`));
      expect(chain.acknowledged).toBeGreaterThan(before);
    }
    const held = bookmarks.map(({ holds }) => holds.map(({ heldMillis }) => heldMillis));
    process.stdout.write(`writes held at ${bookmarkCount} bookmarks: ${held.map((hosts) => hosts.map((millis) => millis.toFixed(1)).join(' and ')).join(', ')} ms\n`);
    expect(held.every((hosts) => hosts.length === 2)).toBe(true);
    expect(Math.min(...held.map((hosts) => Math.max(...hosts)))).toBeLessThan(10);
    for (const { volumes } of bookmarks) {
      const [a, b] = ['a', 'b'].map((name) => micros(volumes.find(({ volumeName }) => volumeName === name)?.time));
      expect(((b ?? 0) - (a ?? 0)) / 1e6).toBeCloseTo(clockAheadSeconds, 0);
    }
  }, 90_000);

  it('fail together when one is silent: the other goes on, and no volume has half of the bookmark', async () => {
    other.suspend();
    const { problem } = await cluster.cliFailure('bookmark', 'create', 'plan', 'half').finally(() => other.resume());
    expect(problem).toMatchObject({ code: 'bookmark/host-silent', hint: expect.stringContaining('did not hold its writes in time') });
    const before = chain.acknowledged;
    bookmarks.push(await cluster.cli<Bookmark>('bookmark', 'create', 'plan', 'after'));
    expect(chain.acknowledged).toBeGreaterThan(before);
    await chain.stop();
    const { entries } = await cluster.cli<{ entries: HistoryEntry[] }>('plan', 'history', 'plan');
    const told = entries.filter(({ type }) => type.includes('bookmark')).map(({ type, data }) => `${type.split('.')[2]} ${(data as { name: string }).name}`);
    expect(told).toEqual([...bookmarks.slice(0, -1).map(({ name }) => `bookmark-created ${name}`), 'bookmark-failed half', 'bookmark-created after']);
  }, 60_000);

  it('show at each bookmark no write without the one that it was made after', async () => {
    const cutOf = (volume: string, { volumes }: Bookmark) => volumes.find(({ volumeName }) => volumeName === volume)?.time;
    await cluster.whenInSync('plan', { until: ({ latestPoint, volumeName }) => micros(latestPoint) >= micros(cutOf(volumeName, bookmarks.at(-1) as Bookmark)) });
    const points = await cluster.cli<RecoveryPoints>('points', 'plan');
    expect(points.common.bookmarks.map(({ name, time }) => ({ name, time }))).toEqual(bookmarks.map(({ name, time }) => ({ name, time })));
    for (const volume of points.volumes) expect(volume.bookmarks.map(({ name }) => name)).not.toContain('half');
    const seen: number[] = [];
    for (const bookmark of bookmarks) {
      const { name } = bookmark;
      const { views } = await cluster.cli<{ views: View[] }>('view', 'open', 'plan', '--bookmark', name);
      for (const { volumeName, pointTime } of views) expect(pointTime).toBe(cutOf(volumeName, bookmark));
      const [a, b] = [await newestLinkIn(views, 'a'), await newestLinkIn(views, 'b')];
      expect({ name, a, b, isCut: b === a || b === a - 1 }).toEqual({ name, a, b, isCut: true });
      seen.push(a);
      for (const { viewId } of views) await cluster.cli('view', 'close', viewId);
    }
    process.stdout.write(`newest link at each bookmark: ${seen.join(', ')} of ${chain.acknowledged}\n`);
    expect([...seen].sort((left, right) => left - right)).toEqual(seen);
    expect(new Set(seen).size).toBe(bookmarks.length);
  }, 120_000);
});
