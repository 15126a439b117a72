// SPDX-License-Identifier: Apache-2.0
import { CrashableStorage } from '@secondsite/durable-storage/testing';
import { BlockTable } from '@secondsite/wan-deduplication';
import { sha256Now } from '@secondsite/sha256';
import { describeReferringTarget } from '@secondsite/wan-deduplication/testing';
import { decompressZstd } from '@secondsite/zstd';
import { setImmediate } from 'node:timers/promises';
import { TargetPair } from '../pair/target-pair';

const pairId = '6f1c0a52-0000-4000-8000-000000000001';
const scope = { tenantId: 'acme', blockBytes: 512 };

describeReferringTarget('a pair of a master target', async () => {
  const { root } = new CrashableStorage();
  let clock = 1_900_000_000_000_000;
  const pair = await TargetPair.open({
    directory: root, pairId, sizeBytes: 64 * 512, retention: { windowMicros: 1e12 }, decompress: decompressZstd,
    clock: () => (clock += 1000),
    delay: async () => void (await setImmediate()),
    limits: { freeBytesMin: 0 },
    recycle: (memory) => void new Uint8Array(memory).fill(0xdd),
    sharedBlocks: { scope, table: BlockTable.ofBytes(64 * 1024), sha256: sha256Now, readOther: async () => false },
  });
  if (pair.rebuilder) pair.rebuilder.learns = true;
  pair.start();
  return {
    pairId, scope,
    store: async (bytes, place) => {
      const outcome = await pair.store(bytes, place);
      await pair.idle();
      return outcome;
    },
    content: async (bytes) => {
      const content = Buffer.alloc(bytes);
      (await root.open('replica.img')).readNow(content, 0);
      return content;
    },
    close: () => pair.close(),
  };
});
