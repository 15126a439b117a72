// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { writeJsonAtomically } from '@secondsite/disk-files';
import { temporaryDirectory } from '@secondsite/disk-files/testing';
import { OtlpReceiver } from '@secondsite/telemetry/testing';
import { ChangeSetClient } from '@secondsite/transport';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { changeSetBytes, dataOf, FakeMasterTarget, waitUntil } from './testing';

const pairIds = ['0f0e0d0c-0b0a-4908-8706-050403020101', '0f0e0d0c-0b0a-4908-8706-050403020102'];
const mainFile = join(__dirname.replace('/src', '/dist'), 'main.js');

describe('the process, killed at any instant', () => {
  let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
  let target: FakeMasterTarget;
  let child: ChildProcess | undefined;
  let url: string;

  beforeEach(async () => {
    folder = await temporaryDirectory();
    target = new FakeMasterTarget();
    const masterTargetUrl = await target.start();
    const pairs = pairIds.map((pairId) => ({
      pairId, masterTargetUrl, compression: 'process-server', paused: false, priority: 'normal', linkIds: [], spoolBytesMax: { resync: 1 << 30, differential: 1 << 30 },
    }));
    await writeJsonAtomically(join(folder.path, 'desired-state.json'), { revision: 1, pairs, removedPairs: [], links: [] });
  });

  afterEach(async () => {
    await kill('SIGKILL');
    await target.stop();
    await folder.dispose();
  });

  async function start(environment: Record<string, string> = {}): Promise<void> {
    const ready = join(folder.path, 'ready.json');
    await rm(ready, { force: true });
    const env = {
      PATH: process.env.PATH, SECONDSITE_DATA_DIR: folder.path, SECONDSITE_INSECURE: '1', NATS_URL: 'nats://127.0.0.1:1', SECONDSITE_FREE_BYTES_MIN: '0',
      ...environment,
    };
    const started = spawn(process.execPath, [mainFile], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    const log = createWriteStream(join(folder.path, 'process.log'), { flags: 'a' });
    started.stdout.pipe(log);
    started.stderr.pipe(log, { end: false });
    await waitUntil('the process is ready', async () => {
      if (started.exitCode !== null) throw new Error(`the process ended with ${started.exitCode}: ${await readFile(join(folder.path, 'process.log'), 'utf8')}`);
      const text = await readFile(ready, 'utf8').catch(() => '');
      if (text !== '') ({ url } = JSON.parse(text) as { url: string });
      return text !== '';
    }, 20_000);
  }

  async function kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const process = child;
    child = undefined;
    if (!process || process.exitCode !== null || process.signalCode !== null) return process?.exitCode ?? null;
    const ended = once(process, 'exit');
    process.kill(signal);
    const [code] = (await ended) as [number | null];
    return code;
  }

  /** An agent: four sets on their way, each sent again until it is confirmed. Returns the count when told to stop; all of them are confirmed. */
  async function send(pairId: string, state: { confirmed: number; stop: boolean }): Promise<number> {
    let next = 1;
    const lane = async (): Promise<void> => {
      while (!state.stop) {
        const sequence = next++;
        const content = changeSetBytes({ pairId, epoch: 1, sequence, dataBytes: 20_000 });
        for (let kind = ''; kind !== 'stored'; ) {
          const client = new ChangeSetClient({ url, connectionsMax: 1 });
          const outcome = await client.put([content], { pairId, epoch: 1, sequence });
          client.close();
          kind = outcome.kind;
          if (kind === 'refused') throw new Error(JSON.stringify(outcome));
          if (kind === 'unreachable') await new Promise((resolve) => setTimeout(resolve, 10));
        }
        state.confirmed += 1;
      }
    };
    await Promise.all([lane(), lane(), lane(), lane()]);
    return next - 1;
  }

  it('loses nothing that was confirmed, and the target gets every set once the process is back: five kills under load', async () => {
    await start();
    const states = pairIds.map(() => ({ confirmed: 0, stop: false }));
    const sending = pairIds.map((pairId, index) => send(pairId, states[index] as (typeof states)[0]));
    for (let round = 0; round < 5; round += 1) {
      if (round === 2) await target.stop();
      const before = states.map(({ confirmed }) => confirmed);
      await waitUntil('both agents advance', () => states.every(({ confirmed }, index) => confirmed > (before[index] ?? 0) + 20 + 7 * round));
      await kill('SIGKILL');
      await start();
      if (round === 3) await target.start();
    }
    for (const state of states) state.stop = true;
    const counts = await Promise.all(sending);
    for (const [index, pairId] of pairIds.entries()) {
      const count = counts[index] ?? 0;
      await waitUntil(`all ${count} sets are at the target`, () => target.contiguous(pairId) === count, 20_000);
      for (let sequence = 1; sequence <= count; sequence += 1) {
        const got = target.streams.get(pairId)?.sets.get(sequence) ?? new Uint8Array();
        expect(Buffer.from(dataOf({ pairId, epoch: 1, sequence, dataBytes: 20_000 })).equals(got)).toBe(true);
      }
    }
    expect(target.compressedSets).toBeGreaterThan(0);
  });

  it('told to stop, it ends with 0 and keeps what is not forwarded', async () => {
    await target.stop();
    await start();
    const client = new ChangeSetClient({ url });
    const pairId = pairIds[0] as string;
    for (let sequence = 1; sequence <= 3; sequence += 1) await client.put([changeSetBytes({ pairId, epoch: 1, sequence })], { pairId, epoch: 1, sequence });
    client.close();
    expect(await kill('SIGTERM')).toBe(0);
    await target.start();
    await start();
    await waitUntil('the sets arrived', () => target.contiguous(pairId) === 3);
  });

  it('puts its hops into the trace that the change set carries, and shows health and metrics', async () => {
    const receiver = await OtlpReceiver.start();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await start({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
    const client = new ChangeSetClient({ url });
    const pairId = pairIds[0] as string;
    await client.put([changeSetBytes({ pairId, epoch: 1, sequence: 1, traceparent })], { pairId, epoch: 1, sequence: 1 });
    await waitUntil('the target has it', () => target.contiguous(pairId) === 1);
    client.close();
    const { metricsUrl } = JSON.parse(await readFile(join(folder.path, 'ready.json'), 'utf8')) as { metricsUrl: string };
    expect((await fetch(`${metricsUrl}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${metricsUrl}/metrics`)).text()).toMatch(/^secondsite_process_server_received_sets_total 1$/m);
    expect(await kill('SIGTERM')).toBe(0);
    const spans = receiver.spans.filter(({ traceId }) => traceId === traceparent.slice(3, 35));
    expect(spans.map(({ name }) => name).sort()).toEqual(['forward', 'spool', 'wait in spool']);
    expect(new Set(spans.map(({ parentSpanId }) => parentSpanId))).toEqual(new Set([traceparent.slice(36, 52)]));
    await receiver.close();
  });
});
