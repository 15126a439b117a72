// SPDX-License-Identifier: Apache-2.0
// Fast resync over the whole way: the agent's volume and the target's pair in threads of their own, a process server between them.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { KIB, MIB } from '@secondsite/units';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { ResyncSite } from './resync-site';

const sizeBytes = 12 * MIB + 4 * KIB;
const blocks = 12 * 16 + 1;

describe('fast resync from agent to target', () => {
  let folder: string;
  let image: string;
  let site: ResyncSite;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'resync-'));
    image = join(folder, 'source.img');
    await writeFile(image, randomBytes(sizeBytes));
    site = await ResyncSite.start({ folder, image, sizeBytes });
  });

  afterEach(async () => {
    await site.stop();
    await rm(folder, { recursive: true });
  });

  const expectSame = async (): Promise<void> => expect((await readFile(image)).equals(await readFile(site.replicaImage))).toBe(true);

  it('sends what differs and nothing else, whoever knew what before', async () => {
    expect(site.counts).toBeUndefined();
    await expectSame();
    const file = await open(image, 'r+');
    for (const offset of [0, 5 * MIB + 70_000, sizeBytes - 1]) await file.write(Buffer.from([1, 2, 3]), 0, 1, offset);
    await file.close();
    await site.secondsToResync();
    expect(site.counts).toEqual({ compared: blocks, sent: 3, skipped: blocks - 3 });
    await expectSame();
    await site.writeUnshipped([{ offset: 3 * MIB - 5, bytes: randomBytes(10) }, { offset: 9 * MIB, bytes: randomBytes(64 * KIB) }]);
    await site.secondsToResync();
    expect(site.counts).toEqual({ compared: blocks, sent: 3, skipped: blocks - 3 });
    await expectSame();
    await site.forgetChecksums();
    await site.secondsToResync();
    expect(site.counts).toEqual({ compared: blocks, sent: 0, skipped: blocks });
    await expectSame();
  });
});
