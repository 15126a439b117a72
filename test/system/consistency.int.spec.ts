// SPDX-License-Identifier: Apache-2.0
// One cut over all volumes of a host (crash consistency): causally linked writes to two volumes, bookmarks on demand meanwhile, and the
// views of both volumes at each bookmark: no effect without its cause. (Two cuts milliseconds apart would show one sooner or later.)
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestCluster } from '@secondsite/cli/testing';
import type { RecoveryPoints, View } from '@secondsite/contracts';
import { MIB, microsFromIso } from '@secondsite/units';
import { CausalChain, newestLinkIn } from './causal-chain';

interface Bookmark {
  readonly name: string;
  readonly time: string;
  readonly heldMillis: number;
}

const bookmarkCount = 10;

describe('two volumes of one host in one plan', () => {
  let cluster: TestCluster;
  let chain: CausalChain;
  const bookmarks: Bookmark[] = [];

  beforeAll(async () => {
    cluster = await TestCluster.start();
    const a = await cluster.addDisk('a', 16 * MIB);
    const b = await cluster.addDisk('b', 16 * MIB);
    await cluster.cli('plan', 'create', 'plan', '--volume', 'a', 'b');
    await cluster.whenInSync('plan');
    chain = await CausalChain.start([a.uri, b.uri]);
  }, 180_000);

  afterAll(async () => {
    await chain?.stop();
    await cluster?.stop();
  }, 60_000);

  it('is cut while it is being written, holding the writes for less than 10 ms', async () => {
    for (let number = 1; number <= bookmarkCount; number++) {
      const before = chain.acknowledged;
      bookmarks.push(await cluster.cli<Bookmark>('bookmark', 'create', 'plan', `cut-${number}`));
      expect(chain.acknowledged).toBeGreaterThan(before);
    }
    await chain.stop();
    process.stdout.write(`writes held at ${bookmarkCount} bookmarks: ${bookmarks.map(({ heldMillis }) => `${heldMillis.toFixed(1)} ms`).join(', ')}\n`);
    expect(Math.min(...bookmarks.map(({ heldMillis }) => heldMillis))).toBeLessThan(10);
  }, 90_000);

  it('shows at each bookmark no write without the one that it was made after', async () => {
    const last = microsFromIso(bookmarks.at(-1)?.time ?? '') ?? 0;
    await cluster.whenInSync('plan', { pointAfter: last });
    const points = await cluster.cli<RecoveryPoints>('points', 'plan');
    expect(points.common.bookmarks.map(({ name, time }) => ({ name, time }))).toEqual(bookmarks.map(({ name, time }) => ({ name, time })));
    const seen: number[] = [];
    for (const { name, time } of bookmarks) {
      const { views } = await cluster.cli<{ views: View[] }>('view', 'open', 'plan', '--bookmark', name);
      expect(views.map(({ pointTime }) => pointTime)).toEqual([time, time]);
      const [a, b] = [await newestLinkIn(views, 'a'), await newestLinkIn(views, 'b')];
      expect({ name, a, b, isCut: b === a || b === a - 1 }).toEqual({ name, a, b, isCut: true });
      seen.push(a);
      for (const { viewId } of views) await cluster.cli('view', 'close', viewId);
    }
    process.stdout.write(`newest link at each bookmark: ${seen.join(', ')} of ${chain.acknowledged}\n`);
    expect([...seen].sort((left, right) => left - right)).toEqual(seen);
    expect(seen[0]).toBeGreaterThan(0);
    expect(new Set(seen).size).toBe(bookmarkCount);
  }, 120_000);
});
