// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AgentDesiredState } from '@secondsite/contracts';
import { temporaryDirectory } from '@secondsite/disk-files/testing';
import { NbdClient } from '@secondsite/nbd';
import { MIB } from '@secondsite/units';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AgentProcess } from './testing/agent-process';
import { TargetServer } from './testing/target-server';
import { waitFor } from './testing/wait-for';

const volumeBytes = 64 * MIB;
const pairId = '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e';
let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let server: TargetServer;
let agent: AgentProcess;

beforeEach(async () => {
  folder = await temporaryDirectory();
  server = new TargetServer({ volumeBytes });
  await server.listen();
  const image = join(folder.path, 'disk.img');
  writeFileSync(image, Buffer.alloc(volumeBytes, 1));
  const pair = { pairId, processServerUrl: server.url, paused: false, compression: 'none' as const, folding: false, bufferBytes: 0, resyncRequest: 0, resyncTurn: true };
  const desired: AgentDesiredState = { revision: 1, volumes: [{ volumeId: 'v', name: 'v', tap: { kind: 'nbd', source: image }, pair }], consistencyGroups: [] };
  agent = new AgentProcess({ dataDir: join(folder.path, 'agent'), desired });
});

afterEach(async () => {
  await agent.end('SIGKILL');
  await server.close();
  await folder.dispose();
});

function connect(): Promise<NbdClient> {
  return NbdClient.connect(`nbd+unix:///v?socket=${join(agent.unixSockets, 'v.sock')}`);
}

async function inSync(): Promise<void> {
  const image = join(folder.path, 'disk.img');
  await waitFor('the replica is the source', () => server.target.green && readFileSync(image).equals(Buffer.from(server.target.replica)));
}

/** Set bits in the pages of the bitmap file. */
function markedRegions(): number {
  const file = readFileSync(join(folder.path, 'agent', 'volumes', 'v', `${pairId}.bitmap`));
  let marked = 0;
  for (const byte of file.subarray(8192 + 8)) for (let bits = byte; bits !== 0; bits &= bits - 1) marked += 1;
  return marked;
}

/** Writes stamps into its own 4 KiB of each of the first regions until the connection breaks; returns the newest acknowledged per region. */
async function stampUntilBroken(client: NbdClient, regions: number): Promise<Map<number, number>> {
  const acknowledged = new Map<number, number>();
  try {
    for (let stamp = 1; ; stamp++) {
      const region = stamp % regions;
      await client.write(region * MIB, Buffer.alloc(4096, stamp % 251));
      acknowledged.set(region, stamp);
    }
  } catch {
    return acknowledged; // The agent was killed: that is what the test waits for.
  }
}

describe('the agent as a process', () => {
  it('loses no acknowledged write and resynchronises only dirty regions when it is killed under load, again and again', async () => {
    await agent.start();
    await inSync();
    for (let round = 1; round <= 3; round++) {
      await waitFor('regions at rest are unmarked', () => markedRegions() <= 5);
      const client = await connect();
      const stamping = stampUntilBroken(client, 5);
      const { applied } = server.target;
      await waitFor('writes are replicated', () => server.target.applied > applied + 2);
      await agent.end('SIGKILL');
      const acknowledged = await stamping;
      expect(acknowledged.size).toBe(5);
      const image = readFileSync(join(folder.path, 'disk.img'));
      for (const [region, stamp] of acknowledged) expect([stamp % 251, (stamp + 5) % 251]).toContain(image[region * MIB]);
      await agent.start();
      await waitFor('the new epoch has begun', () => server.target.epoch === round + 1);
      await inSync();
    }
    const resyncs = server.target.markers.flatMap((marker) => (marker.kind === 'epoch-started' ? [marker] : []));
    expect(resyncs.map(({ reason }) => reason)).toEqual(['baseline', 'agent-crash', 'agent-crash', 'agent-crash']);
    // The five that were written, and at most as many that were marked ahead of a writer that goes through them in order (ADR 30).
    expect(resyncs.at(-1)?.resyncBytes).toBeLessThanOrEqual(2 * 5 * MIB);
  });

  it('drains at SIGTERM, exits with 0, and begins again with nothing to resynchronise', async () => {
    await agent.start();
    await inSync();
    const client = await connect();
    for (let write = 0; write < 200; write++) await client.write((write * 37_000) % (volumeBytes - 9000), Buffer.alloc(9000, write));
    expect(await agent.end('SIGTERM')).toBe(0);
    await inSync();
    await agent.start();
    await waitFor('the next epoch has begun', () => server.target.epoch === 2 && server.target.applied > 0);
    expect(server.target.markers.filter(({ kind }) => kind === 'epoch-started').at(-1)).toMatchObject({ reason: 'none' });
  });

  it('serves health, readiness and metrics', async () => {
    await agent.start();
    const get = async (path: string) => (await fetch(`${agent.metricsUrl}${path}`)).status;
    expect([await get('/healthz'), await get('/readyz')]).toEqual([200, 200]);
    await waitFor('the volume is in the metrics', async () => (await (await fetch(`${agent.metricsUrl}/metrics`)).text()).includes('secondsite_agent_sequence{volume_id="v"}'));
  });
});
