// SPDX-License-Identifier: Apache-2.0
import type { ByteCount, ByteOffset } from '@secondsite/units';
import type { StorageFile } from '../storage-port';
import type { CrashableContent } from './crashable-content';
import type { CrashableStorage, StorageOperationKind } from './crashable-storage';

/** A sync makes durable what was written before the call, at the call, and resolves later: writes made meanwhile are not covered. */
export class CrashableFile implements StorageFile {
  readonly name: string;
  readonly #storage: CrashableStorage;
  readonly #content: CrashableContent;
  readonly #generation: number;
  #closed = false;

  constructor(options: {
    readonly storage: CrashableStorage;
    readonly content: CrashableContent;
    readonly name: string;
    readonly generation: number;
  }) {
    this.#storage = options.storage;
    this.#content = options.content;
    this.name = options.name;
    this.#generation = options.generation;
  }

  size(): ByteCount {
    this.#admit('read');
    return this.#content.size;
  }

  readNow(into: Uint8Array, offset: ByteOffset): ByteCount {
    this.#admit('read', { bytes: into.length });
    return this.#content.read(into, offset);
  }

  async read(into: Uint8Array, offset: ByteOffset): Promise<ByteCount> {
    return this.readNow(into, offset);
  }

  writeNow(data: Uint8Array, offset: ByteOffset): void {
    const tear = (fraction: number): void => this.#content.write(data.subarray(0, Math.floor(data.length * fraction)), offset);
    this.#admit('write', { bytes: Math.max(0, offset + data.length - this.#content.size), tear });
    this.#content.write(data, offset);
  }

  async write(parts: readonly Uint8Array[], offset: ByteOffset): Promise<void> {
    this.writeNow(Buffer.concat(parts), offset);
    await Promise.resolve();
  }

  punchHole(offset: ByteOffset, length: ByteCount): void {
    this.#admit('punch-hole', { tear: (fraction) => this.#content.zero(offset, Math.floor(length * fraction)) });
    this.#content.zero(offset, length);
  }

  nextData(offset: ByteOffset): { readonly offset: ByteOffset; readonly length: ByteCount } | undefined {
    this.#admit('read');
    return this.#content.nextData(offset);
  }

  async truncate(size: ByteCount): Promise<void> {
    this.#admit('truncate', { tear: (fraction) => (fraction === 1 ? this.#content.truncate(size) : undefined) });
    this.#content.truncate(size);
    await Promise.resolve();
  }

  async sync(): Promise<void> {
    this.syncNow();
    for (let turn = 0; turn < 3; turn += 1) await Promise.resolve();
  }

  syncNow(): void {
    this.#admit('sync');
    this.#content.sync();
  }

  dropCached(): void {
    this.#admit('read');
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #admit(kind: StorageOperationKind, details: { readonly bytes?: number; readonly tear?: (fraction: number) => void } = {}): void {
    if (this.#closed) throw new Error(`${this.name} is closed`);
    this.#storage.admit({ kind, name: this.name, bytes: 0, generation: this.#generation, ...details });
  }
}
