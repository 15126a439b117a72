// SPDX-License-Identifier: Apache-2.0
import { type ByteCount, OperationError } from '@secondsite/units';
import type { StorageDirectory, StorageFile } from '../storage-port';
import { CrashableContent } from './crashable-content';
import { CrashableFile } from './crashable-file';
import type { CrashableStorage, StorageOperationKind } from './crashable-storage';
import { type Random, randomBelow } from './seeded-random';

type Entries = Map<string, CrashableContent>;
type EntryChange = (entries: Entries) => void;

/** The entries of one folder now, as of the last sync, and the changes between. */
export class CrashableFolder {
  entries: Entries = new Map();
  #durable: Entries = new Map();
  #changes: EntryChange[] = [];

  change(change: EntryChange): void {
    change(this.entries);
    this.#changes.push(change);
  }

  sync(): void {
    this.#durable = new Map(this.entries);
    this.#changes = [];
  }

  crash(random: Random): void {
    const kept = randomBelow(random, this.#changes.length + 1);
    for (const change of this.#changes.slice(0, kept)) change(this.#durable);
    this.#changes = [];
    this.entries = new Map(this.#durable);
    for (const content of new Set(this.entries.values())) content.crash(random);
  }

  clone(cloneOf: (content: CrashableContent) => CrashableContent): CrashableFolder {
    const copy = new CrashableFolder();
    copy.entries = new Map([...this.entries].map(([name, content]) => [name, cloneOf(content)]));
    copy.#durable = new Map([...this.#durable].map(([name, content]) => [name, cloneOf(content)]));
    // Unsynced changes hold contents by reference; a snapshot keeps their result only as one change.
    const now = copy.entries;
    if (this.#changes.length > 0) copy.#changes = [(entries) => replaceAll(entries, new Map(now))];
    return copy;
  }
}

function replaceAll(entries: Entries, by: Entries): void {
  entries.clear();
  for (const [name, content] of by) entries.set(name, content);
}

export class CrashableDirectory implements StorageDirectory {
  readonly path: string;
  readonly #storage: CrashableStorage;
  readonly #folder: CrashableFolder;
  readonly #generation: number;

  constructor(options: { readonly storage: CrashableStorage; readonly folder: CrashableFolder; readonly path: string }) {
    this.path = options.path;
    this.#storage = options.storage;
    this.#folder = options.folder;
    this.#generation = options.storage.generation;
  }

  async list(): Promise<string[]> {
    this.#admit('read', '.');
    return [...this.#folder.entries.keys()].sort();
  }

  async open(name: string, options: { readonly create?: boolean } = {}): Promise<StorageFile> {
    let content = this.#folder.entries.get(name);
    this.#admit(content ? 'read' : 'open', name);
    if (!content) {
      if (options.create !== true) throw this.#notFound('open file', name);
      const created = (content = new CrashableContent());
      this.#folder.change((entries) => entries.set(name, created));
    }
    return new CrashableFile({ storage: this.#storage, content, name, generation: this.#generation });
  }

  async rename(from: string, to: string): Promise<void> {
    this.#admit('rename', from);
    const content = this.#folder.entries.get(from);
    if (!content) throw this.#notFound('rename file', from);
    this.#folder.change((entries) => {
      entries.delete(from);
      entries.set(to, content);
    });
  }

  async remove(name: string): Promise<void> {
    this.#admit('remove', name);
    if (!this.#folder.entries.has(name)) throw this.#notFound('remove file', name);
    this.#folder.change((entries) => entries.delete(name));
  }

  async directory(name: string): Promise<StorageDirectory> {
    return this.#storage.directory(`${this.path}${name}/`);
  }

  async sync(): Promise<void> {
    this.#admit('sync-folder', '.');
    this.#folder.sync();
  }

  async freeBytes(): Promise<ByteCount> {
    return Math.max(0, this.#storage.capacityBytes - this.#storage.usedBytes);
  }

  #admit(kind: StorageOperationKind, name: string): void {
    this.#storage.admit({ kind, name: `${this.path}${name}`, bytes: 0, generation: this.#generation });
  }

  #notFound(operation: string, name: string): OperationError {
    const context = { path: `${this.path}${name}` };
    return new OperationError({ code: 'storage/not-found', operation, context, retryable: false, hint: 'Check the path.' });
  }
}
