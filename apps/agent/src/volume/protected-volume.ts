// SPDX-License-Identifier: Apache-2.0
// One volume of the host: its disk, its NBD export, and its replication while it is protected. Needs a thread of its own, because its
// writes block; can be used without one in tests.
import { clientTlsOptions, tlsOptions, verifiedPeer } from '@secondsite/certificates';
import { clockMicros, type DiskFile, openBlockFile } from '@secondsite/disk-files';
import { formatNbdUri, NbdServer } from '@secondsite/nbd';
import { ChangeSetClient } from '@secondsite/transport';
import { OperationError, type TimeMicros } from '@secondsite/units';
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { BufferBudget } from './buffer-budget';
import type { ChangeSetHops } from './change-set-hop-log';
import { PairFiles } from './pair-files';
import { PairReplication } from './pair-replication';
import { prepareChangeSet } from './prepare-change-set';
import type { ReplicationFact } from './replication-fact';
import { SourceDisk } from './source-disk';
import { StreamTimes } from './stream-times';
import { VolumeDevice } from './volume-device';
import type { Credentials, CutReply, CutRequest, PairSettings, VolumeEnvironment, VolumeSettings, VolumeStatus } from './volume-thread';

export interface VolumeListener {
  fact(fact: ReplicationFact): void;
  passed(passed: { readonly pairId: string; readonly hops: ChangeSetHops }): void;
}

interface Protection {
  readonly replication: PairReplication;
  readonly client: ChangeSetClient;
}

const TICK_MILLIS = 20;
/** Writes never wait longer than this, whatever became of the one who asked. */
const HOLD_MILLIS_MAX = 500;
const NBD_GRACE_MILLIS = 2000;
const millis = () => performance.now();

export class ProtectedVolume {
  readonly #environment: VolumeEnvironment;
  readonly #listener: VolumeListener;
  readonly #file: DiskFile;
  readonly #disk: SourceDisk;
  readonly #device: VolumeDevice;
  readonly #files: PairFiles;
  readonly #times = new StreamTimes(clockMicros);
  readonly #budget: BufferBudget;
  /** On the unix socket; who may open that file may use the disk. */
  readonly #nbd = new NbdServer();
  /** On TCP; with credentials only TLS with a certificate of this tenant. */
  #nbdTcp: NbdServer | undefined;
  readonly #ticker: NodeJS.Timeout;
  #settings: VolumeSettings;
  #credentials: Credentials | undefined;
  #pair: PairSettings | undefined;
  #protection: Protection | undefined;
  #nbdUris: string[] = [];
  /** Held for a bookmark since. */
  #heldSince: number | undefined;
  /** Held because the protection changes; then no bookmark lets writes go. */
  #changing = false;
  #holdTimer: NodeJS.Timeout | undefined;
  #configuring: Promise<void> = Promise.resolve();

  private constructor(settings: VolumeSettings, parts: { environment: VolumeEnvironment; listener: VolumeListener; file: DiskFile; files: PairFiles }) {
    this.#settings = settings;
    this.#environment = parts.environment;
    this.#credentials = parts.environment.credentials;
    this.#listener = parts.listener;
    this.#file = parts.file;
    this.#files = parts.files;
    this.#disk = new SourceDisk(parts.file, { millis, ...(settings.sizeBytes === undefined ? {} : { sizeBytes: settings.sizeBytes }) });
    this.#device = new VolumeDevice(this.#disk);
    this.#budget = new BufferBudget(parts.environment.budget);
    this.#ticker = setInterval(() => this.#protection?.replication.tick(), TICK_MILLIS);
  }

  /** Opens the disk, protects it when the settings say so, and exports it. Throws OperationError `storage/…` when the disk cannot be used. */
  static async open(settings: VolumeSettings, environment: VolumeEnvironment, listener: VolumeListener): Promise<ProtectedVolume> {
    const file = openBlockFile(settings.source);
    try {
      if (settings.sizeBytes !== undefined && settings.sizeBytes > file.size()) throw tooSmall(settings, file.size());
      const files = await PairFiles.open(join(environment.dataDir, 'volumes', settings.volumeId));
      const volume = new ProtectedVolume(settings, { environment, listener, file, files });
      await volume.#start();
      return volume;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Obeys changed settings (source and size cannot change); one call after the other. */
  configure(settings: VolumeSettings): Promise<void> {
    const done = this.#configuring.then(() => this.#configure(settings));
    this.#configuring = done.catch(() => undefined); // The caller sees the failure and repeats.
    return done;
  }

  hold(): TimeMicros {
    if (!this.#protection || this.#changing) throw notProtected(this.#settings);
    this.#device.hold();
    this.#heldSince ??= millis();
    this.#holdTimer ??= setTimeout(() => this.release(), HOLD_MILLIS_MAX);
    return this.#times.last;
  }

  /** Ends the open change set with a bookmark at the given time and lets writes go on. */
  cut({ bookmarkId, name, level, time }: CutRequest): CutReply {
    try {
      if (!this.#protection || this.#changing) throw notProtected(this.#settings);
      if (this.#heldSince === undefined) throw heldTooLong(this.#settings);
      const { replication } = this.#protection;
      const place = replication.cut({ kind: 'bookmark', bookmarkId, name, level }, time);
      return { pairId: replication.pairId, ...place, heldMillis: millis() - this.#heldSince };
    } finally {
      this.release();
    }
  }

  release(): void {
    clearTimeout(this.#holdTimer);
    this.#holdTimer = undefined;
    this.#heldSince = undefined;
    if (!this.#changing) this.#device.release();
  }

  hops(key: { readonly epoch: number; readonly sequence: number } | undefined): ChangeSetHops | undefined {
    return this.#protection?.replication.hops.find(key);
  }

  /** New connections use a renewed certificate. */
  useCredentials(credentials: Credentials): void {
    this.#credentials = credentials;
    this.#nbdTcp?.setTls({ mode: 'required', options: tlsOptions(credentials) });
    this.#protection?.client.setTls(processServerTls(credentials));
  }

  get status(): VolumeStatus {
    const replication = this.#protection?.replication;
    return {
      sizeBytes: this.#device.sizeBytes, nbdUris: this.#nbdUris, writes: this.#device.writes, writtenBytes: this.#device.writtenBytes,
      replication: replication && { ...replication.status, pairId: replication.pairId },
    };
  }

  /** Ends the export, ships what was captured within the time, and leaves everything durable. */
  async close({ drainMillisMax }: { readonly drainMillisMax: number }): Promise<void> {
    await this.#configuring;
    this.release();
    await Promise.all([this.#nbd.close(NBD_GRACE_MILLIS), this.#nbdTcp?.close(NBD_GRACE_MILLIS)]);
    clearInterval(this.#ticker);
    await this.#unprotect({ drainMillisMax });
    await this.#disk.sync();
    await this.#file.close();
  }

  async #start(): Promise<void> {
    await this.#configure(this.#settings);
    const { dataDir, nbdTcp } = this.#environment;
    const { volumeId } = this.#settings;
    await mkdir(join(dataDir, 'nbd'), { recursive: true, mode: 0o700 });
    this.#nbd.addExport({ name: volumeId, description: this.#settings.name, device: this.#device });
    const unixSocket = join(dataDir, 'nbd', `${volumeId}.sock`);
    await this.#nbd.listen({ unixSocket });
    this.#nbdUris = [formatNbdUri({ address: { unixSocket }, exportName: volumeId, tls: false })];
    if (nbdTcp !== undefined) this.#nbdUris.push(await this.#listenTcp(nbdTcp));
  }

  async #listenTcp({ host, advertiseHost }: NonNullable<VolumeEnvironment['nbdTcp']>): Promise<string> {
    const { volumeId, name } = this.#settings;
    const credentials = this.#credentials;
    this.#nbdTcp = new NbdServer(
      credentials && {
        tls: { mode: 'required', options: tlsOptions(credentials) },
        authorize: (_name, peer) => peer !== undefined && verifiedPeer(peer)?.tenantId === credentials.tenantId,
      },
    );
    this.#nbdTcp.addExport({ name: volumeId, description: name, device: this.#device });
    const { port } = await this.#nbdTcp.listen({ host, port: 0 });
    return formatNbdUri({ address: { host: advertiseHost, port }, exportName: volumeId, tls: credentials !== undefined });
  }

  async #configure(settings: VolumeSettings): Promise<void> {
    const { pair } = settings;
    const same = pair?.pairId === this.#pair?.pairId && pair?.processServerUrl === this.#pair?.processServerUrl;
    if (!same || (pair && !this.#protection)) await this.#changeProtection(pair);
    this.#settings = settings;
    this.#pair = pair;
    if (this.#protection && pair) await this.#alter(this.#protection.replication, pair);
  }

  /** Writes wait meanwhile, so that none of them is missing in the bitmap that is kept. */
  async #changeProtection(pair: PairSettings | undefined): Promise<void> {
    this.#changing = true;
    this.#device.hold();
    try {
      await this.#unprotect({ drainMillisMax: 0 });
      await this.#files.keepOnly(pair?.pairId);
      if (pair) await this.#protect(pair);
    } catch (error) {
      await this.#files.keepOnly(undefined); // Writes are not watched from here on. If even this fails they stay held.
      this.#letGo();
      throw error;
    }
    this.#letGo();
  }

  #letGo(): void {
    this.#changing = false;
    if (this.#heldSince === undefined) this.#device.release();
  }

  async #alter(replication: PairReplication, { pairId, paused, resyncRequest }: PairSettings): Promise<void> {
    replication.paused = paused;
    const obeyed = await this.#files.obeyedRequest(pairId);
    if (obeyed === resyncRequest) return;
    if (obeyed !== undefined) await replication.requestResync();
    await this.#files.setObeyedRequest(pairId, resyncRequest);
  }

  async #protect({ pairId, processServerUrl, paused }: PairSettings): Promise<void> {
    const bitmap = await this.#files.openBitmap({ pairId, volumeId: this.#settings.volumeId, volumeBytes: this.#device.sizeBytes });
    const tls = this.#credentials && processServerTls(this.#credentials);
    const client = new ChangeSetClient({ url: processServerUrl, connectionsMax: 6, ...(tls ? { tls } : {}) });
    const replication = new PairReplication({
      pairId, bitmap, sender: client, millis, volumeBytes: this.#device.sizeBytes, file: this.#file, budget: this.#budget, clock: this.#times,
      segmentDataBytes: this.#environment.segmentDataBytes,
      onFact: (fact) => this.#listener.fact(fact),
      onPassed: (hops) => this.#passed(pairId, hops),
      newTraceparent: () => newTraceparent(this.#environment.traceRatio),
      prepare: (set) => prepareChangeSet(set, this.#pair ?? { compression: 'none', folding: false }),
    });
    replication.paused = paused;
    this.#protection = { replication, client };
    this.#device.replication = replication;
  }

  async #unprotect({ drainMillisMax }: { readonly drainMillisMax: number }): Promise<void> {
    const protection = this.#protection;
    if (!protection) return;
    try {
      await protection.replication.stop({ drainMillisMax, wait: (time) => delay(time) });
    } finally {
      this.#protection = undefined;
      this.#device.replication = undefined;
    }
  }

  #passed(pairId: string, hops: ChangeSetHops): void {
    if (hops.traceparent?.endsWith('-01') === true) this.#listener.passed({ pairId, hops });
  }
}

function processServerTls(credentials: Credentials) {
  return clientTlsOptions(credentials, { serverRoles: ['process-server'], tenantId: credentials.tenantId });
}

function newTraceparent(ratio: number): string {
  const id = randomBytes(24).toString('hex');
  return `00-${id.slice(0, 32)}-${id.slice(32)}-${Math.random() < ratio ? '01' : '00'}`;
}

function tooSmall({ volumeId, source, sizeBytes }: VolumeSettings, actualBytes: number): OperationError {
  return new OperationError({
    code: 'volume/source-too-small', operation: 'open volume', context: { volumeId, source, actualBytes, wantedBytes: sizeBytes ?? 0 }, retryable: false,
    hint: 'The image or device is smaller than the size given for the volume.',
  });
}

function notProtected({ volumeId, name }: VolumeSettings): OperationError {
  return new OperationError({
    code: 'volume/not-protected', operation: 'create bookmark', context: { volumeId, name }, retryable: false, hint: 'Add the volume to a protection plan first.',
  });
}

function heldTooLong({ volumeId }: VolumeSettings): OperationError {
  return new OperationError({
    code: 'bookmark/held-too-long', operation: 'create bookmark', context: { volumeId, limitMillis: HOLD_MILLIS_MAX }, retryable: true,
    hint: 'Writes were let go before all volumes could be cut; repeat the bookmark.',
  });
}
