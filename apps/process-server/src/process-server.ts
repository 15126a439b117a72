// SPDX-License-Identifier: Apache-2.0
import { type ProcessServerDesiredState, processServerDesiredStateSchema, type ProcessServerPairTelemetry } from '@secondsite/contracts';
import { clockMicros, type DiskDirectory, type FolderLock, lockFolder, openDirectory, readJsonFile, writeJsonAtomically } from '@secondsite/disk-files';
import { BodyPool, type Authorize, ChangeSetClient, ChangeSetServer, type RefusedPeer } from '@secondsite/transport';
import { type ByteCount, MIB } from '@secondsite/units';
import { compressZstd } from '@secondsite/zstd';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionOptions, SecureContextOptions, TlsOptions } from 'node:tls';
import { ByteBudget } from './byte-budget';
import { ThreadedDeduplicator, type ThreadedDeduplicatorOptions } from './deduplication/deduplicator';
import { TrafficShaper } from './forward/traffic-shaper';
import type { FactReporter } from './control/control-plane';
import { PairRegistry } from './pair-registry';
import { ChangeSetReceiver } from './receive/change-set-receiver';
import { FreeSpaceGuard } from './receive/free-space-guard';
import { SpoolScrubber, type SpoolScrubberOptions } from './spool/spool-scrubber';
import { processTimers } from './timers';

export interface ProcessServerOptions {
  readonly dataDir: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** Undefined for both: plain HTTP (development switch). */
  readonly serverTls?: TlsOptions | undefined;
  readonly clientTls?: ConnectionOptions | undefined;
  readonly authorize: Authorize;
  readonly onRefusedPeer?: (refused: RefusedPeer) => void;
  readonly reporter: FactReporter;
  /** Fewer free bytes than this: nothing more is accepted. */
  readonly freeBytesMin: ByteCount;
  /** Memory for sets kept until they are forwarded, and again as much for sets read back from disk. */
  readonly memoryBytesMax: ByteCount;
  /** How change sets that wait long are read again; default 8 MiB/s, those of five minutes. */
  readonly scrub?: Pick<SpoolScrubberOptions, 'bytesPerSecond' | 'waitMicros'>;
  /** Undefined: pairs are not deduplicated, whatever the desired state says. */
  readonly deduplication?: Pick<ThreadedDeduplicatorOptions, 'tenantId' | 'bytesMax'> | undefined;
  /** The process cannot go on and has to be started anew. */
  readonly onFatal: (error: unknown) => void;
}

const checkpointMillis = 500;
const freeSpaceMillis = 1000;
const connectionsPerTarget = 4;
const receiveBytesMax = 72 * MIB;

/** The data plane of a process server: keeps change sets durably and forwards them. Needs no bus and no database. */
export class ProcessServer {
  readonly #options: ProcessServerOptions;
  readonly #lock: FolderLock;
  readonly #freeSpace: FreeSpaceGuard;
  readonly #pairs: PairRegistry;
  readonly #server: ChangeSetServer;
  readonly #shaper = new TrafficShaper({ clock: { now: () => performance.now(), sleep: delay }, wallMillis: () => clockMicros() / 1000 });
  /** Clients that forwarding closed stay here until the next renewal, which does them no harm. */
  readonly #clients = new Set<WeakRef<ChangeSetClient>>();
  readonly #scrubber: SpoolScrubber;
  readonly #deduplicator: ThreadedDeduplicator | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  #clientTls: ConnectionOptions | undefined;

  private constructor(
    options: ProcessServerOptions,
    parts: { readonly lock: FolderLock; readonly freeSpace: FreeSpaceGuard; readonly spool: DiskDirectory },
  ) {
    this.#options = options;
    this.#lock = parts.lock;
    this.#freeSpace = parts.freeSpace;
    this.#clientTls = options.clientTls;
    const { deduplication, onFatal } = options;
    this.#deduplicator = deduplication && new ThreadedDeduplicator({ ...deduplication, onFatal });
    const pool = new BodyPool({ idleBytesMax: receiveBytesMax + 2 * options.memoryBytesMax });
    this.#pairs = new PairRegistry({
      directory: parts.spool,
      removeData: (pairId) => rm(join(parts.spool.path, pairId), { recursive: true, force: true }),
      memory: new ByteBudget(options.memoryBytesMax),
      pool,
      services: {
        now: clockMicros,
        timers: processTimers,
        compress: compressZstd,
        deduplicator: this.#deduplicator,
        reporter: options.reporter,
        freeSpace: parts.freeSpace,
        forwardBudget: new ByteBudget(options.memoryBytesMax),
        shaper: this.#shaper,
        connect: (url) => this.#connect(url),
      },
    });
    this.#scrubber = new SpoolScrubber({ bytesPerSecond: 8 * MIB, waitMicros: 300e6, ...options.scrub, now: clockMicros, delay, pairs: () => this.#pairs.all() });
    this.#server = new ChangeSetServer({
      handler: new ChangeSetReceiver({ pairs: this.#pairs, reporter: options.reporter, now: clockMicros, onFatal }),
      authorize: options.authorize,
      pool,
      ...(options.serverTls ? { tls: options.serverTls } : {}),
      ...(options.onRefusedPeer ? { onRefusedPeer: options.onRefusedPeer } : {}),
      limits: { budgetBytes: receiveBytesMax, peerBudgetBytes: (receiveBytesMax / 4) * 3 },
    });
  }

  /** Takes the data folder (refused while another process has it), and opens the pairs of the last known desired state. Does not listen yet. */
  static async open(options: ProcessServerOptions): Promise<ProcessServer> {
    const directory = await openDirectory(options.dataDir);
    const lock = lockFolder(options.dataDir);
    const freeSpace = new FreeSpaceGuard(directory, options.freeBytesMin);
    await freeSpace.refresh();
    const server = new ProcessServer(options, { lock, freeSpace, spool: await directory.directory('spool') });
    const known = processServerDesiredStateSchema.safeParse(await readJsonFile(server.#desiredStateFile));
    if (known.success) await server.#reconcilePairs(known.data);
    server.#every(checkpointMillis, () => server.#pairs.checkpoint());
    server.#every(freeSpaceMillis, () => freeSpace.refresh());
    server.#every(freeSpaceMillis, async () => server.#scrubber.tick());
    return server;
  }

  get pairs(): PairRegistry {
    return this.#pairs;
  }

  get freeBytes(): ByteCount {
    return this.#freeSpace.freeBytes;
  }

  /** Undefined when all is well; else why this process server accepts nothing. */
  notReadyReason(): string | undefined {
    if (!this.#freeSpace.hasRoomFor(0)) return `less than ${this.#freeSpace.freeBytesMin} bytes are free in ${this.#options.dataDir}`;
    return this.#pairs.revision === undefined ? 'no desired state has arrived yet' : undefined;
  }

  listen(): Promise<{ readonly port: number; readonly url: string }> {
    return this.#server.listen(this.#options.listen);
  }

  /** Obeys a new desired state; remembered over restarts when this resolves. */
  async reconcile(desired: ProcessServerDesiredState): Promise<void> {
    await writeJsonAtomically(this.#desiredStateFile, desired);
    await this.#reconcilePairs(desired);
  }

  telemetry(): ProcessServerPairTelemetry[] {
    return [...this.#pairs.all()].map((pair) => pair.telemetry());
  }

  /** Uses renewed certificates for new connections. */
  useCertificates(renewed: { readonly server: SecureContextOptions; readonly client: ConnectionOptions }): void {
    this.#clientTls = renewed.client;
    this.#server.setSecureContext(renewed.server);
    for (const client of this.#clients) client.deref()?.setTls(renewed.client);
  }

  /** Answers what is under way, makes the state durable and lets go of the folder. What is not forwarded stays for the next start. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#server.close();
    await this.#scrubber.stop();
    await this.#pairs.close();
    await this.#deduplicator?.close();
    this.#lock.release();
  }

  async #reconcilePairs(desired: ProcessServerDesiredState): Promise<void> {
    this.#shaper.configure(desired.links);
    await this.#pairs.reconcile(desired);
  }

  get #desiredStateFile(): string {
    return join(this.#options.dataDir, 'desired-state.json');
  }

  #connect(url: string): ChangeSetClient {
    const client = new ChangeSetClient({ url, connectionsMax: connectionsPerTarget, ...(this.#clientTls ? { tls: this.#clientTls } : {}) });
    this.#clients.add(new WeakRef(client));
    return client;
  }

  #every(millis: number, run: () => Promise<void>): void {
    this.#timers.push(setInterval(() => void run().catch(this.#options.onFatal), millis));
  }
}
