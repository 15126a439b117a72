// SPDX-License-Identifier: Apache-2.0
// The main thread's side of one volume: keeps a thread running for it as long as the volume is wanted, whatever happens to that thread.
import { compiledWorker, hostInThread, type HostedThread } from '@secondsite/thread-host';
import { queryDiskBytes } from '@secondsite/qemu';
import { isOperationError, OperationError } from '@secondsite/units';
import type { QemuMachine, QemuMachines } from '../qemu-tap/qemu-machine';
import { TapKeeper } from '../qemu-tap/tap-keeper';
import type { ChangeSetHops } from '../volume/change-set-hop-log';
import type { ReplicationFact } from '../volume/replication-fact';
import type { Credentials, VolumeEnvironment, VolumeSettings, VolumeStatus, VolumeThread } from '../volume/volume-thread';

export interface VolumeRunnerOptions {
  readonly environment: () => VolumeEnvironment;
  readonly machines: QemuMachines;
  readonly onFact: (fact: ReplicationFact) => void;
  readonly onPassed: (passed: { readonly pairId: string; readonly hops: ChangeSetHops }) => void;
  readonly onFailure: (error: unknown, volumeId: string) => void;
}

const RESTART_MILLIS_MIN = 500;
const RESTART_MILLIS_MAX = 15_000;
const CLOSE_MILLIS_MAX = 25_000;

export class VolumeRunner {
  readonly #options: VolumeRunnerOptions;
  #settings: VolumeSettings;
  #thread: HostedThread<VolumeThread> | undefined;
  /** Of a disk in QEMU. */
  #machine: QemuMachine | undefined;
  #keeper: TapKeeper | undefined;
  #starting: Promise<void> | undefined;
  #failure: { readonly code: string; readonly hint: string } | undefined;
  #restartMillis = RESTART_MILLIS_MIN;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(settings: VolumeSettings, options: VolumeRunnerOptions) {
    this.#settings = settings;
    this.#options = options;
  }

  get settings(): VolumeSettings {
    return this.#settings;
  }

  /** Why the volume is not there; undefined when it runs. */
  get failure(): { readonly code: string; readonly hint: string } | undefined {
    return this.#failure;
  }

  /** Why changes of a disk in QEMU are not seen; undefined when they are. */
  get tapFault(): { readonly code: string; readonly hint: string } | undefined {
    return this.#keeper?.fault;
  }

  /** Throws `volume/not-running` while its thread is not there. */
  get thread(): HostedThread<VolumeThread> {
    if (!this.#thread) throw notRunning(this.#settings, this.#failure?.hint);
    return this.#thread;
  }

  /** Resolves after the first try; a failure is in `failure` and tried again by itself. */
  async start(): Promise<void> {
    this.#starting ??= this.#start().finally(() => (this.#starting = undefined));
    await this.#starting;
  }

  /** Throws when the thread could not obey; repeat it then. */
  async configure(settings: VolumeSettings): Promise<void> {
    this.#settings = settings;
    await this.#starting;
    if (!settings.pair) await this.#keeper?.unprotect();
    await this.#thread?.call('configure', settings);
    if (settings.pair) this.#keeper?.protect();
  }

  async status(): Promise<VolumeStatus | undefined> {
    return this.#thread?.call('status', undefined);
  }

  useCredentials(credentials: Credentials): void {
    this.#thread?.call('useCredentials', credentials).catch((error: unknown) => this.#options.onFailure(error, this.#settings.volumeId));
  }

  /** Drains and ends the thread. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#starting;
    await this.#keeper?.close();
    await this.#thread?.close();
    this.#thread = undefined;
    if (this.#machine) await this.#options.machines.leave(this.#machine);
    this.#machine = undefined;
  }

  async #start(): Promise<void> {
    const { volumeId } = this.#settings;
    try {
      const thread = await hostInThread<VolumeThread>(
        compiledWorker(__dirname, '../volume/volume.worker'),
        { settings: await this.#complete(this.#settings), environment: this.#options.environment() },
        { name: `volume ${volumeId}`, closeMillisMax: CLOSE_MILLIS_MAX, events: { fact: this.#options.onFact, passed: this.#options.onPassed } },
      );
      this.#thread = thread;
      this.#failure = undefined;
      this.#keepTap(thread);
      void thread.exited.then((exit) => (exit.kind === 'died' ? this.#failed(exit.error) : undefined));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The size of a disk in QEMU comes from there. */
  async #complete(settings: VolumeSettings): Promise<VolumeSettings> {
    if (settings.tap.kind === 'nbd') return settings;
    this.#machine ??= this.#options.machines.join(settings.tap.qmpSocket);
    return { ...settings, sizeBytes: await queryDiskBytes(await this.#machine.connect(), settings.tap.device) };
  }

  #keepTap(thread: HostedThread<VolumeThread>): void {
    const { tap, volumeId, pair } = this.#settings;
    if (tap.kind === 'nbd' || !this.#machine) return;
    const onFailure = (error: unknown) => this.#options.onFailure(error, volumeId);
    this.#keeper = new TapKeeper({ volumeId, device: tap.device, machine: this.#machine, thread, onFailure });
    if (pair) this.#keeper.protect();
  }

  #failed(error: unknown): void {
    this.#thread = undefined;
    this.#failure = isOperationError(error) ? { code: error.code, hint: error.hint } : { code: 'volume/failed', hint: String(error) };
    this.#options.onFailure(error, this.#settings.volumeId);
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.start(), this.#restartMillis);
    this.#restartMillis = Math.min(this.#restartMillis * 2, RESTART_MILLIS_MAX);
  }
}

function notRunning({ volumeId }: VolumeSettings, hint: string | undefined): OperationError {
  return new OperationError({
    code: 'volume/not-running', operation: 'use volume', context: { volumeId }, retryable: true, hint: hint ?? 'The volume is being started; try again in a moment.',
  });
}
