// SPDX-License-Identifier: Apache-2.0
// Tap 2 in the volume's thread: the disk belongs to a running QEMU, whose mirror job sends every change to an export of ours. The keeper on
// the main thread speaks QMP; here is what must be in the order of the stream. Invariants: from `resume` until `lose` every change that QEMU
// acknowledges to its guest is captured; everything else is noted as missed, by QEMU's bitmap or by us, before `resume`.
import { formatNbdUri, NbdServer } from '@secondsite/nbd';
import { type ByteCount, OperationError, type TimeMicros } from '@secondsite/units';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { PairReplication } from '../volume/pair-replication';
import type { TapWatch } from '../volume/tap-watch';
import type { VolumeEnvironment, VolumeSettings } from '../volume/volume-thread';
import type { VolumeTap } from '../volume/volume-tap';
import { readDirtyRanges } from './dirty-ranges';
import { MirrorDevice } from './mirror-device';
import type { MirrorPulse, MissedChanges } from './mirror-messages';
import { MirrorSource } from './mirror-source';

export interface QemuTapListener {
  /** Told once per loss. */
  lost(reason: string): void;
}

const NBD_GRACE_MILLIS = 2000;
const PROOF_MILLIS_MAX = 3000;
const millis = () => performance.now();

export class QemuTap implements VolumeTap {
  readonly source: MirrorSource;
  readonly watch: TapWatch;
  /** The guest's disk is where it was. */
  readonly nbdUris: readonly string[] = [];
  readonly #volumeId: string;
  readonly #unixSocket: string;
  readonly #listener: QemuTapListener;
  readonly #device: MirrorDevice;
  readonly #nbd = new NbdServer({ onConnectionClosed: ({ reason }) => this.#disconnected(reason) });
  #attached = false;
  /** What was missed is noted since the last loss. */
  #noted = false;
  #provenUntil: TimeMicros = 0;
  #provenMillis = -Infinity;

  private constructor(settings: VolumeSettings & { readonly sizeBytes: ByteCount }, environment: VolumeEnvironment, listener: QemuTapListener) {
    this.#volumeId = settings.volumeId;
    this.#unixSocket = resolve(environment.dataDir, 'nbd', `${settings.volumeId}.sock`);
    this.#listener = listener;
    this.source = new MirrorSource(settings.sizeBytes);
    this.#device = new MirrorDevice({
      sizeBytes: settings.sizeBytes, millis, failed: (error) => this.lose(error instanceof Error ? error.message : String(error)),
    });
    this.watch = this.#makeWatch();
  }

  /** `settings.sizeBytes` is the size of the disk in QEMU. */
  static async open(settings: VolumeSettings, environment: VolumeEnvironment, listener: QemuTapListener): Promise<QemuTap> {
    const { sizeBytes } = settings;
    if (sizeBytes === undefined) throw new RangeError('the size of a disk in QEMU is asked for first');
    await mkdir(join(environment.dataDir, 'nbd'), { recursive: true, mode: 0o700 });
    return new QemuTap({ ...settings, sizeBytes }, environment, listener);
  }

  get sizeBytes(): ByteCount {
    return this.#device.sizeBytes;
  }

  /** As long as the mirror runs QEMU does not resize the disk; another size is seen when the volume is opened again. */
  get sourceBytes(): ByteCount {
    return this.sizeBytes;
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

  /** Where the mirror shall write, and whether one does of which everything is seen. Waits until the write-intent bitmap's disk answers. */
  async target(): Promise<{ readonly uri: string; readonly attached: boolean }> {
    await this.#device.replication?.noteMissed([]);
    return { uri: formatNbdUri({ address: { unixSocket: this.#unixSocket }, exportName: this.#volumeId, tls: false }), attached: this.#attached };
  }

  get pulse(): MirrorPulse {
    return { heldMillis: this.#device.heldMillis, readBytes: this.source.readBytes };
  }

  /** Notes in the write-intent bitmap what QEMU knows to be missing; durable when it resolves, so that QEMU may forget it. */
  async noteMissed({ resync, sourceUri }: MissedChanges): Promise<void> {
    this.lose('the mirror was attached anew');
    const replication = this.#device.replication;
    if (!replication) throw notProtected(this.#volumeId);
    const whole = { offset: 0, length: this.sizeBytes };
    await replication.noteMissed(resync.kind === 'full' ? [whole] : await readDirtyRanges(sourceUri, resync.bitmap));
    if (this.#device.replication === replication && this.#nbd.connections > 0) this.#noted = true;
  }

  /** Every change is seen from here on. Throws OperationError `tap/lost-again` when the mirror was lost since `noteMissed`. */
  resume(sourceUri: string): void {
    this.source.use(sourceUri);
    if (this.#attached) return;
    if (!this.#noted) throw lostAgain(this.#volumeId);
    this.#attached = true;
    this.#device.replication?.resumeTap();
  }

  /** Changes may be missed from now on; repeating it is harmless. */
  lose(reason: string): void {
    this.#noted = false;
    if (!this.#attached) return;
    this.#attached = false;
    this.#device.replication?.loseTap();
    this.#listener.lost(reason);
  }

  /** QEMU said, when asked after this time, that the mirror runs: every change acknowledged until then was captured. False when it is lost. */
  prove(until: TimeMicros): boolean {
    if (!this.#attached) return false;
    this.#provenUntil = until;
    this.#provenMillis = millis();
    return true;
  }

  hold(): void {
    this.#device.hold();
  }

  release(): void {
    this.#device.release();
  }

  /** No TLS: QEMU and agent meet on this machine, and the socket is only for its owner. */
  async start(): Promise<void> {
    this.#nbd.addExport({ name: this.#volumeId, description: 'mirror target', device: this.#device });
    await this.#nbd.listen({ unixSocket: this.#unixSocket });
  }

  useCredentials(): void {
    // Nothing here leaves the machine.
  }

  async endChanges(): Promise<void> {
    this.lose('the volume is being closed');
    await this.#nbd.close(NBD_GRACE_MILLIS);
  }

  async close(): Promise<void> {
    this.source.close();
  }

  #disconnected(reason: string): void {
    if (this.#nbd.connections === 0) this.lose(reason);
  }

  #makeWatch(): TapWatch {
    const attached = () => this.#attached;
    const provenUntil = () => this.#provenUntil;
    const isProven = () => this.#attached && millis() - this.#provenMillis < PROOF_MILLIS_MAX;
    return {
      get attached() {
        return attached();
      },
      get provenUntil() {
        return provenUntil();
      },
      get isProven() {
        return isProven();
      },
    };
  }
}

function notProtected(volumeId: string): OperationError {
  return new OperationError({
    code: 'volume/not-protected', operation: 'attach mirror', context: { volumeId }, retryable: true, hint: 'The volume is in no protection plan now.',
  });
}

function lostAgain(volumeId: string): OperationError {
  return new OperationError({
    code: 'tap/lost-again', operation: 'attach mirror', context: { volumeId }, retryable: true, hint: 'QEMU dropped the connection while it was attached; it is tried again.',
  });
}
