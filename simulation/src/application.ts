// SPDX-License-Identifier: Apache-2.0
// What uses the protected disk: writes, zeros, trims and flushes in bursts, and what it is promised: a region that was written is marked on
// stable storage when it hears so (I1), its time is between asking and hearing (I5), and replication never makes it wait.
import { type Epoch, isOperationError, KIB } from '@secondsite/units';
import { blockBytesOf } from '@secondsite/wan-deduplication';
import { WriteIntentBitmap } from '@secondsite/write-intent-bitmap';
import { REGION_BYTES, SCOPE } from './layout';
import { BITMAP, type ProtectedHost, type RunningVolume, VOLUME_ID } from './protected-host';
import type { Scheduler } from './scheduler';
import type { SimulatedDisk } from './simulated-disk';
import type { MachineClock } from './machine-clock';
import type { SourceModel } from './source-model';

export interface ApplicationOptions {
  readonly scheduler: Scheduler;
  readonly host: ProtectedHost;
  readonly clock: MachineClock;
  readonly dataDisk: SimulatedDisk;
  readonly volumeDisk: SimulatedDisk;
  readonly model: SourceModel;
  readonly volumeBytes: number;
  /** In which epoch the pair is at its process server, as that would still know after a power cut. */
  readonly durableEpoch: () => Promise<Epoch>;
  /** Between two writes of a burst, on average. */
  readonly gapMicros: number;
  readonly onFault: (error: unknown) => void;
}

interface Range {
  readonly offset: number;
  readonly length: number;
}

const WAIT_MICROS_MAX = 150_000;
const QUIET_MICROS_MIN = 1_000_000;
const PAUSE_MICROS = 2e6;
const LONG_PAUSE_MICROS = 12e6;
const BURST_BYTES = 3 * KIB;
const WRITE_BYTES_MAX = 6 * KIB;
const plain = { fua: false };

export class Application {
  readonly #options: ApplicationOptions;
  #isOver = false;
  #burst = 0;
  /** Where the burst writes, so that other regions are quiet for long. */
  #place: Range;
  writes = 0;

  constructor(options: ApplicationOptions) {
    this.#options = options;
    this.#place = { offset: 0, length: options.volumeBytes };
  }

  start(): void {
    this.#next();
  }

  stop(): void {
    this.#isOver = true;
  }

  #next(): void {
    const { scheduler, gapMicros } = this.#options;
    const pauseMicros = scheduler.chance(0.15) ? LONG_PAUSE_MICROS : PAUSE_MICROS;
    const micros = scheduler.between(0, this.#burst > 0 ? 2 * gapMicros : pauseMicros);
    if (this.#burst > 0) this.#burst -= 1;
    else this.#beginBurst();
    scheduler.after(micros, () => {
      if (this.#isOver) return;
      const { running } = this.#options.host;
      if (running) this.#use(running);
      this.#next();
    });
  }

  #beginBurst(): void {
    const { scheduler, volumeBytes } = this.#options;
    this.#burst = scheduler.between(1, 30);
    const everywhere = scheduler.chance(0.3);
    const offset = everywhere ? 0 : scheduler.between(0, volumeBytes);
    this.#place = { offset, length: everywhere ? volumeBytes : Math.min(volumeBytes - offset, BURST_BYTES) };
  }

  #use(volume: RunningVolume): void {
    const { scheduler } = this.#options;
    const roll = scheduler.random();
    const range = this.#range();
    if (roll < 0.04) this.#ask(volume, { what: 'flush' }, () => volume.device.flush());
    else if (roll < 0.1) this.#ask(volume, { what: 'zero', range }, () => volume.device.zero(range.offset, range.length, { fua: false, mayPunch: true, fast: false }));
    else if (roll < 0.16) this.#ask(volume, { what: 'trim', range }, () => volume.device.trim(range.offset, range.length, plain));
    else {
      const bytes = roll < 0.4 ? this.#copy(range) : this.#bytes(range.length);
      const split = scheduler.between(0, bytes.length + 1);
      this.#ask(volume, { what: 'write', range }, () => volume.device.write(range.offset, [bytes.subarray(0, split), bytes.subarray(split)], { fua: roll > 0.95 }));
    }
  }

  #ask(volume: RunningVolume, { what, range }: { readonly what: string; readonly range?: Range }, run: () => undefined | Promise<unknown>): void {
    const { clock, scheduler } = this.#options;
    const asked = { micros: scheduler.now, clock: clock.read() };
    this.writes += 1;
    volume.life.note(range ? `${what} ${range.offset}+${range.length}` : what);
    try {
      const completion = run();
      if (!completion && range) this.#expectTime(volume, asked.clock);
      if (!completion) return range && this.#heard(range);
      completion.then(
        () => this.#heardLater(volume, { what, range, askedMicros: asked.micros }),
        (error: unknown) => this.#failed(volume, error),
      );
    } catch (error) {
      this.#failed(volume, error);
    }
  }

  #failed(volume: RunningVolume, error: unknown): void {
    if (!isOperationError(error)) return this.#options.onFault(error);
    volume.life.note(`the disk fails: ${error.code}`);
  }

  #heardLater(volume: RunningVolume, { what, range, askedMicros }: { readonly what: string; readonly range: Range | undefined; readonly askedMicros: number }): void {
    const { scheduler, dataDisk, volumeDisk, onFault } = this.#options;
    if (!range) return;
    const waited = scheduler.now - askedMicros;
    const disksAreGood = !dataDisk.wasInTrouble && !volumeDisk.wasInTrouble;
    if (waited > WAIT_MICROS_MAX && disksAreGood && !volume.life.isOver) onFault(new Error(`a ${what} waited ${waited} µs although the disks of its host are good`));
    // Later than this the target may have it already and the mark may be gone: a flush on a hanging disk.
    if (waited < QUIET_MICROS_MIN) this.#heard(range);
  }

  /** I5: the time of a write that was captured is after it was asked and before it is heard, by the host's clock if nobody set that back. */
  #expectTime({ times }: RunningVolume, askedAt: number): void {
    const { model, clock, onFault } = this.#options;
    const time = model.newestTime;
    const heardAt = clock.read();
    if (time === undefined || times.last > heardAt) return;
    if (time <= askedAt || time >= heardAt) onFault(new Error(`I5: a write asked at ${askedAt} and heard at ${heardAt} has the time ${time}`));
  }

  /** I1, now and then: it costs a copy of the disk. */
  #heard(range: Range): void {
    const { scheduler, onFault } = this.#options;
    if (scheduler.chance(0.1)) this.#expectMarked(range).catch(onFault);
  }

  async #expectMarked({ offset, length }: Range): Promise<void> {
    const { dataDisk, scheduler, volumeBytes, durableEpoch } = this.#options;
    const copy = dataDisk.copyAfterPowerCut(scheduler.random);
    const { recovery } = await WriteIntentBitmap.open({ directory: copy.root, name: BITMAP, volumeId: VOLUME_ID, volumeBytes, regionBytesMin: REGION_BYTES });
    for (let region = Math.floor(offset / REGION_BYTES); region * REGION_BYTES < offset + length; region++) {
      // While the disk takes no marks, a start would find the bitmap behind and trust none of it (ADR 31).
      if (!recovery.dirty.has(region) && (await durableEpoch()) <= recovery.header.epoch) throw new Error(`I1: a write to region ${region} was acknowledged, and a power cut would leave it without a mark`);
    }
  }

  #range(): Range {
    const { scheduler, volumeBytes } = this.#options;
    const most = scheduler.chance(0.2) ? WRITE_BYTES_MAX : 600;
    const offset = this.#place.offset + scheduler.between(0, this.#place.length);
    return { offset, length: scheduler.between(1, Math.min(volumeBytes - offset, most) + 1) };
  }

  /** Sometimes all zeros. */
  /** What many files hold: the same from block to block, wherever it is written. */
  #copy({ offset, length }: Range): Uint8Array {
    const blockBytes = blockBytesOf(SCOPE);
    return new Uint8Array(length).map((_byte, at) => ((offset + at) % blockBytes) + 1);
  }

  #bytes(length: number): Uint8Array {
    const { scheduler } = this.#options;
    const first = scheduler.chance(0.05) ? 0 : scheduler.between(1, 256);
    const bytes = new Uint8Array(length);
    if (first > 0) for (let at = 0; at < length; at++) bytes[at] = (first * 31 + at * 7 + (at >> 5)) & 0xff;
    return bytes;
  }
}
