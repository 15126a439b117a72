// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { LateTraceQueue, type PutOutcome } from '@secondsite/transport';
import { compressZstd } from '@secondsite/zstd';
import { ByteBudget } from '../byte-budget';
import type { PairSpool } from '../spool/pair-spool';
import { changeSetBytes } from '../testing/sample-change-sets';
import { type ForwardClient, sendContent, type SendSetOptions } from './send-set';

const pairId = '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e';
const content = changeSetBytes({ pairId, epoch: 1, sequence: 1, dataBytes: 1_000_000 });
const set = { epoch: 1, sequence: 1, content, traceparent: undefined };

/** Sends a set, compressed; `put` sees the memory of what is on its way. */
async function send(put: (memory: ArrayBufferLike | undefined) => Promise<PutOutcome>): Promise<void> {
  const client: Pick<ForwardClient, 'put'> = { put: (parts) => put(parts.at(-1)?.buffer) };
  const options: Omit<SendSetOptions, 'spool'> = {
    client: client as ForwardClient, pairId, budget: new ByteBudget(1e9), compression: 'process-server', compress: compressZstd, lateTraces: new LateTraceQueue(), signal: new AbortController().signal,
  };
  await sendContent(set, { ...options, spool: undefined as unknown as PairSpool });
}

describe('the memory of a compressed set', () => {
  it('is used again when the target has the set, not while it is on its way nor after a failure', async () => {
    const stored: PutOutcome = { kind: 'stored', stored: undefined } as unknown as PutOutcome;
    const seen: (ArrayBufferLike | undefined)[] = [];
    await send(async (first) => {
      seen.push(first, (await compressZstd([content]))?.buffer);
      return stored;
    });
    await send(async (again) => {
      seen.push(again);
      return { kind: 'unreachable', cause: new Error('reset') } as unknown as PutOutcome;
    });
    seen.push((await compressZstd([content]))?.buffer);
    const [first, meanwhile, again, afterFailure] = seen;
    expect([meanwhile === first, again === first, afterFailure === first]).toEqual([false, true, false]);
  });
});
