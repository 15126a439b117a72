// SPDX-License-Identifier: Apache-2.0
// Which sets of a resynchronisation need not be written down, and what becomes of them.
import { beforeEach, describe, expect, it } from '@jest/globals';
import { encodeChangeSet, encodeMarker, type StreamMarker, type VerifiedChangeSet, verifyChangeSet } from '@secondsite/change-set';
import { CrashableStorage } from '@secondsite/durable-storage/testing';
import { SegmentLog } from '@secondsite/segment-log';
import { KIB, MIB } from '@secondsite/units';
import { type CachedSet, type ReceivedSet, SetCache } from './set-cache';

const pairId = '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e';
const blockBytes = 64 * KIB;
const baseline = { kind: 'epoch-started', reason: 'baseline', volumeBytes: MIB, resyncBytes: MIB } as const;

interface SampleSet {
  readonly bytes: Uint8Array;
  readonly decoded: VerifiedChangeSet;
  readonly markers: readonly StreamMarker[];
  readonly receivedAt: number;
}

function sample(sequence: number, marker?: StreamMarker): SampleSet {
  const time = sequence * 1000;
  const entry = marker
    ? { kind: 'marker' as const, time, offset: 0, length: 0, bytes: [encodeMarker(marker)] }
    : { kind: 'resync-write' as const, time, offset: 0, length: blockBytes, bytes: [new Uint8Array(blockBytes).fill(sequence)] };
  const bytes = Buffer.concat(encodeChangeSet({ pairId, epoch: 1, sequence, traceparent: undefined }, [entry]).parts);
  const decoded = verifyChangeSet(bytes);
  if (!decoded.ok) throw new Error(decoded.detail);
  return { bytes, decoded, markers: marker ? [marker] : [], receivedAt: time };
}

describe('sets that pass the cache', () => {
  let log: SegmentLog;
  let cache: SetCache;
  beforeEach(async () => {
    log = await SegmentLog.open(new CrashableStorage().root);
    cache = new SetCache({
      log, applied: { epoch: 0, sequence: 0 }, endedEpochs: [], cacheBytesMax: MIB, memoryBytesMax: 3 * blockBytes, groupBytes: blockBytes, windowSets: 32, recycle: () => undefined,
    });
  });

  const take = (sequence: number, marker?: StreamMarker): Promise<void> => cache.take({ epoch: 1, sequence }, sample(sequence, marker));
  const pass = (sequence: number): Promise<void> => cache.pass({ epoch: 1, sequence }, sample(sequence));
  const isPassable = (sequence: number): boolean => cache.isPassable({ epoch: 1, sequence }, { contentBytes: blockBytes, appliedIsGreen: false });
  const ready = (): number[] => cache.takeReady(MIB).map(({ sequence }) => sequence);

  it('wait in memory for one that is being cached, and follow it in a group of their own', async () => {
    const durable = take(1, baseline);
    expect([isPassable(2), isPassable(3)]).toEqual([true, false]);
    void pass(2);
    expect(isPassable(3)).toBe(true);
    void pass(3);
    expect(ready()).toEqual([]);
    await durable;
    expect([ready(), ready(), ready()]).toEqual([[1], [2, 3], []]);
    expect([cache.received.sequence, log.recordCount]).toEqual([3, 1]);
  });

  it('do so no more behind the end of the resynchronisation, although that is still being cached', async () => {
    await take(1, baseline);
    const durable = take(2, { kind: 'resync-read' });
    expect(isPassable(3)).toBe(false);
    await durable;
    expect(isPassable(3)).toBe(false);
  });

  it('take no more memory than there is', async () => {
    await take(1, baseline);
    const fits = [2, 3, 4, 5].filter((sequence) => {
      const passable = isPassable(sequence);
      if (passable) void pass(sequence);
      return passable;
    });
    expect(fits).toEqual([2, 3]);
  });

  it('are refused when a newer epoch begins before their turn came', async () => {
    await take(1, baseline);
    const behindTheGap = take(3, { kind: 'resync-started', reason: 'bitmap-mode', resyncBytes: MIB });
    await behindTheGap;
    void take(2);
    const waiting = pass(4);
    const refused = expect(waiting).rejects.toMatchObject({ code: 'change-set/old-epoch' });
    await cache.take({ epoch: 2, sequence: 1 }, sample(1, baseline));
    await refused;
    expect(cache.received).toEqual({ epoch: 2, sequence: 1 });
  });
});

describe('the memory of compressed sets', () => {
  const contentBytes = 512 * KIB;
  const recycled: ArrayBufferLike[] = [];
  let cache: SetCache;
  beforeEach(async () => {
    recycled.length = 0;
    cache = new SetCache({
      log: await SegmentLog.open(new CrashableStorage().root), applied: { epoch: 0, sequence: 0 }, endedEpochs: [],
      cacheBytesMax: MIB, memoryBytesMax: 2.5 * contentBytes, groupBytes: contentBytes, windowSets: 32, recycle: (memory) => recycled.push(memory),
    });
  });

  /** As one that arrived compressed: what was received is small and has memory of its own. */
  function compressed(sequence: number): ReceivedSet {
    const write = { kind: 'write' as const, time: sequence, offset: 0, length: contentBytes, bytes: [new Uint8Array(contentBytes)] };
    const content = Buffer.concat(encodeChangeSet({ pairId, epoch: 1, sequence, traceparent: undefined }, [write]).parts);
    const decoded = verifyChangeSet(content);
    if (!decoded.ok) throw new Error(decoded.detail);
    return { bytes: new Uint8Array(KIB), decoded, markers: [], receivedAt: sequence };
  }

  /** Takes them; those of which the content stays in memory. */
  async function kept(...sequences: number[]): Promise<number[]> {
    const sets = sequences.map(compressed);
    for (const [index, set] of sets.entries()) await cache.take({ epoch: 1, sequence: sequences[index] as number }, set);
    return sequences.filter((_, index) => !recycled.includes(sets[index]?.decoded.data.buffer as ArrayBufferLike));
  }

  it('is free as soon as nothing reads it: received bytes when they are in the log, content when it is applied', async () => {
    const set = compressed(1);
    const durable = cache.take({ epoch: 1, sequence: 1 }, set);
    expect(recycled).toEqual([]);
    await durable;
    expect(recycled).toEqual([set.bytes.buffer]);
    cache.applied(cache.takeReady(MIB)[0] as CachedSet);
    expect(recycled).toEqual([set.bytes.buffer, set.decoded.data.buffer]);
  });

  it('is free at once when there is no room for the content until its turn comes', async () => {
    expect(await kept(1, 2, 3)).toEqual([1, 2]);
  });

  it('is left to those in front that have to be read back, until none of them is in line', async () => {
    await kept(1, 2, 3);
    for (const set of cache.takeReady(2.5 * contentBytes)) cache.applied(set);
    expect(await kept(4, 5)).toEqual([4]);
    const [third] = cache.takeReady(1);
    cache.keepRead(third as CachedSet, { bytes: new Uint8Array(KIB), decoded: compressed(3).decoded });
    cache.applied(third as CachedSet);
    cache.applied(cache.takeReady(1)[0] as CachedSet);
    expect(cache.takeReady(1).map(({ sequence, decoded }) => [sequence, decoded])).toEqual([[5, undefined]]);
    expect(await kept(6, 7, 8)).toEqual([6, 7]);
  });

  it('bounds what is applied together by the content, not by what is stored', async () => {
    for (const sequence of [1, 2, 3]) await cache.take({ epoch: 1, sequence }, compressed(sequence));
    expect(cache.takeReady(2.5 * contentBytes).map(({ sequence }) => sequence)).toEqual([1, 2]);
  });
});
