// SPDX-License-Identifier: Apache-2.0
// The tap: the protected disk as every client sees it. Invariants: a change is admitted by the bitmap, done on the disk and captured in
// one turn of the event loop, so all three agree on the order; while writes are held, none of them reaches the disk.
import type { BlockDevice, Completion, Extent, WriteFlags, ZeroFlags } from '@secondsite/nbd';
import { type ByteCount, type ByteOffset, OperationError } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';
import type { PairReplication } from './pair-replication';
import type { SourceDisk } from './source-disk';

const ZERO_STEP_BYTES = 4 * 1024 * 1024;
const zeros = Buffer.alloc(ZERO_STEP_BYTES);

export class VolumeDevice implements BlockDevice {
  sizeBytes: ByteCount;
  readonly readOnly = false;
  /** Counters since the start. */
  writes = 0;
  writtenBytes: ByteCount = 0;
  readonly #disk: SourceDisk;
  #replication: PairReplication | undefined;
  #gate: PromiseWithResolvers<void> | undefined;

  constructor(disk: SourceDisk) {
    this.#disk = disk;
    this.sizeBytes = disk.sizeBytes;
  }

  /** From this turn on every change is captured (or no longer). */
  set replication(replication: PairReplication | undefined) {
    this.#replication = replication;
  }

  /** Changes that come from now on wait for `release`. Flushes and reads do not. */
  hold(): void {
    this.#gate ??= Promise.withResolvers();
  }

  release(): void {
    this.#gate?.resolve();
    this.#gate = undefined;
  }

  read(into: Uint8Array, offset: ByteOffset): Completion {
    return this.#disk.read(into, offset);
  }

  /**
   * @writePath 1 The tap writes to the source disk in the same turn in which it captures, and only after the region is marked on stable storage; the write is as durable as the disk's own (FLUSH, FUA), a crash loses at most what was not flushed.
   */
  write(offset: ByteOffset, parts: readonly Uint8Array[], { fua }: WriteFlags): Completion {
    const length = lengthOf(parts);
    if (this.#admit({ offset, length }) !== undefined) return this.#writeLater(offset, Buffer.concat(parts, length), fua);
    this.#writeNow(offset, parts, length);
    return fua ? this.#disk.sync() : undefined;
  }

  zero(offset: ByteOffset, length: ByteCount, { fua, mayPunch, fast }: ZeroFlags): Completion {
    if (fast && !mayPunch) throw unsupported();
    if (!mayPunch) return this.#zeroInSteps({ offset, length }, fua);
    return this.#changeRange('zero', { offset, length }, fua);
  }

  trim(offset: ByteOffset, length: ByteCount, { fua }: WriteFlags): Completion {
    return this.#changeRange('trim', { offset, length }, fua);
  }

  flush(): Completion {
    return this.#disk.sync();
  }

  allocation(offset: ByteOffset, length: ByteCount): readonly Extent[] {
    return this.#disk.extents(offset, length);
  }

  #admit(range: ByteRange): undefined | Promise<void> {
    return this.#gate?.promise ?? this.#replication?.admit(range);
  }

  async #writeLater(offset: ByteOffset, bytes: Uint8Array, fua: boolean): Promise<void> {
    const range = { offset, length: bytes.byteLength };
    for (let wait = this.#admit(range); wait !== undefined; wait = this.#admit(range)) await wait;
    this.#writeNow(offset, [bytes], bytes.byteLength);
    if (fua) await this.#disk.sync();
  }

  #writeNow(offset: ByteOffset, parts: readonly Uint8Array[], length: ByteCount): void {
    this.writes += 1;
    this.writtenBytes += length;
    const captured = this.#replication?.captureWrite(offset, parts, length);
    try {
      if (captured) this.#disk.file.writeNow(captured, offset);
      else writeParts(this.#disk, parts, offset);
    } catch (error) {
      if (captured) this.#replication?.revoke({ offset, length }, this.#disk.file);
      throw error;
    }
  }

  #changeRange(kind: 'zero' | 'trim', range: ByteRange, fua: boolean): Completion {
    if (this.#admit(range) !== undefined) return this.#changeRangeLater(kind, range, fua);
    this.#punch(kind, range);
    return fua ? this.#disk.sync() : undefined;
  }

  async #changeRangeLater(kind: 'zero' | 'trim', range: ByteRange, fua: boolean): Promise<void> {
    for (let wait = this.#admit(range); wait !== undefined; wait = this.#admit(range)) await wait;
    this.#punch(kind, range);
    if (fua) await this.#disk.sync();
  }

  #punch(kind: 'zero' | 'trim', range: ByteRange): void {
    const captured = this.#replication?.captureRange(kind, range);
    try {
      this.#disk.file.punchHole(range.offset, range.length);
    } catch (error) {
      if (captured === true) this.#replication?.revoke(range, this.#disk.file);
      throw error;
    }
  }

  /** The space must stay allocated, so zeros are written; in steps, so that other requests get their turn. */
  async #zeroInSteps({ offset, length }: ByteRange, fua: boolean): Promise<void> {
    for (let done = 0; done < length; done += ZERO_STEP_BYTES) {
      const bytes = zeros.subarray(0, Math.min(ZERO_STEP_BYTES, length - done));
      await this.#writeLater(offset + done, bytes, false);
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (fua) await this.#disk.sync();
  }
}

function writeParts(disk: SourceDisk, parts: readonly Uint8Array[], offset: ByteOffset): void {
  let position = offset;
  for (const part of parts) {
    disk.file.writeNow(part, position);
    position += part.byteLength;
  }
}

function lengthOf(parts: readonly Uint8Array[]): ByteCount {
  let length = 0;
  for (const part of parts) length += part.byteLength;
  return length;
}

function unsupported(): OperationError {
  return new OperationError({
    code: 'storage/unsupported', operation: 'zero range', retryable: false, hint: 'Fast zeroing needs permission to leave a hole.',
  });
}
