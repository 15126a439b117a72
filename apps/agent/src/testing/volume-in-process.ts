// SPDX-License-Identifier: Apache-2.0
// A volume of a GuestBench without a thread of its own, with its keeper; can be made to hang as a blocked thread does.
import type { HostedThread } from '@secondsite/thread-host';
import { MIB } from '@secondsite/units';
import { QemuMachine } from '../qemu-tap/qemu-machine';
import { TapKeeper } from '../qemu-tap/tap-keeper';
import { BufferBudget } from '../volume/buffer-budget';
import { ProtectedVolume } from '../volume/protected-volume';
import type { ReplicationStatus } from '../volume/replication-status';
import type { VolumeThread } from '../volume/volume-thread';
import type { GuestBench } from './guest-bench';

export class VolumeInProcess {
  readonly #volume: ProtectedVolume;
  readonly #machine: QemuMachine;
  readonly #keeper: TapKeeper;
  readonly #exit = Promise.withResolvers<{ kind: 'closed' }>();
  readonly #lostListeners: Set<(reason: string) => void>;
  #hung: PromiseWithResolvers<void> | undefined;

  private constructor(volume: ProtectedVolume, bench: GuestBench, lostListeners: Set<(reason: string) => void>) {
    this.#volume = volume;
    this.#lostListeners = lostListeners;
    this.#machine = new QemuMachine({ qmpSocket: bench.qmp.path, dataDir: bench.dataDir });
    const thread = { call: (name: string, input: unknown) => this.#call(name, input), on: (_name: string, listen: (reason: string) => void) => this.#listen(listen), exited: this.#exit.promise };
    this.#keeper = new TapKeeper({
      volumeId: bench.volumeId, device: 'vd0', machine: this.#machine, thread: thread as unknown as HostedThread<VolumeThread>,
      onFailure: () => undefined, hungMillisMax: 1000, rotateMillis: 500,
    });
    this.#keeper.protect();
  }

  static async open(bench: GuestBench): Promise<VolumeInProcess> {
    const [desired] = bench.desired.volumes;
    if (!desired?.pair) throw new Error('the bench protects one volume');
    const listeners = new Set<(reason: string) => void>();
    const volume = await ProtectedVolume.open(
      { ...desired, sizeBytes: bench.sizeBytes, pair: desired.pair },
      {
        dataDir: bench.dataDir, budget: { shared: BufferBudget.createShared(), bytesMax: 64 * MIB }, segmentDataBytes: 2 * MIB, credentials: undefined, nbdTcp: undefined, traceRatio: 0, traceSlowMillis: undefined,
      },
      { fact: () => undefined, passed: () => undefined, tapLost: (reason) => listeners.forEach((listen) => listen(reason)) },
    );
    return new VolumeInProcess(volume, bench, listeners);
  }

  get status(): ReplicationStatus {
    const { replication } = this.#volume.status;
    if (!replication) throw new Error('the volume is protected');
    return replication;
  }

  get fault(): { readonly code: string } | undefined {
    return this.#keeper.fault;
  }

  /** Writes wait and requests are not answered. */
  hang(): void {
    this.#hung = Promise.withResolvers();
    this.#volume.mirror.hold();
  }

  recover(): void {
    this.#volume.mirror.release();
    this.#hung?.resolve();
    this.#hung = undefined;
  }

  async close(): Promise<void> {
    await this.#keeper.close();
    await this.#volume.close({ drainMillisMax: 5000 });
    await this.#machine.disconnect();
  }

  async #call(name: string, input: unknown): Promise<unknown> {
    await this.#hung?.promise;
    const { mirror } = this.#volume;
    const handlers: Record<string, () => unknown> = {
      mirrorTarget: () => mirror.target(),
      noteMissed: () => mirror.noteMissed(input as Parameters<typeof mirror.noteMissed>[0]),
      resumeMirror: () => mirror.resume((input as { sourceUri: string }).sourceUri),
      loseMirror: () => mirror.lose('the mirror ended'),
      proveMirror: () => mirror.prove(input as number),
      mirrorPulse: () => mirror.pulse,
    };
    return handlers[name]?.();
  }

  #listen(listen: (reason: string) => void): () => void {
    this.#lostListeners.add(listen);
    return () => this.#lostListeners.delete(listen);
  }
}
