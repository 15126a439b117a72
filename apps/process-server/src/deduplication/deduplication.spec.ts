// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { compressStored, verifyStored } from '@secondsite/change-set';
import { CrashableStorage } from '@secondsite/durable-storage/testing';
import { BodyPool, LateTraceQueue, type PutOptions } from '@secondsite/transport';
import { putOutcomeOf } from '@secondsite/transport/testing';
import { BlockTable, KnownBlocks } from '@secondsite/wan-deduplication';
import { sha256Now } from '@secondsite/sha256';
import { setOfBlocks } from '@secondsite/wan-deduplication/testing';
import { zstdCompressSync } from 'node:zlib';
import { ByteBudget } from '../byte-budget';
import { sendContent, type SendSetOptions } from '../forward/send-set';
import { PairSpool } from '../spool/pair-spool';
import { FakeMasterTarget, FakeReplicas } from '../testing';
import { Deduplicator } from './deduplicator';
import { PairDeduplicator } from './pair-deduplicator';
import { referToKnownBlocks } from './refer-to-known-blocks';

const scope = { tenantId: 'acme', blockBytes: 512 };
const pairIds = ['6f1c0a52-0000-4000-8000-000000000001', '7f1c0a52-0000-4000-8000-000000000002'] as const;
const contents = (first: number, count = 64) => Array.from({ length: count }, (_, index) => first + index);

describe('deduplication of what a process server forwards', () => {
  let target: FakeMasterTarget;
  let deduplicator: Deduplicator;
  let options: (pairId: string) => SendSetOptions;
  let turns: { readonly begun: number };
  const ended = new Set<number>();

  beforeEach(async () => {
    target = new FakeMasterTarget();
    target.replicas = new FakeReplicas(scope);
    turns = { begun: 0 };
    ended.clear();
    const table = BlockTable.ofBytes(64 * 1024);
    deduplicator = new Deduplicator({ table, refer: referToKnownBlocks({ scope, table, sha256: sha256Now }) });
    const budget = new ByteBudget(1 << 20);
    const spool = await PairSpool.open({ directory: new CrashableStorage().root, memory: budget, pool: new BodyPool({ idleBytesMax: 0 }), now: () => 1 });
    const made = new Map<string, SendSetOptions>();
    options = (pairId) => {
      const applied = () => ({ epoch: 1, sequence: target.contiguous(pairId) });
      const known = made.get(pairId) ?? {
        spool, pairId, budget, client: clientOf(target), compression: 'none' as const, compress: async (parts: readonly Uint8Array[]) => zstdCompressSync(Buffer.concat(parts)),
        deduplicator: deduplicator.forPair({ target: 'https://target', applied }), lateTraces: new LateTraceQueue(), signal: new AbortController().signal,
        turn: async () => {
          turns = { begun: turns.begun + 1 };
          const turn = turns.begun;
          return { pace: () => undefined, end: () => void ended.add(turn) };
        },
      };
      made.set(pairId, known);
      return known;
    };
  });

  afterEach(() => expect(target.damaged).toEqual([]));

  function send(pairId: string, sequence: number, set: { readonly contents: readonly number[]; readonly firstBlock?: number }, change: Partial<SendSetOptions> = {}) {
    const content = setOfBlocks({ scope, pairId, sequence, ...set });
    return sendContent({ epoch: 1, sequence, traceparent: undefined, content }, { ...options(pairId), ...change });
  }

  it('sends what another pair brought to the target as references, from when it is applied there', async () => {
    const first = await send(pairIds[0], 1, { contents: contents(1) });
    expect(first).toMatchObject({ outcome: { kind: 'stored' }, referencedBytes: 0 });
    await send(pairIds[0], 2, { contents: contents(1000), firstBlock: 64 }); // By the way, it hears that the first is applied.
    const second = await send(pairIds[1], 1, { contents: contents(1) });
    expect(second).toMatchObject({ outcome: { kind: 'stored' }, referencedBytes: 64 * 512, contentBytes: first.contentBytes });
    expect(second.wireBytes).toBeLessThan(first.wireBytes / 20);
    expect(Buffer.from(target.replicas?.image(pairIds[1]) as Uint8Array).equals(Buffer.from(target.replicas?.image(pairIds[0]) as Uint8Array).fill(0, 64 * 512))).toBe(true);
  });

  it('compresses what is left, and sends small sets and sets of compressed content as they are', async () => {
    await send(pairIds[0], 1, { contents: contents(1) });
    await send(pairIds[0], 2, { contents: contents(500), firstBlock: 64 });
    const compressed = await send(pairIds[0], 3, { contents: [...contents(1), ...contents(7000, 40)] }, { compression: 'process-server' });
    expect(compressed).toMatchObject({ outcome: { kind: 'stored' }, referencedBytes: 64 * 512 });
    expect(await send(pairIds[0], 4, { contents: contents(1, 31) })).toMatchObject({ referencedBytes: 0 });
    const plain = verifyStored(setOfBlocks({ scope, pairId: pairIds[0], sequence: 5, contents: contents(1).fill(1) }));
    const atSource = plain.ok ? await compressStored(plain, async (parts) => zstdCompressSync(Buffer.concat(parts))) : undefined;
    expect(atSource).toBeDefined();
    const content = Uint8Array.from(Buffer.concat(atSource?.parts ?? []));
    expect(await sendContent({ epoch: 1, sequence: 5, traceparent: undefined, content }, options(pairIds[0]))).toMatchObject({ outcome: { kind: 'stored' }, referencedBytes: 0, wireBytes: content.length });
  });

  it('sends the set in full at once when the target has lost the blocks, in a turn of its own, and counts both', async () => {
    await send(pairIds[0], 1, { contents: contents(1) });
    await send(pairIds[0], 2, { contents: contents(500), firstBlock: 64 });
    target.replicas?.forgetPlaces();
    const before = { bytes: target.bodyBytes, requests: target.requests, ...turns };
    const again = await send(pairIds[1], 1, { contents: contents(1) });
    expect(again).toMatchObject({ outcome: { kind: 'stored' }, referencedBytes: 0 });
    expect(again.wireBytes).toBe(target.bodyBytes - before.bytes);
    expect(target.requests - before.requests).toBe(2);
    expect({ begun: turns.begun - before.begun, ended: ended.size }).toEqual({ begun: 2, ended: turns.begun });
    // It is not referred to again before it is known to be there again.
    const requests = target.requests;
    await send(pairIds[1], 2, { contents: contents(1) });
    await send(pairIds[1], 3, { contents: contents(1) });
    expect(target.requests - requests).toBe(2);
  });

  it('refers less and less while the target cannot resolve it', async () => {
    let failures = 0;
    for (let sequence = 1; sequence <= 60; sequence++) {
      const before = target.requests;
      await send(pairIds[0], sequence, { contents: contents(1) });
      failures += target.requests - before - 1;
      target.replicas?.forgetPlaces();
    }
    expect(failures).toBeGreaterThan(2);
    expect(failures).toBeLessThan(8);
  });

  it('sends in full to a target that does not know references', async () => {
    await send(pairIds[0], 1, { contents: contents(1) });
    await send(pairIds[0], 2, { contents: contents(500), firstBlock: 64 });
    const { replicas } = target;
    target.replicas = undefined;
    const before = target.requests;
    expect(await send(pairIds[1], 1, { contents: contents(1) })).toMatchObject({ outcome: { kind: 'stored' }, referencedBytes: 0 });
    expect(target.requests - before).toBe(2);
    expect(target.damaged.splice(0)).toEqual(['1/1']);
    target.replicas = replicas;
  });

  it('knows a block from when it is applied until the target says that it does not have it', async () => {
    const table = BlockTable.ofBytes(64 * 1024);
    const known = new KnownBlocks(table, { target: 'https://target' });
    let applied = { epoch: 1, sequence: 1 };
    const pair = new PairDeduplicator({ target: 'https://target', known, applied: () => applied, refer: referToKnownBlocks({ scope, table, sha256: sha256Now }) });
    const content = setOfBlocks({ scope, pairId: pairIds[0], sequence: 2, contents: contents(1) });
    const referred = await pair.refer({ content });
    if (!referred) throw new Error('the set is large enough');
    const knownNow = () => [...referred.fingerprints].filter((fingerprint) => known.has(fingerprint)).length;
    pair.stored({ epoch: 1, sequence: 2 }, { referred, byReference: false });
    expect([(await pair.refer({ content }))?.referring, knownNow()]).toEqual([undefined, 0]);
    applied = { epoch: 1, sequence: 2 };
    const { referring } = (await pair.refer({ content })) ?? {};
    expect([referring?.references.length, knownNow()]).toEqual([64 * 12, 64]);
    if (referring) pair.unresolved(referring, { missingBlocks: [0, 63, 64] });
    expect(knownNow()).toBe(62);
  });

  it('leaves any other refusal to the forwarder', async () => {
    await send(pairIds[0], 1, { contents: contents(1) });
    await send(pairIds[0], 2, { contents: contents(500), firstBlock: 64 });
    target.answer = () => ({ kind: 'refused', code: 'change-set/old-epoch', detail: 'over', hint: 'Begin a new epoch.' });
    const before = target.requests;
    expect(await send(pairIds[1], 1, { contents: contents(1) })).toMatchObject({ outcome: { kind: 'refused', code: 'change-set/old-epoch' } });
    expect(target.requests - before).toBe(1);
  });
});

/** As over HTTP, without HTTP; ends the body's turn as the client does. */
function clientOf(target: FakeMasterTarget): SendSetOptions['client'] {
  return {
    put: async (parts, { pairId, epoch, sequence, transfer }: PutOptions) => {
      transfer?.end();
      return putOutcomeOf(target.store({ pairId, epoch, sequence, body: Uint8Array.from(Buffer.concat(parts)), traceparent: undefined, oldestPending: undefined, lateTraces: [], peer: undefined }));
    },
    position: () => Promise.reject(new Error('nobody asks')),
    compare: () => Promise.reject(new Error('nobody asks')),
    close: () => undefined,
  };
}
