// SPDX-License-Identifier: Apache-2.0
// All volumes of one host. Keeps what it should be doing on disk, so that it starts without the control plane; failures of one volume
// never touch another.
import {
  type AgentDesiredState, agentDesiredStateSchema, type AgentVolume, type AgentVolumeTelemetry, type BookmarkLevel, type ConsistencyGroup, type FreezeHook,
  type FrozenLevel, type HookResult, levelOfHook,
} from '@secondsite/contracts';
import { clockMicros, type FolderLock, lockFolder, openDirectory, readJsonFile, writeJsonAtomically } from '@secondsite/disk-files';
import { isOperationError, isoFromMicros, OperationError } from '@secondsite/units';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { QemuMachines } from '../qemu-tap/qemu-machine';
import type { ChangeSetHops } from '../volume/change-set-hop-log';
import type { ReplicationFact } from '../volume/replication-fact';
import type { Credentials, VolumeEnvironment, VolumeSettings } from '../volume/volume-thread';
import { cutTogether, type TogetherCut, type VolumeToCut } from './cut-together';
import { FrozenVolumes } from './frozen-volumes';
import { RateMeter } from './rate-meter';
import { SharedCuts } from './shared-cuts';
import { VolumeRunner } from './volume-runner';
import { volumeTelemetry } from './volume-telemetry';

export interface BookmarkRequest {
  readonly bookmarkId: string;
  readonly name: string;
  readonly level: BookmarkLevel;
  readonly planId?: string | undefined;
  readonly volumeIds: readonly string[];
}

/** See `cutHeldOperation`. */
export interface SharedCutRequest extends Pick<BookmarkRequest, 'bookmarkId' | 'name' | 'level'> {
  readonly holdId: string;
  readonly freezeId?: string | undefined;
  readonly hosts: number;
}

export interface FreezeRequest {
  readonly freezeId: string;
  readonly volumeIds: readonly string[];
  readonly level: FrozenLevel;
  /** Thaw at the first failure. */
  readonly isStrict: boolean;
  /** Everything is thawed at the latest after so long. */
  readonly limitMillis: number;
}

export type BookmarkReport = BookmarkRequest & ({ readonly kind: 'created'; readonly cut: TogetherCut } | { readonly kind: 'failed'; readonly code: string; readonly reason: string });

export interface AgentHostOptions {
  /** Without `credentials`: those come from `useCredentials` and `credentials`. */
  readonly environment: Omit<VolumeEnvironment, 'credentials'>;
  readonly credentials: Credentials | undefined;
  readonly onFact: (fact: ReplicationFact) => void;
  readonly onBookmark: (report: BookmarkReport) => void;
  readonly onPassed: (passed: { readonly pairId: string; readonly hops: ChangeSetHops }) => void;
  readonly onFailure: (error: unknown, volumeId: string) => void;
}

const BOOKMARKS_REMEMBERED = 256;

export class AgentHost {
  readonly #options: AgentHostOptions;
  readonly #lock: FolderLock;
  readonly #machines: QemuMachines;
  readonly #runners = new Map<string, VolumeRunner>();
  readonly #rates = new Map<string, RateMeter>();
  readonly #bookmarks = new Map<string, Promise<TogetherCut>>();
  readonly #sharedCuts = new SharedCuts(clockMicros);
  readonly #frozen: FrozenVolumes;
  #hooks: ReadonlyMap<string, readonly FreezeHook[]> = new Map();
  #groupTimers: NodeJS.Timeout[] = [];
  #groups: readonly ConsistencyGroup[] = [];
  #credentials: Credentials | undefined;
  #revision: number | undefined;
  #working: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(options: AgentHostOptions, lock: FolderLock) {
    this.#options = options;
    this.#credentials = options.credentials;
    this.#lock = lock;
    this.#machines = new QemuMachines(options.environment.dataDir);
    this.#frozen = new FrozenVolumes(options.environment.dataDir);
  }

  /** Takes the data folder (refused while another agent has it) and starts the volumes of the last known desired state. */
  static async open(options: AgentHostOptions): Promise<AgentHost> {
    const { dataDir } = options.environment;
    await openDirectory(dataDir);
    const host = new AgentHost(options, lockFolder(dataDir));
    await host.#frozen.thawLeftovers();
    const known = agentDesiredStateSchema.safeParse(await readJsonFile(host.#desiredStateFile));
    if (known.success) await host.#obey(known.data).catch((error: unknown) => options.onFailure(error, 'all'));
    return host;
  }

  /** Undefined when all is well; else what is missing. */
  notReadyReason(): string | undefined {
    if (this.#revision === undefined) return 'no desired state has arrived yet';
    const failed = [...this.#runners.values()].find((runner) => runner.failure !== undefined);
    return failed ? `volume ${failed.settings.volumeId}: ${failed.failure?.hint}` : undefined;
  }

  /** Obeys a new desired state; remembered over restarts when this resolves. Throws when a volume could not obey: repeat it then. */
  reconcile(desired: AgentDesiredState): Promise<void> {
    const done = this.#working.then(async () => {
      await writeJsonAtomically(this.#desiredStateFile, desired);
      await this.#obey(desired);
    });
    this.#working = done.catch(() => undefined); // The caller sees the failure.
    return done;
  }

  async telemetry(): Promise<AgentVolumeTelemetry[]> {
    return Promise.all([...this.#runners.values()].map((runner) => this.#telemetryOf(runner)));
  }

  /** One cut through the volumes named. Repeated with the same id it answers the same cut. Throws OperationError `bookmark/…`, `volume/…`. */
  createBookmark(request: BookmarkRequest): Promise<TogetherCut> {
    const known = this.#bookmarks.get(request.bookmarkId);
    if (known) return known;
    const cut = this.#cut(request);
    this.#bookmarks.set(request.bookmarkId, cut);
    const [oldest] = this.#bookmarks.keys();
    if (this.#bookmarks.size > BOOKMARKS_REMEMBERED && oldest !== undefined) this.#bookmarks.delete(oldest);
    cut.catch(() => this.#bookmarks.delete(request.bookmarkId));
    return cut;
  }

  /** First step of a cut through several hosts: no write reaches the volumes until the second, or for `limitMillis`. */
  async holdWrites({ volumeIds, ...limits }: { readonly holdId: string; readonly volumeIds: readonly string[]; readonly limitMillis: number }): Promise<void> {
    await this.#sharedCuts.hold(this.#volumesToCut(volumeIds), limits);
  }

  /** Second step. Throws OperationError `bookmark/held-too-long`, and `bookmark/thawed-too-early` when the freeze did not last until after it. */
  async cutHeld({ holdId, freezeId, bookmarkId, name, level, hosts }: SharedCutRequest): Promise<TogetherCut> {
    if (freezeId !== undefined) this.#frozen.assertFrozen(freezeId);
    const cut = await this.#sharedCuts.cut(holdId, { kind: 'bookmark', bookmarkId, name, level, hosts });
    if (freezeId !== undefined) this.#frozen.assertFrozen(freezeId);
    return cut;
  }

  /** Instead of the second step. */
  releaseWrites(holdId: string): Promise<boolean> {
    return this.#sharedCuts.release(holdId);
  }

  /** Runs the volumes' hooks up to the level: applications stand still first, then the file systems under them. Throws OperationError `freeze/busy`. */
  freezeVolumes({ volumeIds, level, ...wish }: FreezeRequest): Promise<readonly HookResult[]> {
    const hooks = volumeIds.flatMap((volumeId) => (this.#hooks.get(volumeId) ?? []).map((hook) => ({ volumeId, hook })));
    const ofLevel = (one: FrozenLevel) => hooks.filter(({ hook }) => levelOfHook[hook.kind] === one);
    return this.#frozen.freeze({ ...wish, hooks: [...(level === 'application' ? ofLevel('application') : []), ...ofLevel('file-system')] });
  }

  thawVolumes(freezeId: string): Promise<readonly HookResult[]> {
    return this.#frozen.thaw(freezeId);
  }

  /** When a change set passed the agent; undefined when it is not remembered. */
  async hops(pairId: string, key?: { readonly epoch: number; readonly sequence: number }): Promise<ChangeSetHops | undefined> {
    const runner = [...this.#runners.values()].find((candidate) => candidate.settings.pair?.pairId === pairId);
    return runner?.thread.call('hops', key);
  }

  useCredentials(credentials: Credentials): void {
    this.#credentials = credentials;
    for (const runner of this.#runners.values()) runner.useCredentials(credentials);
  }

  /** Drains and ends every volume. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#schedule([]);
    await this.#frozen.close();
    await this.#working;
    const results = await Promise.allSettled([...this.#runners.values()].map((runner) => runner.close()));
    this.#lock.release();
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  get #desiredStateFile(): string {
    return join(this.#options.environment.dataDir, 'desired-state.json');
  }

  async #obey(desired: AgentDesiredState): Promise<void> {
    if (this.#closed) return;
    const wanted = new Map(desired.volumes.map((volume) => [volume.volumeId, settingsOf(volume)]));
    for (const [volumeId, runner] of this.#runners) {
      const settings = wanted.get(volumeId);
      if (!settings || JSON.stringify(settings.tap) !== JSON.stringify(runner.settings.tap) || settings.sizeBytes !== runner.settings.sizeBytes) await this.#remove(volumeId, runner);
    }
    const results = await Promise.allSettled([...wanted.values()].map((settings) => this.#set(settings)));
    this.#hooks = new Map(desired.volumes.map(({ volumeId, hooks = [] }) => [volumeId, hooks]));
    this.#schedule(desired.consistencyGroups);
    this.#revision = desired.revision;
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async #set(settings: VolumeSettings): Promise<void> {
    const runner = this.#runners.get(settings.volumeId);
    if (runner) return runner.configure(settings);
    const { onFact, onPassed, onFailure } = this.#options;
    const environment = () => ({ ...this.#options.environment, credentials: this.#credentials });
    const added = new VolumeRunner(settings, { environment, machines: this.#machines, onFact, onPassed, onFailure });
    this.#runners.set(settings.volumeId, added);
    await added.start();
  }

  async #remove(volumeId: string, runner: VolumeRunner): Promise<void> {
    this.#runners.delete(volumeId);
    this.#rates.delete(volumeId);
    await runner.close();
  }

  async #cut(request: BookmarkRequest): Promise<TogetherCut> {
    const { bookmarkId, name, level, volumeIds } = request;
    try {
      const cut = await cutTogether(this.#volumesToCut(volumeIds), { kind: 'bookmark', bookmarkId, name, level }, clockMicros);
      this.#options.onBookmark({ ...request, kind: 'created', cut });
      return cut;
    } catch (error) {
      const code = isOperationError(error) ? error.code : 'bookmark/failed';
      this.#options.onBookmark({ ...request, kind: 'failed', code, reason: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  }

  #volumesToCut(volumeIds: readonly string[]): VolumeToCut[] {
    return volumeIds.map((volumeId) => ({ volumeId, thread: this.#runner(volumeId).thread }));
  }

  #runner(volumeId: string): VolumeRunner {
    const runner = this.#runners.get(volumeId);
    if (runner) return runner;
    const hint = 'This host does not have the volume; look at the plan.';
    throw new OperationError({ code: 'volume/unknown', operation: 'create bookmark', context: { volumeId }, retryable: false, hint });
  }

  /** Starts the periodic cuts anew when they changed. A cut that is not possible now (resync) is reported and left out. */
  #schedule(groups: readonly ConsistencyGroup[]): void {
    if (JSON.stringify(groups) === JSON.stringify(this.#groups)) return;
    this.#groups = groups;
    this.#groupTimers.forEach(clearInterval);
    this.#groupTimers = groups.flatMap(({ planId, volumeIds, intervalSeconds }) => {
      if (intervalSeconds === undefined) return [];
      const cut = () => this.createBookmark({ bookmarkId: randomUUID(), name: `consistency ${isoFromMicros(clockMicros())}`, level: 'crash', planId, volumeIds });
      return [setInterval(() => void cut().catch((error: unknown) => this.#options.onFailure(error, planId)), intervalSeconds * 1000)];
    });
  }

  async #telemetryOf(runner: VolumeRunner): Promise<AgentVolumeTelemetry> {
    const { volumeId } = runner.settings;
    const status = await runner.status().catch(() => undefined); // A thread that just died is told as a failure.
    let meter = this.#rates.get(volumeId);
    if (!meter) this.#rates.set(volumeId, (meter = new RateMeter(() => performance.now())));
    return volumeTelemetry(runner.settings, { status, failure: runner.failure ?? runner.tapFault, rates: meter.next(status) });
  }
}

function settingsOf({ volumeId, name, tap, sizeBytes, pair }: AgentVolume): VolumeSettings {
  if (!pair) return { volumeId, name, tap, sizeBytes, pair: undefined };
  const { bufferBytes: _, ...wanted } = pair;
  return { volumeId, name, tap, sizeBytes, pair: wanted };
}
