// SPDX-License-Identifier: Apache-2.0
import type { StorageFile } from '@secondsite/durable-storage';
import type { ByteCount, ByteOffset } from '@secondsite/units';
import type { OnDisk } from './simulated-directory';
import type { OperationClass } from './simulated-disk';

export class SimulatedFile implements StorageFile {
  readonly #on: OnDisk<StorageFile>;

  constructor(on: OnDisk<StorageFile>) {
    this.#on = on;
  }

  get name(): string {
    return this.#on.inner.name;
  }

  size(): ByteCount {
    return this.#on.inner.size();
  }

  readNow(into: Uint8Array, offset: ByteOffset): ByteCount {
    return this.#on.inner.readNow(into, offset);
  }

  writeNow(data: Uint8Array, offset: ByteOffset): void {
    this.#on.inner.writeNow(data, offset);
  }

  punchHole(offset: ByteOffset, length: ByteCount): void {
    this.#on.inner.punchHole(offset, length);
  }

  nextData(offset: ByteOffset): { readonly offset: ByteOffset; readonly length: ByteCount } | undefined {
    return this.#on.inner.nextData(offset);
  }

  syncNow(): void {
    this.#on.inner.syncNow();
  }

  dropCached(): void {
    this.#on.inner.dropCached();
  }

  read(into: Uint8Array, offset: ByteOffset): Promise<ByteCount> {
    return this.#sometime('read', () => this.#on.inner.read(into, offset));
  }

  /** Done at the beginning or at the end of its time; in part when its program ends in between. */
  async write(parts: readonly Uint8Array[], offset: ByteOffset): Promise<void> {
    const { inner, life } = this.#on;
    const forget = life.onEnd(() => this.#writePart(Buffer.concat(parts), offset));
    await this.#sometime('write', () => {
      forget();
      return inner.write(parts, offset);
    });
  }

  truncate(size: ByteCount): Promise<void> {
    return this.#sometime('entry', () => this.#on.inner.truncate(size));
  }

  sync(): Promise<void> {
    return this.#sometime('sync', async () => {
      if (!this.#on.disk.lies) await this.#on.inner.sync();
    });
  }

  close(): Promise<void> {
    return this.#on.inner.close();
  }

  /** Whole operation takes its time; its effect is at the beginning or at the end of it. */
  async #sometime<Result>(operation: OperationClass, run: () => Promise<Result>): Promise<Result> {
    const { disk, life } = this.#on;
    const micros = disk.latencyMicros(operation);
    const early = life.scheduler.chance(0.5);
    if (!early) await life.sleep(micros);
    const result = await run();
    if (early) await life.sleep(micros);
    return result;
  }

  #writePart(bytes: Uint8Array, offset: ByteOffset): void {
    const { inner, life, disk } = this.#on;
    const length = Math.floor(bytes.length * life.scheduler.random());
    const { errorRate } = disk;
    disk.errorRate = 0;
    try {
      inner.writeNow(bytes.subarray(0, length), offset);
    } catch {
      // A full disk, or a file that was closed: then nothing of it arrives.
    } finally {
      disk.errorRate = errorRate;
    }
  }
}
