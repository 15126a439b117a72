// SPDX-License-Identifier: Apache-2.0
// Agent, process server and master target of one pair without a control plane, so that a resynchronisation can be asked for and timed by itself.
// The agent's volume and the target's pair have threads of their own, as in their processes; all three share one main thread.
import { AgentHost, type AgentHostOptions } from '@secondsite/agent';
import { waitFor } from '@secondsite/cli/testing';
import type { AgentPair } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import { TargetServer } from '@secondsite/master-target';
import { NbdClient } from '@secondsite/nbd';
import { ProcessServer } from '@secondsite/process-server';
import { allowEveryone } from '@secondsite/transport';
import { GIB, MIB } from '@secondsite/units';
import { randomUUID } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { secondsOf } from './measure';

export interface BlockCounts {
  readonly compared: number;
  readonly sent: number;
  readonly skipped: number;
}

const host = '127.0.0.1';
const fatal = (error: unknown): void => {
  throw error;
};

export interface ResyncSiteOptions {
  readonly folder: string;
  readonly image: string;
  readonly sizeBytes: number;
  /** The way from the process server to the master target: gives the address to use for the one that the target has. Default: that one. */
  readonly lead?: (targetUrl: string) => Promise<string>;
}

export class ResyncSite {
  readonly #folder: string;
  readonly #image: string;
  readonly #sizeBytes: number;
  readonly #pairId = randomUUID();
  readonly #volumeId = randomUUID();
  readonly #processServer: ProcessServer;
  #processServerUrl = '';
  #target!: TargetServer;
  #targetPort = 0;
  #agent!: AgentHost;
  #resyncRequest = 0;
  #counts: BlockCounts | undefined;
  #revision = 0;
  #reached = Promise.withResolvers<void>();

  private constructor(options: ResyncSiteOptions, processServer: ProcessServer) {
    this.#folder = options.folder;
    this.#image = options.image;
    this.#sizeBytes = options.sizeBytes;
    this.#processServer = processServer;
  }

  /** Protects the image; resolves in differential sync. */
  static async start(options: ResyncSiteOptions): Promise<ResyncSite> {
    const processServer = await ProcessServer.open({
      dataDir: join(options.folder, 'process-server'), listen: { host, port: 0 }, authorize: allowEveryone, reporter: { report: () => undefined },
      freeBytesMin: 0, memoryBytesMax: 24 * MIB, onFatal: fatal,
    });
    const site = new ResyncSite(options, processServer);
    await site.#openTarget();
    site.#processServerUrl = (await processServer.listen()).url;
    const targetUrl = `http://${host}:${site.#targetPort}`;
    const masterTargetUrl = (await options.lead?.(targetUrl)) ?? targetUrl;
    await processServer.reconcile({
      revision: 1, removedPairs: [], links: [],
      pairs: [{ pairId: site.#pairId, masterTargetUrl, compression: 'none', paused: false, priority: 'normal', linkIds: [], spoolBytesMax: { resync: 2 * GIB, differential: 8 * GIB } }],
    });
    await site.#openAgent();
    await site.#obey({ paused: false });
    await site.#reached.promise;
    return site;
  }

  /** What the agent told of its last comparison. */
  get counts(): BlockCounts | undefined {
    return this.#counts;
  }

  async uri(): Promise<string> {
    const [volume] = await this.#agent.telemetry();
    return volume?.nbdUris[0] ?? '';
  }

  /** How far the target is behind now, in seconds. */
  async rpoSeconds(): Promise<number> {
    const { coveredTime } = await this.#target.status(this.#pairId);
    return (clockMicros() - coveredTime) / 1e6;
  }

  get replicaImage(): string {
    return join(this.#folder, 'target', 'pairs', this.#pairId, 'replica.img');
  }

  /** Nothing is known of any block afterwards, as in the first comparison of a pair. */
  async forgetChecksums(): Promise<void> {
    await this.#agent.close();
    await this.#target.close();
    for (const [folder, isChecksums] of [[join('agent', 'volumes', this.#volumeId), /\.(checksums|stale)$/], [join('target', 'pairs', this.#pairId), /^replica-blocks/]] as const) {
      const names = await readdir(join(this.#folder, folder));
      for (const name of names.filter((candidate) => isChecksums.test(candidate))) await rm(join(this.#folder, folder, name));
    }
    await this.#openTarget();
    await this.#openAgent();
    await waitFor('the pair to go on', 60, async () => {
      const [[volume], [pair]] = await Promise.all([this.#agent.telemetry(), this.#target.telemetry()]);
      return pair?.green === true && pair.epoch === volume?.epoch && volume.mode === 'data';
    });
  }

  /** Writes through the tap that stay in the agent's memory, for a resynchronisation to come; at most so many as fit there. */
  async writeUnshipped(writes: readonly { readonly offset: number; readonly bytes: Uint8Array }[]): Promise<void> {
    await this.#obey({ paused: true });
    const client = await NbdClient.connect(await this.uri());
    for (const { offset, bytes } of writes) await client.write(offset, bytes);
    await client.disconnect();
  }

  /** Asks for a resynchronisation of the whole volume; seconds until the replica is consistent. */
  secondsToResync(): Promise<number> {
    this.#resyncRequest += 1;
    this.#reached = Promise.withResolvers();
    return secondsOf(async () => {
      await this.#obey({ paused: true });
      await this.#obey({ paused: false });
      await this.#reached.promise;
    });
  }

  async stop(): Promise<void> {
    await this.#agent.close();
    await this.#processServer.close();
    await this.#target.close();
  }

  async #openTarget(): Promise<void> {
    this.#target = await TargetServer.open({
      dataDir: join(this.#folder, 'target'), listen: { host, port: this.#targetPort }, advertiseHost: host, authorize: allowEveryone, overAllocate: true, onFatal: fatal,
      reporter: { pairEvent: (_pairId, { kind }) => void (kind === 'differential-sync-reached' && this.#reached.resolve()), overAllocated: () => undefined },
    });
    const { port } = await this.#target.listen();
    this.#targetPort = port;
    const pair = { pairId: this.#pairId, volumeId: this.#volumeId, volumeName: 'bench', sizeBytes: this.#sizeBytes, retention: { windowSeconds: 3600, spaceBytes: GIB } };
    await this.#target.reconcile({ revision: 1, pairs: [pair], removedPairs: [] });
  }

  async #openAgent(): Promise<void> {
    this.#agent = await AgentHost.open({
      environment: {
        dataDir: join(this.#folder, 'agent'), budget: { shared: new SharedArrayBuffer(4), bytesMax: 225 * MIB }, segmentDataBytes: 8 * MIB, nbdTcp: undefined, traceRatio: 0, traceSlowMillis: undefined,
      },
      credentials: undefined, onFact: (fact) => this.#noteFact(fact), onBookmark: () => undefined, onPassed: () => undefined, onFailure: fatal,
    });
  }

  #noteFact(fact: Parameters<AgentHostOptions['onFact']>[0]): void {
    if (fact.kind !== 'resync-compared') return;
    const { comparedBlocks: compared, sentBlocks: sent, skippedBlocks: skipped } = fact;
    this.#counts = { compared, sent, skipped };
  }

  #obey(change: Pick<AgentPair, 'paused'>): Promise<void> {
    const pair: AgentPair = {
      pairId: this.#pairId, processServerUrl: this.#processServerUrl, compression: 'none', folding: false, bufferBytes: 225 * MIB, resyncRequest: this.#resyncRequest, resyncTurn: true, ...change,
    };
    const volume = { volumeId: this.#volumeId, name: 'bench', tap: { kind: 'nbd' as const, source: this.#image }, pair };
    return this.#agent.reconcile({ revision: (this.#revision += 1), volumes: [volume], consistencyGroups: [] });
  }
}
