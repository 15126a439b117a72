// SPDX-License-Identifier: Apache-2.0
// Limits for what goes out, over real connections.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Priority, ProcessServerDesiredState } from '@secondsite/contracts';
import { temporaryDirectory } from '@secondsite/disk-files/testing';
import { allowEveryone, ChangeSetClient } from '@secondsite/transport';
import { MIB } from '@secondsite/units';
import { ProcessServer } from './process-server';
import { changeSetBytes, dataOf, FakeMasterTarget, waitUntil } from './testing';

const highPair = '0f0e0d0c-0b0a-4908-8706-050403020101';
const lowPair = '0f0e0d0c-0b0a-4908-8706-050403020102';
const dataBytes = 100_000;
const setsEach = 10;
const sequences = Array.from({ length: setsEach }, (_, index) => index + 1);

describe('a process server with a limited link', () => {
  let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
  let target: FakeMasterTarget;
  let server: ProcessServer;
  let client: ChangeSetClient;
  let desired: ProcessServerDesiredState;

  beforeEach(async () => {
    folder = await temporaryDirectory();
    target = new FakeMasterTarget();
    const masterTargetUrl = await target.start();
    const pair = (pairId: string, priority: Priority) => ({
      pairId, priority, masterTargetUrl, compression: 'none' as const, paused: false, linkIds: ['link'], spoolBytesMax: { resync: 64 * MIB, differential: 64 * MIB },
    });
    desired = { revision: 1, removedPairs: [], links: [], pairs: [pair(highPair, 'high'), pair(lowPair, 'low')] };
    server = await ProcessServer.open({
      dataDir: folder.path, listen: { host: '127.0.0.1', port: 0 }, authorize: allowEveryone, reporter: { report: () => undefined },
      freeBytesMin: 0, memoryBytesMax: 8 * MIB, onFatal: (error) => { throw error; },
    });
    client = new ChangeSetClient({ url: (await server.listen()).url, connectionsMax: 40 });
  });

  afterEach(async () => {
    client.close();
    await server.close();
    await target.stop();
    await folder.dispose();
  });

  async function reconcile({ paused = false, bytesPerSecond }: { paused?: boolean; bytesPerSecond?: number }): Promise<void> {
    const links = bytesPerSecond === undefined ? [] : [{ linkId: 'link', bandwidth: { timeZone: 'UTC', rules: [{ bytesPerSecond }] } }];
    desired = { ...desired, revision: desired.revision + 1, links, pairs: desired.pairs.map((pair) => ({ ...pair, paused })) };
    await server.reconcile(desired);
  }

  /** All sets of both pairs are in the spool. */
  async function fillSpool(): Promise<void> {
    await reconcile({ paused: true });
    const kinds = sequences.flatMap((sequence) => [lowPair, highPair].map(async (pairId) => {
      const outcome = await client.put([changeSetBytes({ pairId, epoch: 1, sequence, dataBytes })], { pairId, epoch: 1, sequence });
      return outcome.kind;
    }));
    expect(new Set(await Promise.all(kinds))).toEqual(new Set(['stored']));
  }

  const arrived = (pairId: string): Promise<void> => waitUntil('all sets arrived', () => target.contiguous(pairId) === setsEach);

  function expectAllBytes(): void {
    for (const pairId of [lowPair, highPair]) for (const sequence of sequences) {
      const expected = Buffer.from(dataOf({ pairId, epoch: 1, sequence, dataBytes }));
      expect(expected.equals(target.streams.get(pairId)?.sets.get(sequence) ?? new Uint8Array())).toBe(true);
    }
    expect(target.damaged).toEqual([]);
  }

  it('sends no faster than the limit, the pair of higher priority first, and says what was sent', async () => {
    const bytesPerSecond = 1_000_000;
    await fillSpool();
    const started = performance.now();
    await reconcile({ bytesPerSecond });
    await arrived(highPair);
    expect(target.contiguous(lowPair)).toBeLessThanOrEqual(setsEach / 2);
    await arrived(lowPair);
    const seconds = (performance.now() - started) / 1000;
    expect(2 * setsEach * dataBytes / seconds).toBeLessThan(1.1 * bytesPerSecond);
    expectAllBytes();
    await waitUntil('all is confirmed', () => server.telemetry().every(({ sent }) => (sent?.contentBytes ?? 0) > setsEach * dataBytes));
  });

  it('lets a body that is going out go on faster when the limit is lifted', async () => {
    await fillSpool();
    const started = performance.now();
    await reconcile({ bytesPerSecond: 125_000 });
    await waitUntil('the first set arrived', () => target.contiguous(highPair) > 0);
    await reconcile({});
    await Promise.all([arrived(highPair), arrived(lowPair)]);
    // 2 MB take 16 s with the limit.
    expect(performance.now() - started).toBeLessThan(10_000);
    expectAllBytes();
  });
});
