// SPDX-License-Identifier: Apache-2.0
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TestCluster, waitFor } from '@secondsite/cli/testing';
import type { PairStatus, RetentionPolicy, Volume } from '@secondsite/contracts';
import { microsFromIso, type TimeMicros } from '@secondsite/units';
import { clockMicros } from '@secondsite/disk-files';

const heartbeatBytesMax = 4096;

export interface ProtectedDisk {
  readonly name: string;
  readonly image: string;
  readonly uri: string;
  readonly sizeBytes: number;
}

/** A local cluster and protected disks on it, as the rows need them. */
export class BenchSite {
  #disks = 0;

  private constructor(readonly cluster: TestCluster) {}

  static async start(environment: NodeJS.ProcessEnv = {}): Promise<BenchSite> {
    return new BenchSite(await TestCluster.start(environment));
  }

  get folder(): string {
    return this.cluster.folder;
  }

  /** Adds a disk; `fill` writes its first content before it is exported. */
  async addDisk({ sizeBytes, fill }: { sizeBytes: number; fill?: (image: string) => Promise<void> }): Promise<ProtectedDisk> {
    const name = `disk-${++this.#disks}`;
    const image = join(this.folder, `${name}.img`);
    const file = await open(image, 'w');
    await file.truncate(sizeBytes);
    await file.close();
    await fill?.(image);
    const volume = await this.cluster.cli<Volume>('volume', 'add', name, '--host', 'local', '--image', image);
    const uri = volume.nbdUris[0];
    if (uri === undefined) throw new Error(`the agent did not export ${name}`);
    return { name, image, uri, sizeBytes };
  }

  async protect(disk: ProtectedDisk, retention?: RetentionPolicy): Promise<void> {
    await this.secondsToProtect(disk, retention);
    await this.whenInSync(disk);
  }

  /** Resolves when everything written until the call is applied at the target, and the replica is consistent: no resynchronisation is under way. */
  async whenInSync(disk: ProtectedDisk): Promise<void> {
    const written = clockMicros();
    const until = (pair: PairStatus): boolean => (microsFromIso(pair.coveredTime ?? '') ?? 0) >= written;
    await this.cluster.whenInSync(`plan-${disk.name}`, { secondsMax: 600, until });
  }

  /** From the request to the fact that the replica is consistent; telemetry, which lags up to a second behind, may not say so yet. */
  async secondsToProtect(disk: ProtectedDisk, retention?: RetentionPolicy): Promise<number> {
    const started = performance.now();
    await this.cluster.createPlan(`plan-${disk.name}`, disk.name, retention);
    await waitFor(`${disk.name} to be protected`, 600, async () => {
      const { pairs } = await this.cluster.planStatus(`plan-${disk.name}`);
      return pairs.length > 0 && pairs.every(({ stage }) => stage === 'differential-sync');
    });
    return (performance.now() - started) / 1000;
  }

  /** Resolves when everything written until the call is applied at the target. */
  async whenApplied(disk: ProtectedDisk): Promise<void> {
    const written = clockMicros();
    let seen: TimeMicros | undefined;
    await waitFor(`${disk.name} to be applied`, 300, async () => {
      const { pairs } = await this.cluster.planStatus(`plan-${disk.name}`);
      const isApplied = pairs.every((pair) => pair.stage === 'differential-sync' && !pair.flags.includes('bitmap-mode') && (microsFromIso(pair.coveredTime ?? '') ?? 0) >= written);
      // The stage is told less often than the covered time: a resynchronisation that has just begun shows only in figures measured later.
      seen = isApplied ? (seen ?? clockMicros()) : undefined;
      return seen !== undefined && pairs.every((pair) => (microsFromIso(pair.measuredAt ?? '') ?? 0) >= (seen ?? Infinity));
    });
  }

  /** When the newest change set with content was applied at the target (heartbeats, which follow every second, have none). After `whenApplied`. */
  async lastContentAppliedAt(disk: ProtectedDisk): Promise<TimeMicros> {
    let set = await this.cluster.trace(disk.name);
    while ((set.storedBytes ?? 0) <= heartbeatBytesMax) set = await this.cluster.trace(disk.name, { epoch: set.epoch, sequence: set.sequence - 1 });
    const applied = set.hops.find(({ hop }) => hop === 'applied');
    const time = applied && microsFromIso(applied.at);
    if (time === undefined) throw new Error(`the target does not say when set ${set.sequence} was applied`);
    return time;
  }

  async remove(disk: ProtectedDisk): Promise<void> {
    await this.cluster.cli('plan', 'remove', `plan-${disk.name}`, '--confirm', `plan-${disk.name}`, '--delete-data');
    await this.cluster.cli('volume', 'remove', disk.name);
    await rm(disk.image, { force: true });
  }

  /** Resident memory of each process in MiB: now, and the most it ever was. */
  async residentMebibytes(): Promise<Record<string, { readonly now: number; readonly peak: number }>> {
    const sizes: Record<string, { now: number; peak: number }> = {};
    for (const { name, pid } of await this.cluster.processes()) {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      const mebibytes = (field: string): number => Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024);
      sizes[name] = { now: mebibytes('VmRSS'), peak: mebibytes('VmHWM') };
    }
    return sizes;
  }

  stop(): Promise<void> {
    return this.cluster.stop();
  }
}
