// SPDX-License-Identifier: Apache-2.0
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type PlanOptions, TestCluster, waitFor } from '@secondsite/cli/testing';
import type { PairStatus, View, Volume } from '@secondsite/contracts';
import { microsFromIso, type TimeMicros } from '@secondsite/units';
import { clockMicros } from '@secondsite/disk-files';
import { secondsOf } from './measure';
import { inspectableEnvironment, inspectorUrlOf } from './profile/inspector-url';
import { ProfiledProcess } from './profile/profiled-process';
import type { Profiles } from './profile/profiles';
import { sparseImage } from './sparse-image';

const heartbeatBytesMax = 4096;
const dataPlane = ['agent', 'process-server', 'master-target'];

export interface ProtectedDisk {
  readonly name: string;
  readonly image: string;
  readonly uri: string;
  readonly sizeBytes: number;
}

/** A local cluster and protected disks on it, as the rows need them. */
export class BenchSite {
  #disks = 0;

  #profiled: readonly ProfiledProcess[] = [];

  private constructor(readonly cluster: TestCluster, private readonly profiles: Profiles | undefined) {}

  static async start({ environment, profiles }: { readonly environment: NodeJS.ProcessEnv; readonly profiles?: Profiles | undefined }): Promise<BenchSite> {
    const site = new BenchSite(await TestCluster.start(profiles ? { ...environment, ...inspectableEnvironment } : environment), profiles);
    if (profiles) site.#profiled = await site.#openProfiles();
    return site;
  }

  get folder(): string {
    return this.cluster.folder;
  }

  /** Adds a disk; `fill` writes its first content before it is exported. */
  async addDisk({ sizeBytes, fill }: { sizeBytes: number; fill?: (image: string) => Promise<void> }): Promise<ProtectedDisk> {
    const name = `disk-${++this.#disks}`;
    const image = join(this.folder, `${name}.img`);
    await sparseImage(image, sizeBytes);
    await fill?.(image);
    const volume = await this.cluster.cli<Volume>('volume', 'add', name, '--host', 'local', '--image', image);
    const uri = volume.nbdUris[0];
    if (uri === undefined) throw new Error(`the agent did not export ${name}`);
    return { name, image, uri, sizeBytes };
  }

  /** Runs `act`, and keeps profiles of the data plane meanwhile under this name when they are asked for. */
  async profiled<Result>(name: string, act: () => Promise<Result>): Promise<Result> {
    return this.profiles ? this.profiles.during(name, this.#profiled, act) : act();
  }

  async protect(disk: ProtectedDisk, options?: PlanOptions): Promise<void> {
    await this.secondsToProtect(disk, options);
    await this.whenInSync(disk);
  }

  /** Resolves when everything written until the call is applied at the target, and the replica is consistent: no resynchronisation is under way. */
  async whenInSync(disk: ProtectedDisk): Promise<void> {
    const written = clockMicros();
    const until = (pair: PairStatus): boolean => (microsFromIso(pair.coveredTime ?? '') ?? 0) >= written;
    await this.cluster.whenInSync(`plan-${disk.name}`, { secondsMax: 600, until });
  }

  /** From the request to the fact that the replica is consistent; telemetry, which lags up to a second behind, may not say so yet. */
  secondsToProtect(disk: ProtectedDisk, options?: PlanOptions): Promise<number> {
    return secondsOf(async () => {
      await this.cluster.createPlan(`plan-${disk.name}`, disk.name, options);
      await waitFor(`${disk.name} to be protected`, 600, async () => {
        const { pairs } = await this.cluster.planStatus(`plan-${disk.name}`);
        return pairs.length > 0 && pairs.every(({ stage }) => stage === 'differential-sync');
      });
    });
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

  /** Opens a view of the disk; `point` as in the command. Whoever opens it closes it. */
  async openView(disk: ProtectedDisk, ...point: readonly string[]): Promise<{ readonly uri: string; readonly close: () => Promise<void> }> {
    const { views } = await this.cluster.cli<{ views: View[] }>('view', 'open', disk.name, ...point);
    const [view] = views;
    if (!view?.nbdUris[0]) throw new Error(`no view of ${disk.name} was opened`);
    return { uri: view.nbdUris[0], close: () => this.cluster.cli('view', 'close', view.viewId) };
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

  async stop(): Promise<void> {
    for (const profiled of this.#profiled) profiled.close();
    await this.cluster.stop();
  }

  async #openProfiles(): Promise<ProfiledProcess[]> {
    const processes = (await this.cluster.processes()).filter((candidate) => dataPlane.includes(candidate.name));
    return Promise.all(processes.map(async (process) => ProfiledProcess.open({ name: process.name, url: await inspectorUrlOf(process) })));
  }
}
