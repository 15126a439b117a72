// SPDX-License-Identifier: Apache-2.0
/**
 * Agent, process server and master target with their real threads, disks and connections in one process, without the control plane: a network
 * that can go wrong between each two of them, and a folder of its own for each, which may lie on a disk that goes wrong.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentHost, BufferBudget } from '@secondsite/agent';
import { waitFor } from '@secondsite/cli/testing';
import type { AgentDesiredState, AgentVolumeTelemetry } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import { TargetServer } from '@secondsite/master-target';
import { NbdClient } from '@secondsite/nbd';
import { ProcessServer } from '@secondsite/process-server';
import type { LossyLink } from '@secondsite/qemu/testing';
import { allowEveryone } from '@secondsite/transport';
import { isoFromMicros, MIB, type TimeMicros } from '@secondsite/units';
import { blockBytes, type AcknowledgementLog } from '../system/acknowledgement-log';
import type { Random } from '../system/random';
import { StampedLoad } from '../system/stamped-load';
import { FaultyWire } from './faulty-wire';

export type Part = 'agent' | 'process-server' | 'master-target';

export interface DataPathOptions {
  readonly random: Random;
  readonly volumeBytes: number;
  /** Where a part keeps its data; default: a folder that is removed at the end. */
  readonly folders?: Partial<Record<Part, string>>;
  /** Memory for captured writes; a small one overflows soon. */
  readonly bufferBytes?: number;
  readonly freeBytesMin?: number;
  /** What the process server may keep of the pair; above it the agent is held off. Default 1 GiB. */
  readonly spoolBytesMax?: number;
  /** Lies in the way of both hops, before the wires. */
  readonly link?: LossyLink;
}

export class DataPath {
  readonly #options: DataPathOptions;
  readonly #folder: string;
  readonly pairId = randomUUID();
  /** Agent to process server, and on to the master target. */
  readonly near: FaultyWire;
  readonly far: FaultyWire;
  /** `kind code` of what the parts reported. */
  readonly reports: string[] = [];
  /** What a part could not go on with; the process would end and be started anew. */
  readonly fatal: { readonly part: Part; readonly error: unknown }[] = [];
  #host!: AgentHost;
  #processServer!: ProcessServer;
  #target!: TargetServer;
  #desired!: AgentDesiredState;
  #targetUrl = '';
  #views = 0;

  private constructor(options: DataPathOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
    const below = (limit: number): number => options.random.below(limit);
    [this.near, this.far] = [new FaultyWire(below), new FaultyWire(below)];
  }

  /** A protected disk whose baseline is under way. */
  static async start(options: DataPathOptions): Promise<DataPath> {
    const path = new DataPath(options, await mkdtemp(join(tmpdir(), 'secondsite-faults-')));
    await path.#startTarget();
    await path.#startProcessServer();
    const image = await open(join(path.#folder, 'disk.img'), 'w');
    await image.truncate(options.volumeBytes);
    await image.close();
    await path.#startAgent();
    return path;
  }

  async uri(): Promise<string> {
    return (await this.agent()).nbdUris[0] as string;
  }

  async agent(): Promise<AgentVolumeTelemetry> {
    const [volume] = await this.#host.telemetry();
    if (!volume) throw new Error('the agent has no volume yet');
    return volume;
  }

  async target(): Promise<{ readonly green: boolean; readonly coveredTime: TimeMicros; readonly fault: string | undefined }> {
    const { green, coveredTime, fault } = await this.#target.status(this.pairId);
    return { green, coveredTime, fault: fault?.code };
  }

  processServerFault(): string | undefined {
    return this.#processServer.telemetry()[0]?.fault?.code;
  }

  spoolBytes(): number {
    return this.#processServer.telemetry()[0]?.spoolBytes ?? 0;
  }

  /** Begins to write stamped blocks all over the disk; resolves when the pair is in sync. The caller ends it. */
  async startLoad({ pauseMillis }: { readonly pauseMillis: number }): Promise<StampedLoad> {
    const { random, volumeBytes } = this.#options;
    await waitFor('the disk to be exported', 20, async () => (await this.uri()) !== undefined);
    const load = new StampedLoad({ uri: await this.uri(), blocks: volumeBytes / blockBytes, random, pauseMillis });
    load.start();
    await this.inSync(clockMicros());
    return load;
  }

  /** Everything acknowledged until now is at the target, whose newest instants are exact. */
  async inSync(after: TimeMicros): Promise<void> {
    await waitFor('the target to be exact and up to date', 60, async () => {
      const { green, coveredTime } = await this.target();
      return green && coveredTime > after;
    });
  }

  /** Starts a part whose process ended on what its folder holds. */
  async restart(part: Part): Promise<void> {
    if (part === 'agent') {
      await this.#host.close();
      await this.#startAgent();
    } else if (part === 'process-server') {
      await this.#processServer.close();
      await this.#startProcessServer();
      await this.#host.reconcile(this.#desired);
    } else {
      await this.#target.close();
      await this.#startTarget();
    }
  }

  /** What views at the newest point and at random exact instants hold against the log, in words; empty when all are right. */
  async violations(log: AcknowledgementLog, { instants }: { readonly instants: number }): Promise<string[]> {
    const { ranges } = await this.#target.points(this.pairId, {});
    const green = ranges.filter((range) => range.green);
    const found: string[] = [];
    for (let instant = 0; instant < instants; instant++) {
      const { from, to } = green.at(-1 - (instant % green.length)) as (typeof green)[number];
      found.push(...(await this.#violationsAt(log, instant === 0 ? to : from + this.#options.random.below(to - from + 1))));
    }
    return found.slice(0, 5);
  }

  async stop(): Promise<void> {
    await this.#host?.close();
    await this.#processServer?.close();
    await this.#target?.close();
    await Promise.all([this.near.stop(), this.far.stop()]);
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #violationsAt(log: AcknowledgementLog, at: TimeMicros): Promise<string[]> {
    const viewId = `view-${(this.#views += 1)}`;
    const answer = await this.#target.openView(this.pairId, { viewId, pointTime: at, readWrite: false });
    if (!answer.ok) return [`the view of ${isoFromMicros(at)} was refused: ${answer.reason}`];
    const client = await NbdClient.connect(answer.view.nbdUris[0] as string);
    try {
      const read = async (first: number, count: number): Promise<Buffer> => {
        const data = Buffer.alloc(count * blockBytes);
        await client.read(first * blockBytes, data);
        return data;
      };
      return await log.violations({ at, blocks: this.#options.volumeBytes / blockBytes, read });
    } finally {
      await client.disconnect();
      await this.#target.closeView(viewId);
    }
  }

  async #folderOf(part: Part): Promise<string> {
    const folder = this.#options.folders?.[part] ?? join(this.#folder, part);
    await mkdir(folder, { recursive: true });
    return folder;
  }

  async #acrossLink(url: string): Promise<string> {
    return (await this.#options.link?.lead(url)) ?? url;
  }

  #fails(part: Part): (error: unknown) => void {
    return (error) => void this.fatal.push({ part, error });
  }

  async #startTarget(): Promise<void> {
    const { freeBytesMin = 0, volumeBytes } = this.#options;
    this.#target = await TargetServer.open({
      dataDir: await this.#folderOf('master-target'), listen: { host: '127.0.0.1', port: 0 }, advertiseHost: '127.0.0.1', authorize: allowEveryone, overAllocate: true,
      limits: { freeBytesMin },
      reporter: { pairEvent: (_pairId, event) => void this.reports.push('code' in event ? `${event.kind} ${event.code}` : event.kind), overAllocated: () => undefined },
      onFatal: this.#fails('master-target'),
    });
    await this.#target.reconcile({ revision: 1, pairs: [{ pairId: this.pairId, volumeId: 'volume', volumeName: 'disk', sizeBytes: volumeBytes, retention: { windowSeconds: 86_400 } }], removedPairs: [] });
    await this.far.stop();
    this.#targetUrl = await this.far.start(await this.#acrossLink((await this.#target.listen()).url));
    await this.#reconcileProcessServer();
  }

  async #startProcessServer(): Promise<void> {
    this.#processServer = await ProcessServer.open({
      dataDir: await this.#folderOf('process-server'), listen: { host: '127.0.0.1', port: 0 }, authorize: allowEveryone,
      reporter: { report: (fact) => void this.reports.push('code' in fact ? `${fact.kind} ${fact.code}` : fact.kind) },
      freeBytesMin: this.#options.freeBytesMin ?? 0, memoryBytesMax: 24 * MIB, onFatal: this.#fails('process-server'),
    });
    await this.near.stop();
    const processServerUrl = await this.near.start(await this.#acrossLink((await this.#processServer.listen()).url));
    await this.#reconcileProcessServer();
    const bufferBytes = this.#options.bufferBytes ?? 64 * MIB;
    const pair = { pairId: this.pairId, processServerUrl, paused: false, compression: 'none' as const, folding: false, bufferBytes, resyncRequest: 0, resyncTurn: true };
    this.#desired = {
      revision: (this.#desired?.revision ?? 0) + 1, consistencyGroups: [],
      volumes: [{ volumeId: 'volume', name: 'disk', tap: { kind: 'nbd', source: join(this.#folder, 'disk.img') }, pair }],
    };
  }

  async #reconcileProcessServer(): Promise<void> {
    const spoolBytesMax = this.#options.spoolBytesMax ?? 1024 * MIB;
    await this.#processServer?.reconcile({
      revision: 1, removedPairs: [], links: [],
      pairs: [{ pairId: this.pairId, masterTargetUrl: this.#targetUrl, compression: 'none', paused: false, priority: 'normal', linkIds: [], spoolBytesMax: { resync: spoolBytesMax, differential: spoolBytesMax } }],
    });
  }

  async #startAgent(): Promise<void> {
    const budget = { shared: BufferBudget.createShared(), bytesMax: this.#options.bufferBytes ?? 64 * MIB };
    this.#host = await AgentHost.open({
      environment: { dataDir: await this.#folderOf('agent'), budget, segmentDataBytes: 2 * MIB, nbdTcp: undefined, traceRatio: 0, traceSlowMillis: 60_000 },
      credentials: undefined,
      onFact: (fact) => void this.reports.push(`agent ${fact.kind}`),
      onBookmark: () => undefined,
      onPassed: () => undefined,
      onFailure: this.#fails('agent'),
    });
    await this.#host.reconcile(this.#desired);
  }
}
