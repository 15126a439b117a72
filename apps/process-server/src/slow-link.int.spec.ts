// SPDX-License-Identifier: Apache-2.0
// A real link that carries too little, between a real process server and a target: what the process server says of itself is enough to name it.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { processServerPairTelemetrySchema } from '@secondsite/contracts';
import { temporaryDirectory } from '@secondsite/disk-files/testing';
import { explainRpo } from '@secondsite/protection';
import { agentReading, masterTargetReading, processServerReading } from '@secondsite/protection/testing';
import { allowEveryone, ChangeSetClient } from '@secondsite/transport';
import { KIB, MIB } from '@secondsite/units';
import { ProcessServer } from './process-server';
import { changeSetBytes, FakeMasterTarget, GatedWire, waitUntil } from './testing';

const pairId = '0f0e0d0c-0b0a-4908-8706-050403020100';
const linkBytesPerSecond = 2 * MIB;

describe('a process server behind a slow link', () => {
  const target = new FakeMasterTarget();
  const wire = new GatedWire({ bytesPerSecond: linkBytesPerSecond });
  let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
  let server: ProcessServer;
  let agent: ChangeSetClient;

  beforeEach(async () => {
    folder = await temporaryDirectory();
    server = await ProcessServer.open({
      dataDir: folder.path, listen: { host: '127.0.0.1', port: 0 }, authorize: allowEveryone, reporter: { report: () => undefined },
      freeBytesMin: 0, memoryBytesMax: 8 * MIB, onFatal: (error) => { throw error; },
    });
    const masterTargetUrl = await wire.start(await target.start());
    const spoolBytesMax = { resync: 64 * MIB, differential: 64 * MIB };
    await server.reconcile({ revision: 1, pairs: [{ pairId, masterTargetUrl, compression: 'none', spoolBytesMax, paused: false, priority: 'normal', linkIds: [] }], removedPairs: [], links: [] });
    agent = new ChangeSetClient({ url: (await server.listen()).url, connectionsMax: 6 });
  });

  afterEach(async () => {
    agent.close();
    await server.close();
    await wire.stop();
    await target.stop();
    await folder.dispose();
  });

  it('tells how long change sets are held and transferred, and how much the link carries, by which the link is named', async () => {
    const sequences = Array.from({ length: 32 }, (_, index) => index + 1);
    const sending = sequences.map((sequence) => agent.put([changeSetBytes({ pairId, epoch: 1, sequence, dataBytes: 256 * KIB })], { pairId, epoch: 1, sequence }));
    await waitUntil('half of the sets arrived', () => target.contiguous(pairId) >= 20);
    const telemetry = processServerPairTelemetrySchema.parse(server.telemetry()[0]);
    const { stays, bytesPerSecond = 0 } = telemetry;
    expect(bytesPerSecond).toBeGreaterThan(linkBytesPerSecond / 2);
    expect(bytesPerSecond).toBeLessThan(linkBytesPerSecond * 1.5);
    expect(stays?.transferSeconds).toBeGreaterThan((256 * KIB) / linkBytesPerSecond);
    expect((stays?.holdSeconds ?? 0) + (stays?.transferSeconds ?? 0)).toBeGreaterThan(0.8);

    const now = Date.now() * 1000;
    const waiting = agentReading({ seenAt: now, bytesPerSecond: 30 * MIB, stays: { gatherSeconds: 0.2, queueSeconds: 0.1, sendSeconds: stays?.answerSeconds ?? 0 } });
    const masterTarget = masterTargetReading({ seenAt: now, stays: { answerSeconds: 0.01, queueSeconds: 0.01, applySeconds: 0.01 } });
    const { bottleneck, words } = explainRpo({ now, paused: false, rpoSeconds: 6, readings: { agent: waiting, processServer: processServerReading({ seenAt: now, bytesPerSecond, ...(stays ? { stays } : {}) }), masterTarget } });
    process.stdout.write(`${words}\n`);
    expect([bottleneck, words]).toEqual(['wan', expect.stringMatching(/^the link between process server and master target carries [\d.]+ MiB\/s, 30 MiB\/s are written$/)]);
    await Promise.all(sending);
    await waitUntil('all sets arrived', () => target.contiguous(pairId) === sequences.length && server.telemetry()[0]?.spoolSets === 0);
    expect(server.telemetry()[0]?.stays?.transferSeconds).toBeGreaterThan((256 * KIB) / linkBytesPerSecond);
  });
});
