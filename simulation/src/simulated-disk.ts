// SPDX-License-Identifier: Apache-2.0
// A disk that takes simulated time, over storage that can lose power. The adversary sets its conditions. What it may do is what the storage
// port allows: a sync makes what was written before it durable at any instant between call and return; a write that is cut off by the end of
// its program has reached the page cache in part.
import type { StorageDirectory } from '@secondsite/durable-storage';
import { CrashableStorage, type Random, type StorageFault, type StorageOperation } from '@secondsite/durable-storage/testing';
import type { Life } from './life';
import type { Scheduler } from './scheduler';
import { SimulatedDirectory } from './simulated-directory';

/** How long an operation takes in microseconds, on a good disk. */
const LATENCY_MICROS = { read: [20, 300], write: [20, 200], sync: [300, 8000], entry: [20, 400] } as const;
export type OperationClass = keyof typeof LATENCY_MICROS;

export class SimulatedDisk {
  readonly name: string;
  readonly storage = new CrashableStorage();
  /** Times as slow as a good one. */
  slowness = 1;
  /** Part of the operations that fail with EIO. */
  errorRate = 0;
  /** A sync says that it is done and does nothing: no disk may do that, so that the checks have something to find. */
  lies = false;
  /** It was not always a good one. */
  wasInTrouble = false;
  /** There was not always room on it. */
  wasFull = false;
  readonly #scheduler: Scheduler;
  #hangsUntil = 0;

  constructor(name: string, scheduler: Scheduler) {
    this.name = name;
    this.#scheduler = scheduler;
    this.#listen();
  }

  /** As the program of this life sees it. */
  root(life: Life): StorageDirectory {
    return new SimulatedDirectory({ inner: this.storage.root, disk: this, life });
  }

  /** Nothing is done before. */
  hang(micros: number): void {
    this.#hangsUntil = Math.max(this.#hangsUntil, this.#scheduler.now + micros);
  }

  /** What was not synced is kept or lost, sector by sector. End the programs before. */
  cutPower(): void {
    this.storage.crash(this.#scheduler.random);
    this.#listen();
  }

  /** All is well from now on. */
  heal(): void {
    this.slowness = 1;
    this.errorRate = 0;
    this.#hangsUntil = 0;
    this.storage.capacityBytes = Number.MAX_SAFE_INTEGER;
  }

  /** Its content after a power cut at this instant, as a disk of its own without latency. */
  copyAfterPowerCut(random: Random): CrashableStorage {
    const copy = this.storage.copy();
    copy.crash(random);
    return copy;
  }

  latencyMicros(operation: OperationClass): number {
    const [from, to] = LATENCY_MICROS[operation];
    return Math.max(0, this.#hangsUntil - this.#scheduler.now) + this.#scheduler.between(from, to) * this.slowness;
  }

  #listen(): void {
    this.storage.fault = (operation) => this.#fault(operation);
  }

  #fault({ kind, name, bytes }: StorageOperation): StorageFault | undefined {
    const isAnswered = kind === 'read' && bytes === 0; // Size and entries are known without the disk.
    if (this.errorRate === 0 || isAnswered || !this.#scheduler.chance(this.errorRate)) return undefined;
    this.#scheduler.note(this.name, `EIO: ${kind} ${name}`);
    return 'io-error';
  }
}
