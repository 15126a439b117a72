// SPDX-License-Identifier: Apache-2.0
// Tap 1: the agent's NBD export is the disk that the server uses; the content lies in a raw file or block device.
import { tlsOptions, verifiedPeer } from '@secondsite/certificates/tls';
import { type DiskFile, openBlockFile } from '@secondsite/disk-files';
import { formatNbdUri, NbdServer } from '@secondsite/nbd';
import { type ByteCount, OperationError } from '@secondsite/units';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { PairReplication } from './pair-replication';
import { SourceDisk } from './source-disk';
import { VolumeDevice } from './volume-device';
import type { VolumeTap } from './volume-tap';
import type { Credentials, VolumeEnvironment, VolumeSettings } from './volume-thread';

const NBD_GRACE_MILLIS = 2000;

export class NbdTap implements VolumeTap {
  readonly source: DiskFile;
  readonly #settings: VolumeSettings;
  readonly #environment: VolumeEnvironment;
  readonly #disk: SourceDisk;
  readonly #device: VolumeDevice;
  /** On the unix socket; who may open that file may use the disk. */
  readonly #nbd = new NbdServer();
  /** On TCP; with credentials only TLS with a certificate of this tenant. */
  #nbdTcp: NbdServer | undefined;
  #nbdUris: string[] = [];

  private constructor(settings: VolumeSettings, environment: VolumeEnvironment, file: DiskFile) {
    this.#settings = settings;
    this.#environment = environment;
    this.source = file;
    this.#disk = new SourceDisk(file, { millis: () => performance.now(), ...(settings.sizeBytes === undefined ? {} : { sizeBytes: settings.sizeBytes }) });
    this.#device = new VolumeDevice(this.#disk);
  }

  /** Throws OperationError `storage/…` when the disk cannot be used, `volume/source-too-small`. */
  static async open(source: string, settings: VolumeSettings, environment: VolumeEnvironment): Promise<NbdTap> {
    const file = openBlockFile(source);
    if (settings.sizeBytes === undefined || settings.sizeBytes <= file.size()) return new NbdTap(settings, environment, file);
    const error = tooSmall({ source, volumeId: settings.volumeId, actualBytes: file.size(), wantedBytes: settings.sizeBytes });
    await file.close();
    throw error;
  }

  get sizeBytes(): ByteCount {
    return this.#device.sizeBytes;
  }

  /** Of a volume whose size was given: not more than that. */
  get sourceBytes(): ByteCount {
    return Math.min(this.#settings.sizeBytes ?? Infinity, this.source.currentSize());
  }

  grow(sizeBytes: ByteCount): void {
    this.#device.sizeBytes = sizeBytes;
    this.#nbd.resizeExport(this.#settings.volumeId);
    this.#nbdTcp?.resizeExport(this.#settings.volumeId);
  }

  get nbdUris(): readonly string[] {
    return this.#nbdUris;
  }

  get writes(): number {
    return this.#device.writes;
  }

  get writtenBytes(): ByteCount {
    return this.#device.writtenBytes;
  }

  set replication(replication: PairReplication | undefined) {
    this.#device.replication = replication;
  }

  hold(): void {
    this.#device.hold();
  }

  release(): void {
    this.#device.release();
  }

  async start(): Promise<void> {
    const { dataDir, nbdTcp } = this.#environment;
    const { volumeId } = this.#settings;
    await mkdir(join(dataDir, 'nbd'), { recursive: true, mode: 0o700 });
    this.#nbd.addExport({ name: volumeId, description: this.#settings.name, device: this.#device });
    const unixSocket = join(dataDir, 'nbd', `${volumeId}.sock`);
    await this.#nbd.listen({ unixSocket });
    this.#nbdUris = [formatNbdUri({ address: { unixSocket }, exportName: volumeId, tls: false })];
    if (nbdTcp !== undefined) this.#nbdUris.push(await this.#listenTcp(nbdTcp));
  }

  useCredentials(credentials: Credentials): void {
    this.#nbdTcp?.setTls({ mode: 'required', options: tlsOptions(credentials) });
  }

  async endChanges(): Promise<void> {
    await Promise.all([this.#nbd.close(NBD_GRACE_MILLIS), this.#nbdTcp?.close(NBD_GRACE_MILLIS)]);
  }

  /** Leaves the disk durable. */
  async close(): Promise<void> {
    await this.#disk.sync();
    await this.source.close();
  }

  async #listenTcp({ host, advertiseHost }: NonNullable<VolumeEnvironment['nbdTcp']>): Promise<string> {
    const { volumeId, name } = this.#settings;
    const { credentials } = this.#environment;
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
}

function tooSmall(context: { readonly volumeId: string; readonly source: string; readonly actualBytes: ByteCount; readonly wantedBytes: ByteCount }): OperationError {
  return new OperationError({
    code: 'volume/source-too-small', operation: 'open volume', context, retryable: false,
    hint: 'The image or device is smaller than the size given for the volume.',
  });
}
