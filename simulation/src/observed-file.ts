// SPDX-License-Identifier: Apache-2.0
import type { StorageFile } from '@secondsite/durable-storage';
import type { ByteCount, ByteOffset } from '@secondsite/units';
import type { SourceModel } from './source-model';

/** The protected disk; tells the model of each change in the turn in which it takes effect. */
export class ObservedFile implements StorageFile {
  readonly #file: StorageFile;
  readonly #model: SourceModel;

  constructor(file: StorageFile, model: SourceModel) {
    this.#file = file;
    this.#model = model;
  }

  get name(): string {
    return this.#file.name;
  }

  size(): ByteCount {
    return this.#file.size();
  }

  readNow(into: Uint8Array, offset: ByteOffset): ByteCount {
    return this.#file.readNow(into, offset);
  }

  read(into: Uint8Array, offset: ByteOffset): Promise<ByteCount> {
    return this.#file.read(into, offset);
  }

  writeNow(data: Uint8Array, offset: ByteOffset): void {
    this.#change(() => this.#file.writeNow(data, offset));
  }

  write(parts: readonly Uint8Array[], offset: ByteOffset): Promise<void> {
    return this.#file.write(parts, offset);
  }

  punchHole(offset: ByteOffset, length: ByteCount): void {
    this.#change(() => this.#file.punchHole(offset, length));
  }

  nextData(offset: ByteOffset): { readonly offset: ByteOffset; readonly length: ByteCount } | undefined {
    return this.#file.nextData(offset);
  }

  truncate(size: ByteCount): Promise<void> {
    return this.#file.truncate(size);
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  syncNow(): void {
    this.#file.syncNow();
  }

  dropCached(): void {
    this.#file.dropCached();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** Of a captured change that fails the model hears when it was read again (ObservedReplication.revoke). */
  #change(change: () => void): void {
    try {
      change();
    } catch (error) {
      if (!this.#model.capturing) this.#model.changed();
      throw error;
    }
    this.#model.changed();
  }
}
