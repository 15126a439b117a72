// SPDX-License-Identifier: Apache-2.0
// Keeps the mirror of one disk attached for as long as it is wanted, whatever happens to QEMU, its QMP connection or the volume's thread.
// Runs on the main thread, so that a hung volume thread can be cut off: QEMU holds the guest until the target answers, and production
// must go on. Order at each attach: QEMU's bitmap is noted durably, then QEMU may forget it, then the stream goes on.
import { clockMicros } from '@secondsite/disk-files';
import { attachMirror, type Attachment, type Mirror, type MirrorLoss } from '@secondsite/qemu';
import type { HostedThread } from '@secondsite/thread-host';
import { isOperationError, OperationError } from '@secondsite/units';
import { setTimeout as delay } from 'node:timers/promises';
import { Backoff } from '../volume/backoff';
import { type Fault, faultOf } from '../volume/replication-status';
import type { VolumeThread } from '../volume/volume-thread';
import type { QemuMachine } from './qemu-machine';

export interface TapKeeperOptions {
  readonly volumeId: string;
  /** Device id, block device or node in QEMU. */
  readonly device: string;
  readonly machine: QemuMachine;
  readonly thread: HostedThread<VolumeThread>;
  readonly onFailure: (error: unknown) => void;
  /** How long a write may wait, or the thread be silent, before the mirror is cut off; default 5 s. */
  readonly hungMillisMax?: number;
  /** Default 30 s. */
  readonly rotateMillis?: number;
}

const PROVE_MILLIS = 400;
const GUARD_MILLIS = 500;
const HUNG_MILLIS_MAX = 5000;
const ROTATE_MILLIS = 30_000;
const DETACH_MILLIS_MAX = 5000;
/** A mirror that ran so long was no failed try. */
const STABLE_MILLIS = 10_000;
const BACKOFF_STEP_MILLIS = 50;

export class TapKeeper {
  readonly #options: TapKeeperOptions;
  readonly #hungMillisMax: number;
  readonly #backoff = new Backoff(() => performance.now());
  #fault: Fault | undefined = { code: 'tap/not-attached', hint: 'The mirror in QEMU is being attached.' };
  #wanted = false;
  #forget = false;
  #closed = false;
  #threadGone = false;
  /** Ends what is being waited for. */
  #wake = Promise.withResolvers<undefined>();
  #running: Promise<void> | undefined;
  /** The mirror is being cut off. */
  #cutting: Promise<MirrorLoss> | undefined;

  constructor(options: TapKeeperOptions) {
    this.#options = options;
    this.#hungMillisMax = options.hungMillisMax ?? HUNG_MILLIS_MAX;
    void options.thread.exited.then(() => this.#end());
  }

  /** Why the mirror is not attached; undefined when it is, or is not wanted. */
  get fault(): Fault | undefined {
    return this.#wanted ? this.#fault : undefined;
  }

  /** The volume is protected from now on. */
  protect(): void {
    if (this.#closed || this.#wanted) return;
    this.#wanted = true;
    this.#running = this.#keep();
  }

  /** Ends the mirror, and makes QEMU forget what was written: a later protection starts with a baseline. */
  async unprotect(): Promise<void> {
    await this.#stop({ forget: true });
  }

  /** Ends the mirror; QEMU goes on noting what is written, so that a later agent reads only that. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#stop({ forget: false });
  }

  async #stop({ forget }: { readonly forget: boolean }): Promise<void> {
    this.#forget = forget;
    this.#wanted = false;
    this.#wake.resolve(undefined);
    await this.#running;
    this.#wake = Promise.withResolvers();
  }

  /** The thread is gone, and with it the mirror's target. */
  #end(): void {
    this.#threadGone = true;
    this.#closed = true;
    this.#wanted = false;
    this.#wake.resolve(undefined);
  }

  async #keep(): Promise<void> {
    while (this.#wanted) {
      const startedMillis = performance.now();
      try {
        const loss = await this.#mirror();
        if (loss) this.#failed(lostError(this.#options, loss));
      } catch (error) {
        this.#failed(error);
      }
      if (performance.now() - startedMillis > STABLE_MILLIS) this.#backoff.reset();
      while (this.#wanted && !this.#backoff.isOver) await Promise.race([delay(BACKOFF_STEP_MILLIS), this.#wake.promise]);
    }
  }

  #failed(error: unknown): void {
    this.#backoff.fail();
    const fault = faultOf(error, 'tap/failed');
    if (this.#wanted && fault.code !== this.#fault?.code) this.#options.onFailure(error);
    this.#fault = fault;
  }

  /** Attaches, and returns when the mirror is lost, or not wanted any more (undefined). */
  async #mirror(): Promise<MirrorLoss | undefined> {
    const { device, machine, thread, volumeId } = this.#options;
    const qmp = await machine.connect();
    const target = await this.#answered(thread.call('mirrorTarget', undefined));
    const attachment = await machine.exclusive(() =>
      attachMirror({ qmp, device, id: volumeId, targetUri: target.uri, sourceSocketPath: machine.sourceSocketPath, continueRunning: target.attached }),
    );
    const end = new AbortController();
    const hung = this.#guard(attachment.mirror, end.signal);
    try {
      await Promise.race([this.#settle(attachment), hung.then((loss) => Promise.reject(lostError(this.#options, loss)))]);
      return await this.#watch(attachment.mirror, { hung, signal: end.signal });
    } finally {
      end.abort();
    }
  }

  /** What was missed is noted durably, then QEMU forgets it, then the stream goes on. */
  async #settle({ mirror, resync, sourceUri }: Attachment): Promise<void> {
    const { machine, thread } = this.#options;
    if (resync.kind !== 'none') {
      await thread.call('noteMissed', { resync, sourceUri });
      await machine.exclusive(() => mirror.confirmResync());
    }
    await thread.call('resumeMirror', { sourceUri });
    this.#fault = undefined;
  }

  async #watch(mirror: Mirror, { hung, signal }: { readonly hung: Promise<MirrorLoss>; readonly signal: AbortSignal }): Promise<MirrorLoss | undefined> {
    const { thread } = this.#options;
    const told = Promise.withResolvers<MirrorLoss>();
    const unlisten = thread.on('tapLost', (detail) => told.resolve({ reason: 'target-failed', detail }));
    const ended = await Promise.race([mirror.lost, told.promise, this.#prove(mirror, signal), hung, this.#wake.promise]);
    unlisten();
    if (!ended) {
      if (!this.#threadGone) await this.#detach(mirror);
      return undefined;
    }
    const loss = (await this.#cutting) ?? ended;
    // Without QMP the mirror may run on: what comes is captured, but nothing is proven until QEMU was asked again.
    if (loss.reason !== 'qmp-closed') thread.call('loseMirror', undefined).catch(() => undefined); // A thread that ended has lost it.
    return loss;
  }

  /** Cuts the mirror off when a write waits too long or the thread does not answer; resolves only then. */
  async #guard(mirror: Mirror, signal: AbortSignal): Promise<MirrorLoss> {
    while (await pause(GUARD_MILLIS, signal)) {
      const heldMillis = await this.#answered(this.#options.thread.call('mirrorPulse', undefined)).then((pulse) => pulse.heldMillis, () => Infinity);
      if (signal.aborted || heldMillis < this.#hungMillisMax) continue;
      this.#cutting = mirror.detach({ force: true }).then(() => cutOff);
      return this.#cutting.finally(() => (this.#cutting = undefined));
    }
    return new Promise(() => undefined);
  }

  /** Tells the thread until when QEMU surely mirrored everything, and renews QEMU's bitmap; resolves only when the mirror is gone. */
  async #prove(mirror: Mirror, signal: AbortSignal): Promise<MirrorLoss> {
    const { machine, thread, rotateMillis = ROTATE_MILLIS, onFailure } = this.#options;
    let rotatedMillis = performance.now();
    while (await pause(PROVE_MILLIS, signal)) {
      try {
        const time = clockMicros();
        if (!(await mirror.isRunning())) return { reason: 'cancelled', detail: 'QEMU does not know the mirror any more' };
        if (!(await thread.call('proveMirror', time))) return { reason: 'target-failed', detail: 'the connection from QEMU was lost' };
        if (performance.now() - rotatedMillis < rotateMillis) continue;
        rotatedMillis = performance.now();
        await machine.exclusive(() => renewBitmap(mirror));
      } catch (error) {
        if (!signal.aborted && !isOperationError(error, 'qmp/closed')) onFailure(error); // Losses are told by the others; this is tried again.
      }
    }
    return new Promise(() => undefined);
  }

  async #detach(mirror: Mirror): Promise<void> {
    const forget = this.#forget;
    await this.#options.machine.exclusive(async () => {
      try {
        if (!forget) await renewBitmap(mirror);
        await mirror.detach({ forget, timeLimitMillis: DETACH_MILLIS_MAX });
      } catch (error) {
        if (isOperationError(error, 'qmp/closed')) return; // QEMU is gone, or keeps its bitmap for the next attach.
        await mirror.detach({ force: true, forget });
      }
    });
  }

  /** Rejects with `tap/thread-hung` when the volume's thread does not answer in time. */
  async #answered<T>(reply: Promise<T>): Promise<T> {
    const answered = new AbortController();
    const late = pause(this.#hungMillisMax, answered.signal).then((isLate) => (isLate ? Promise.reject(threadHung(this.#options)) : new Promise<never>(() => undefined)));
    try {
      return await Promise.race([reply, late]);
    } finally {
      answered.abort();
    }
  }
}

const cutOff: MirrorLoss = { reason: 'target-failed', detail: 'the agent did not answer in time and was cut off, so that the guest can go on' };

/** QEMU forgets what the mirror's target has acknowledged, which the write-intent bitmap knows. */
async function renewBitmap(mirror: Mirror): Promise<void> {
  const retired = await mirror.rotateBitmap();
  if (await mirror.isRunning()) await mirror.removeBitmap(retired);
}

/** False when there is nothing to go on with. */
async function pause(millis: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(millis, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}

const hints: Readonly<Record<MirrorLoss['reason'], string>> = {
  'target-failed': 'The mirror to the agent failed; it is attached again by itself, and what was written meanwhile is read from QEMU.',
  'source-failed': "The machine's own disk failed; look at it and at QEMU's messages.",
  cancelled: 'Somebody ended the mirror in QEMU; it is attached again by itself.',
  'qmp-closed': 'QEMU ended or dropped its QMP connection; when the machine runs it is attached again by itself.',
};

function lostError({ volumeId, device }: TapKeeperOptions, { reason, detail }: MirrorLoss): OperationError {
  return new OperationError({
    code: `tap/${reason}`, operation: 'mirror disk of QEMU', context: { volumeId, device, detail }, retryable: true, hint: hints[reason],
  });
}

function threadHung({ volumeId }: TapKeeperOptions): OperationError {
  return new OperationError({
    code: 'tap/thread-hung', operation: 'attach mirror', context: { volumeId }, retryable: true,
    hint: "The volume's thread does not answer; look at the disk of the agent's data folder. The machine is not held meanwhile.",
  });
}
