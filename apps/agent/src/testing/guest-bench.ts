// SPDX-License-Identifier: Apache-2.0
// A running guest whose disk is a plain file, protected agentless: what its agent sends is applied to a model.
import type { VerifiedChangeSet } from '@secondsite/change-set';
import type { AgentDesiredState, AgentVolumeTelemetry } from '@secondsite/contracts';
import { temporaryDirectory } from '@secondsite/disk-files/testing';
import { bootGuest, buildGuest, createGuestDisk, diskDeviceId, type RunningGuest } from '@secondsite/qemu';
import { sharedGuestFolder } from '@secondsite/qemu/testing';
import { MIB } from '@secondsite/units';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AgentHost } from '../host/agent-host';
import { BufferBudget } from '../volume/buffer-budget';
import type { ReplicationFact } from '../volume/replication-fact';
import { CuttableSocket } from './cuttable-socket';
import { TargetServer } from './target-server';
import { waitFor } from './wait-for';

const sizeBytes = 64 * MIB;
const volumeId = 'guest-disk';
const pairId = '2f6d3a52-6a0a-4b9e-8f77-0c1d2e3f4a5b';

export class GuestBench {
  readonly facts: ReplicationFact[] = [];
  readonly failures: unknown[] = [];
  readonly sizeBytes = sizeBytes;
  readonly volumeId = volumeId;
  /** Content that was read for a resync and applied. */
  resyncBytes = 0;
  folder!: Awaited<ReturnType<typeof temporaryDirectory>>;
  guest!: RunningGuest;
  qmp!: CuttableSocket;
  server!: TargetServer;
  host: AgentHost | undefined;

  static async start(): Promise<GuestBench> {
    const bench = new GuestBench();
    bench.folder = await temporaryDirectory();
    const image = await buildGuest(sharedGuestFolder());
    await createGuestDisk({ path: bench.disk, sizeBytes, guest: image });
    bench.server = new TargetServer({ volumeBytes: sizeBytes, onApplied: ({ set }) => bench.#count(set) });
    await bench.server.listen();
    bench.guest = await bootGuest({ guest: image, disk: bench.disk, mode: 'idle', rebootContinues: true, connectQmp: false });
    bench.qmp = new CuttableSocket(join(bench.folder.path, 'qmp.sock'), bench.guest.qmpSocket);
    await bench.qmp.listen();
    await bench.guest.waitForLine(/^SECONDSITE-READY/, 60_000);
    return bench;
  }

  get disk(): string {
    return join(this.folder.path, 'disk.img');
  }

  get dataDir(): string {
    return join(this.folder.path, 'agent');
  }

  get desired(): AgentDesiredState {
    const pair = { pairId, processServerUrl: this.server.url, paused: false, compression: 'none' as const, folding: false, bufferBytes: 64 * MIB, resyncRequest: 0, resyncTurn: true };
    const tap = { kind: 'qemu' as const, qmpSocket: this.qmp.path, device: diskDeviceId };
    return { revision: 1, volumes: [{ volumeId, name: 'disk of the guest', tap, pair }], consistencyGroups: [] };
  }

  async openHost(): Promise<AgentHost> {
    this.host = await AgentHost.open({
      environment: {
        dataDir: this.dataDir, budget: { shared: BufferBudget.createShared(), bytesMax: 64 * MIB }, segmentDataBytes: 2 * MIB, nbdTcp: undefined, traceRatio: 0, traceSlowMillis: undefined,
      },
      credentials: undefined,
      onFact: (fact) => this.facts.push(fact),
      onBookmark: () => undefined,
      onPassed: () => undefined,
      onFailure: (error) => this.failures.push(error),
    });
    return this.host;
  }

  async telemetry(): Promise<AgentVolumeTelemetry | undefined> {
    return (await this.host?.telemetry())?.find((volume) => volume.volumeId === volumeId);
  }

  /** Writes files for ever, each synced, until `stopWriting`. */
  async startWriting(): Promise<void> {
    const write = 'i=$((i+1)); dd if=/dev/urandom of=/data/busy.$((i%5)) bs=8k count=16 conv=fsync 2>/dev/null; echo $i > /run/busy; [ $((i%7)) = 0 ] && rm -f /data/busy.3';
    await this.run(`rm -f /run/stop /run/busy; (i=0; while [ ! -f /run/stop ]; do ${write}; done; touch /run/stopped) > /dev/null 2>&1 &`);
  }

  /** How often it has written. */
  async written(): Promise<number> {
    return Number((await this.run('cat /run/busy 2>/dev/null || echo 0')).trim());
  }

  async stopWriting(): Promise<void> {
    await this.run('rm -f /run/stopped; touch /run/stop; while [ ! -f /run/stopped ]; do usleep 20000; done; sync');
  }

  async goesOn(rounds = 3): Promise<void> {
    const before = await this.written();
    await waitFor('the guest goes on writing', async () => (await this.written()) >= before + rounds);
  }

  async run(script: string): Promise<string> {
    const { exitCode, output } = await this.guest.run(script);
    if (exitCode !== 0) throw new Error(`the guest could not run ${script}: ${output}`);
    return output;
  }

  /** The guest is quiet: the model becomes its disk, byte for byte, and is consistent. */
  async expectEqual(): Promise<void> {
    const { target } = this.server;
    await waitFor('the model is the disk', () => target.green && readFileSync(this.disk).equals(Buffer.from(target.replica)), 30_000).catch((error: unknown) => {
      throw new Error(`${String(error)}; ${this.#difference()}; green ${target.green}`);
    });
  }

  /** How often a resync began. */
  get resyncs(): number {
    return this.server.target.markers.filter(({ kind }) => kind === 'epoch-started' || kind === 'resync-started').length;
  }

  async close(): Promise<void> {
    await this.host?.close();
    await this.guest?.kill();
    this.qmp?.close();
    await this.server?.close();
    await this.folder?.dispose();
  }

  #count(set: VerifiedChangeSet): void {
    for (const entry of set.entries()) if (entry.kind === 'resync-write') this.resyncBytes += entry.length;
  }

  #difference(): string {
    const disk = readFileSync(this.disk);
    const { replica } = this.server.target;
    const blocks: number[] = [];
    for (let offset = 0; offset < disk.length; offset += 4096) {
      if (!disk.subarray(offset, offset + 4096).equals(Buffer.from(replica.buffer, replica.byteOffset + offset, 4096))) blocks.push(offset / 4096);
    }
    return `${blocks.length} blocks of 4096 bytes differ: ${blocks.slice(0, 10).join(', ')}`;
  }
}
