// SPDX-License-Identifier: Apache-2.0
// An agent host with real threads, real files and real sockets, one fake target behind a real data-plane server per volume.
import type { AgentDesiredState, AgentVolumeTelemetry } from '@secondsite/contracts';
import { temporaryDirectory } from '@secondsite/disk-files/testing';
import { NbdClient } from '@secondsite/nbd';
import { MIB } from '@secondsite/units';
import { randomUUID } from 'node:crypto';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsOptions } from 'node:tls';
import { AgentHost, type BookmarkReport } from '../host/agent-host';
import { BufferBudget } from '../volume/buffer-budget';
import type { ReplicationFact } from '../volume/replication-fact';
import type { Credentials } from '../volume/volume-thread';
import { TargetServer } from './target-server';
import { waitFor } from './wait-for';

export interface HostBenchOptions {
  readonly volumes?: number;
  readonly volumeBytes?: number;
  readonly credentials?: Credentials;
  /** The process server's side of mutual TLS; goes with `credentials`. */
  readonly targetTls?: TlsOptions;
}

export class HostBench {
  readonly facts: ReplicationFact[] = [];
  readonly bookmarks: BookmarkReport[] = [];
  readonly failures: unknown[] = [];
  readonly targets: TargetServer[] = [];
  host!: AgentHost;
  folder!: Awaited<ReturnType<typeof temporaryDirectory>>;
  desired!: AgentDesiredState;

  /** `volumes` disks of `volumeBytes`, protected, in data mode and consistent. */
  static async start({ volumes = 1, volumeBytes = 16 * MIB, credentials, targetTls }: HostBenchOptions = {}): Promise<HostBench> {
    const bench = new HostBench();
    bench.folder = await temporaryDirectory();
    for (let index = 0; index < volumes; index++) {
      const target = new TargetServer({ volumeBytes, ...(targetTls ? { tls: targetTls } : {}) });
      await target.listen();
      bench.targets.push(target);
      writeFileSync(bench.imageOf(index), Buffer.alloc(3 * MIB, 7));
      truncateSync(bench.imageOf(index), volumeBytes);
    }
    bench.desired = {
      revision: 1,
      volumes: bench.targets.map((target, index) => ({
        volumeId: `disk-${index}`, name: `disk ${index}`, tap: { kind: 'nbd', source: bench.imageOf(index) },
        pair: { pairId: randomUUID(), processServerUrl: target.url, paused: false, compression: 'none', folding: false, bufferBytes: 64 * MIB, resyncRequest: 0, resyncTurn: true },
      })),
      consistencyGroups: [],
    };
    await bench.open(credentials);
    await bench.host.reconcile(bench.desired);
    return bench;
  }

  async open(credentials?: Credentials): Promise<void> {
    this.host = await AgentHost.open({
      environment: {
        dataDir: join(this.folder.path, 'agent'), budget: { shared: BufferBudget.createShared(), bytesMax: 64 * MIB }, segmentDataBytes: 2 * MIB,
        nbdTcp: credentials ? { host: '127.0.0.1', advertiseHost: '127.0.0.1' } : undefined, traceRatio: 0, traceSlowMillis: undefined,
      },
      credentials,
      onFact: (fact) => this.facts.push(fact),
      onBookmark: (report) => this.bookmarks.push(report),
      onPassed: () => undefined,
      onFailure: (error) => this.failures.push(error),
    });
  }

  imageOf(index: number): string {
    return join(this.folder.path, `disk-${index}.img`);
  }

  async telemetryOf(index: number): Promise<AgentVolumeTelemetry> {
    const volume = (await this.host.telemetry()).find(({ volumeId }) => volumeId === `disk-${index}`);
    if (!volume) throw new Error(`disk ${index} is not there`);
    return volume;
  }

  async connect(index: number): Promise<NbdClient> {
    const [uri = ''] = (await this.telemetryOf(index)).nbdUris;
    return NbdClient.connect(uri);
  }

  /** Everything written so far is applied at the target, which is consistent. */
  async settled(index: number): Promise<void> {
    const target = this.targets[index]?.target;
    await waitFor(`disk ${index} is in sync`, async () => {
      const { mode, heldBytes, dirtyBytes, epoch, sequence } = await this.telemetryOf(index);
      return mode === 'data' && heldBytes === 0 && dirtyBytes === 0 && target?.green === true && target.epoch === epoch && target.applied >= sequence;
    });
  }

  async close(): Promise<void> {
    await this.host.close();
    await Promise.all(this.targets.map((target) => target.close()));
    await this.folder.dispose();
  }
}
