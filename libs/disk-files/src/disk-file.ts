// SPDX-License-Identifier: Apache-2.0
// A file or block device behind the storage port. All reading and writing is at explicit offsets, so that the descriptor's own
// position (moved by the hole searches) never matters, and several calls may be under way at once.
import { close, fdatasync, fdatasyncSync, fstatSync, ftruncate, read, readSync, writeSync, writev } from 'node:fs';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import type { StorageFile } from '@secondsite/durable-storage';
import type { ByteCount, ByteOffset } from '@secondsite/units';
import { storageFailure } from './storage-failure';
import { dropCachedPages, lastErrorName, readFromMemory, seekToData, seekToEnd, seekToHole, tryPunchHole } from './system-calls';
import { ThreadTurns } from './thread-turns';

const closeFile = promisify(close);
const syncData = promisify(fdatasync);
const truncateFile = promisify(ftruncate);
const zeros = new Uint8Array(1024 * 1024);
/**
 * The most that one system call writes. The kernel keeps what it gets at once in one piece of page cache (ext4 since 6.16, up to 2 MiB), and each later
 * write into such a piece walks all of its blocks: 4 KiB into pieces of 2 MiB cost 50 µs, into pieces of 128 KiB 7 µs. What is written by `writeNow`
 * may be overwritten anywhere; what `write` takes is mostly appended, and each of its calls is a turn of the thread pool.
 */
const pieceBytesNow = 128 * 1024;
const pieceBytesLater = 1024 * 1024;
/** Read from memory in a row, about 60 µs; then everybody else of the thread comes first. */
const readTurns = new ThreadTurns(1024 * 1024);

interface Range {
  readonly offset: ByteOffset;
  readonly length: ByteCount;
}

/** Owns the descriptor it is given. See StorageFile for durability. */
export class DiskFile implements StorageFile {
  readonly name: string;
  readonly path: string;
  readonly isDevice: boolean;
  readonly #fd: number;
  #deviceBytes: ByteCount | undefined;
  /** Data that `nextData` found last. The kernel walks all extents to where data ends, for each question; a hole made since may be told as data. */
  #data: Range | undefined;
  #canReadMemory = true;
  #closed = false;

  constructor(opened: { readonly fd: number; readonly path: string }) {
    this.#fd = opened.fd;
    this.path = opened.path;
    this.name = basename(opened.path);
    this.isDevice = fstatSync(opened.fd).isBlockDevice();
    this.#deviceBytes = this.isDevice ? this.#askSize() : undefined;
  }

  /** For code of the same thread that hands the descriptor to other system calls; it stays owned by this object. */
  get fd(): number {
    return this.#fd;
  }

  size(): ByteCount {
    return this.#deviceBytes ?? this.#askSize();
  }

  /** Asks a device for its size anew, which may have changed; `size` says it from then on. */
  currentSize(): ByteCount {
    if (this.isDevice) this.#deviceBytes = this.#askSize();
    return this.size();
  }

  readNow(into: Uint8Array, offset: ByteOffset): ByteCount {
    return this.#try('read file', () => {
      let done = 0;
      while (done < into.length) {
        const count = readSync(this.#fd, into, done, into.length - done, offset + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    });
  }

  /** What is in memory is copied at once; the thread pool waits for the disk. */
  async read(into: Uint8Array, offset: ByteOffset): Promise<ByteCount> {
    let done = 0;
    while (done < into.length) {
      const left = into.subarray(done);
      const count = (await this.#readFromMemory(left, offset + done)) ?? (await this.#readOnce(left, offset + done));
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  writeNow(data: Uint8Array, offset: ByteOffset): void {
    this.#try('write file', () => {
      let done = 0;
      while (done < data.length) done += writeSync(this.#fd, data, done, Math.min(data.length - done, pieceBytesNow), offset + done);
    });
  }

  async write(parts: readonly Uint8Array[], offset: ByteOffset): Promise<void> {
    let left = parts.filter((part) => part.length > 0);
    let position = offset;
    while (left.length > 0) {
      const count = await this.#writeOnce(firstOf(left, pieceBytesLater), position);
      position += count;
      left = withoutFirst(left, count);
    }
  }

  punchHole(offset: ByteOffset, length: ByteCount): void {
    const end = Math.min(offset + length, this.size());
    this.#data = undefined;
    if (end <= offset || tryPunchHole(this.#fd, { offset, length: end - offset })) return;
    for (let at = offset; at < end; at += zeros.length) this.writeNow(zeros.subarray(0, Math.min(zeros.length, end - at)), at);
  }

  nextData(offset: ByteOffset): Range | undefined {
    const size = this.size();
    if (offset >= size) return undefined;
    const knownEnd = this.#data ? Math.min(this.#data.offset + this.#data.length, size) : 0;
    if (this.#data && this.#data.offset <= offset && offset < knownEnd) return { offset, length: knownEnd - offset };
    const start = seekToData(this.#fd, offset);
    if (start < 0) {
      const failure = lastErrorName();
      if (failure === 'ENXIO') return undefined;
      if (failure === 'EINVAL' || failure === 'EOPNOTSUPP') return { offset, length: size - offset };
      throw storageFailure(failure, { operation: 'search data in file', path: this.path });
    }
    const hole = seekToHole(this.#fd, start);
    this.#data = { offset: start, length: (hole > start ? hole : size) - start };
    return this.#data;
  }

  async truncate(size: ByteCount): Promise<void> {
    this.#data = undefined;
    await this.#tryLater('truncate file', truncateFile(this.#fd, size));
  }

  async sync(): Promise<void> {
    await this.#tryLater('make file durable', syncData(this.#fd));
  }

  syncNow(): void {
    this.#try('make file durable', () => fdatasyncSync(this.#fd));
  }

  dropCached(): void {
    dropCachedPages(this.#fd);
  }

  /** Idempotent. The caller waits for its own reads and writes first. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#tryLater('close file', closeFile(this.#fd));
  }

  /** As much as fits into the thread's turn; undefined when the first byte is not in memory or behind the end, or nobody can tell. */
  async #readFromMemory(into: Uint8Array, offset: ByteOffset): Promise<number | undefined> {
    if (!this.#canReadMemory) return undefined;
    const room = await readTurns.room();
    const count = readFromMemory(this.#fd, into.subarray(0, room), offset);
    if (count === 'unknown') this.#canReadMemory = false;
    if (typeof count === 'string') return undefined;
    readTurns.take(count);
    return count;
  }

  #readOnce(into: Uint8Array, offset: ByteOffset): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#fd, into, 0, into.length, offset, (error, count) => (error ? reject(this.#failure('read file', error)) : resolve(count)));
    });
  }

  #writeOnce(parts: readonly Uint8Array[], offset: ByteOffset): Promise<number> {
    return new Promise((resolve, reject) => {
      writev(this.#fd, parts, offset, (error, count) => (error ? reject(this.#failure('write file', error)) : resolve(count)));
    });
  }

  #askSize(): ByteCount {
    const size = seekToEnd(this.#fd);
    if (size < 0) throw storageFailure(lastErrorName(), { operation: 'read size of file', path: this.path });
    return size;
  }

  #try<T>(operation: string, run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw this.#failure(operation, error);
    }
  }

  async #tryLater(operation: string, running: Promise<void>): Promise<void> {
    try {
      await running;
    } catch (error) {
      throw this.#failure(operation, error);
    }
  }

  #failure(operation: string, cause: unknown): Error {
    return storageFailure(cause, { operation, path: this.path });
  }
}

/** The first bytes of the parts, at most so many. */
function firstOf(parts: readonly Uint8Array[], bytesMax: ByteCount): Uint8Array[] {
  let room = bytesMax;
  const first: Uint8Array[] = [];
  for (const part of parts) {
    if (room === 0) break;
    first.push(part.length > room ? part.subarray(0, room) : part);
    room -= Math.min(room, part.length);
  }
  return first;
}

/** What remains of the parts after the kernel took `count` bytes (a write may be short). */
function withoutFirst(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  let skip = count;
  const left: Uint8Array[] = [];
  for (const part of parts) {
    if (skip < part.length) left.push(skip > 0 ? part.subarray(skip) : part);
    skip = Math.max(0, skip - part.length);
  }
  return left;
}
