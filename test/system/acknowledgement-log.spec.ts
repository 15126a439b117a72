// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { AcknowledgementLog, blockBytes, readStamp, stampedBlocks } from './acknowledgement-log';

function diskOf(stamps: number[]): (first: number, count: number) => Promise<Buffer> {
  const disk = Buffer.concat(stamps.map((stamp, block) => (stamp === 0 ? Buffer.alloc(blockBytes) : stampedBlocks({ stamp, firstBlock: block, blockCount: 1 }))));
  return async (first, count) => disk.subarray(first * blockBytes, (first + count) * blockBytes);
}

function twoWritesToBlockZero(): AcknowledgementLog {
  const log = new AcknowledgementLog();
  log.acknowledge(log.issue({ firstBlock: 0, blockCount: 1, at: 10 }), 20);
  log.acknowledge(log.issue({ firstBlock: 0, blockCount: 2, at: 30 }), 40);
  return log;
}

describe('the acknowledgement log as an oracle', () => {
  it('accepts what was acknowledged by then', async () => {
    expect(await twoWritesToBlockZero().violations({ at: 25, blocks: 2, read: diskOf([1, 0]) })).toEqual([]);
    expect(await twoWritesToBlockZero().violations({ at: 40, blocks: 2, read: diskOf([2, 2]) })).toEqual([]);
  });

  it('notices a lost write, a late write and an old block', async () => {
    const log = twoWritesToBlockZero();
    expect(await log.violations({ at: 25, blocks: 1, read: diskOf([0]) })).toHaveLength(1);
    expect(await log.violations({ at: 25, blocks: 1, read: diskOf([2]) })).toHaveLength(1);
    expect(await log.violations({ at: 40, blocks: 1, read: diskOf([1]) })).toHaveLength(1);
  });

  it('allows a request in flight to be there or not', () => {
    expect(twoWritesToBlockZero().allowedStamps(0, 35)).toEqual(new Set([1, 2]));
  });

  it('notices torn and misplaced blocks', () => {
    const torn = stampedBlocks({ stamp: 7, firstBlock: 3, blockCount: 1 });
    stampedBlocks({ stamp: 8, firstBlock: 3, blockCount: 1 }).copy(torn, 512, 512, 1024);
    expect(readStamp(torn, 3)).toBeUndefined();
    expect(readStamp(stampedBlocks({ stamp: 7, firstBlock: 3, blockCount: 1 }), 4)).toBeUndefined();
  });
});
