// SPDX-License-Identifier: Apache-2.0
import type { ByteCount, ByteOffset } from '@secondsite/units';

/**
 * A file whose durability is explicit: bytes written are readable at once, and survive a power cut only after `sync` resolved.
 * Before that a cut may keep any subset of the written 512-byte sectors, in any order. Buffers stay owned by the caller, who must
 * not change them until the call returns (sync methods) or resolves (async methods).
 * The `…Now` methods block the calling thread (hot paths that own their thread); the others use the thread pool.
 * Operating failures throw OperationError (`storage/no-space`, `storage/io-error`).
 */
export interface StorageFile {
  readonly name: string;
  size(): ByteCount;
  /** Reads up to `into.length` bytes at `offset`; returns how many there were before the end of the file. Holes read as zeros. */
  readNow(into: Uint8Array, offset: ByteOffset): ByteCount;
  read(into: Uint8Array, offset: ByteOffset): Promise<ByteCount>;
  /** Writes all bytes at `offset`, growing the file if needed. */
  writeNow(data: Uint8Array, offset: ByteOffset): void;
  /** Writes the parts one after another from `offset` on. */
  write(parts: readonly Uint8Array[], offset: ByteOffset): Promise<void>;
  /** Makes a range read as zeros and frees its blocks where the file system can; never changes the size. */
  punchHole(offset: ByteOffset, length: ByteCount): void;
  /** First data range at or after `offset` (SEEK_DATA/SEEK_HOLE), undefined when only a hole follows. May report holes as data, never data as a hole. */
  nextData(offset: ByteOffset): { readonly offset: ByteOffset; readonly length: ByteCount } | undefined;
  truncate(size: ByteCount): Promise<void>;
  /** fdatasync: on resolve all that was written before the call, and the size, survive a power cut. */
  sync(): Promise<void>;
  syncNow(): void;
  /** The file will not be read soon: what of it is durable need not stay in memory. Changes nothing else; best effort. */
  dropCached(): void;
  close(): Promise<void>;
}

/** A flat folder of files. Creating, renaming and removing entries is durable only after `sync` of the folder resolved. */
export interface StorageDirectory {
  readonly path: string;
  list(): Promise<string[]>;
  /** Opens for reading and writing. `create`: make it if missing; otherwise a missing file throws OperationError `storage/not-found`. */
  open(name: string, options?: { readonly create?: boolean }): Promise<StorageFile>;
  /** Atomic replace. */
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** A sub-folder, made if missing. */
  directory(name: string): Promise<StorageDirectory>;
  sync(): Promise<void>;
  freeBytes(): Promise<ByteCount>;
}
