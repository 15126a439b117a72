// SPDX-License-Identifier: Apache-2.0
// In-memory storage that can lose power and fail on purpose: the fake behind every crash test. Rules it plays by:
// file bytes as in crashable-content.ts; changes of folder entries reach the disk in order, so a cut keeps a prefix of those since
// the last sync of the folder; sub-folders are durable at once. After a cut or a crash fault nothing works until `crash` was called,
// and handles opened before it stay dead.
import { OperationError } from '@secondsite/units';
import type { StorageDirectory } from '../storage-port';
import type { CrashableContent } from './crashable-content';
import { CrashableDirectory, CrashableFolder } from './crashable-directory';
import { type Random, seededRandom } from './seeded-random';

export type StorageOperationKind = 'read' | 'write' | 'punch-hole' | 'truncate' | 'sync' | 'open' | 'rename' | 'remove' | 'sync-folder';

/** One operation about to happen. `index` counts from 1 over the storage's whole life; reads do not advance it. */
export interface StorageOperation {
  readonly index: number;
  readonly kind: StorageOperationKind;
  readonly name: string;
  readonly bytes: number;
}

/**
 * What happens instead of the operation. `crash`: the power goes (a write may have reached any of its sectors). `no-space` and
 * `io-error`: OperationError with that code; a failing write may have written its first part, a failing sync made nothing durable.
 */
export type StorageFault = 'crash' | 'no-space' | 'io-error';

/** Thrown by every operation from the power cut on. Scenarios let it pass. */
export class SimulatedCrash extends Error {
  override readonly name = 'SimulatedCrash';
}

export interface StorageSnapshot {
  readonly folders: ReadonlyMap<string, CrashableFolder>;
}

export class CrashableStorage {
  /** Decides the fate of each operation; undefined lets it happen. */
  fault: ((operation: StorageOperation) => StorageFault | undefined) | undefined;
  /** All files together may not grow past it: `storage/no-space`. */
  capacityBytes = Number.MAX_SAFE_INTEGER;
  #operations = 0;
  #stopped = false;
  #generation = 0;
  #folders = new Map<string, CrashableFolder>();
  #tearing = seededRandom(1);

  get root(): StorageDirectory {
    return this.directory('/');
  }

  /** Operations that changed something, so far. */
  get operations(): number {
    return this.#operations;
  }

  /** The power is gone and `crash` has not been called yet. */
  get stopped(): boolean {
    return this.#stopped;
  }

  get generation(): number {
    return this.#generation;
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const folder of this.#folders.values()) for (const content of folder.entries.values()) bytes += content.size;
    return bytes;
  }

  /** The power goes at the `count`-th changing operation from now (1 = the next). */
  crashAfter(count: number): void {
    const at = this.#operations + count;
    this.fault = (operation) => (operation.index >= at && operation.kind !== 'read' ? 'crash' : undefined);
  }

  /** Power cut and power on: what was not synced is kept or lost as `random` says. Faults are cleared; open files anew. */
  crash(random: Random): void {
    for (const folder of this.#folders.values()) folder.crash(random);
    this.fault = undefined;
    this.#stopped = false;
    this.#generation += 1;
  }

  snapshot(): StorageSnapshot {
    return { folders: cloneFolders(this.#folders) };
  }

  /** Brings contents, durable and not, back to a snapshot; handles opened before are dead. */
  restore(snapshot: StorageSnapshot): void {
    this.#folders = cloneFolders(snapshot.folders);
    this.#stopped = false;
    this.#generation += 1;
  }

  /** Another storage with the same contents, durable and not. */
  copy(): CrashableStorage {
    const copy = new CrashableStorage();
    copy.#folders = cloneFolders(this.#folders);
    return copy;
  }

  directory(path: string): StorageDirectory {
    let folder = this.#folders.get(path);
    if (!folder) this.#folders.set(path, (folder = new CrashableFolder()));
    return new CrashableDirectory({ storage: this, folder, path });
  }

  /** A copy of a file's bytes as the page cache has them; counts as no operation. Undefined when there is no such file. */
  contentOf(path: string, name: string): Uint8Array | undefined {
    const content = this.#folders.get(path)?.entries.get(name);
    if (!content) return undefined;
    const bytes = new Uint8Array(content.size);
    content.read(bytes, 0);
    return bytes;
  }

  /** Called by files and folders before they act. `tear` lets a failing write happen in part. Not for tests. */
  admit(operation: Omit<StorageOperation, 'index'> & { readonly generation: number; readonly tear?: (fraction: number) => void }): void {
    if (this.#stopped || operation.generation !== this.#generation) throw new SimulatedCrash(`no power: ${operation.kind} ${operation.name}`);
    if (operation.kind !== 'read') this.#operations += 1;
    const fault = this.fault?.({ index: this.#operations, kind: operation.kind, name: operation.name, bytes: operation.bytes });
    const full = operation.kind === 'write' && operation.bytes > 0 && this.usedBytes + operation.bytes > this.capacityBytes;
    if (fault === undefined && !full) return;
    operation.tear?.(fault === 'crash' ? 1 : this.#tearing());
    if (fault === 'crash') {
      this.#stopped = true;
      throw new SimulatedCrash(`power cut at ${operation.kind} ${operation.name} (operation ${this.#operations})`);
    }
    throw failure(full ? 'no-space' : (fault ?? 'no-space'), operation);
  }
}

function failure(fault: 'no-space' | 'io-error', operation: { readonly kind: string; readonly name: string }): OperationError {
  return new OperationError({
    code: `storage/${fault}`,
    operation: `${operation.kind} ${operation.name}`,
    retryable: fault === 'no-space',
    hint: 'This failure is simulated.',
  });
}

/** Keeps files that two names or snapshots share apart from the original, and shared among themselves. */
function cloneFolders(folders: ReadonlyMap<string, CrashableFolder>): Map<string, CrashableFolder> {
  const clones = new Map<CrashableContent, CrashableContent>();
  const cloneOf = (content: CrashableContent): CrashableContent => {
    let clone = clones.get(content);
    if (!clone) clones.set(content, (clone = content.clone()));
    return clone;
  };
  return new Map([...folders].map(([path, folder]) => [path, folder.clone(cloneOf)]));
}
