// SPDX-License-Identifier: Apache-2.0
// The protected disk as QEMU serves it, read-only. QEMU puts a change on its disk before it sends it to the agent, so a read that starts
// after a change arrived here sees it. The connection may go away at any time (QEMU closes its export at each re-attach): requests under
// way are repeated on the next one, for as long as it takes.
import { NbdClient } from '@secondsite/nbd';
import { type ByteCount, type ByteOffset, isOperationError, OperationError } from '@secondsite/units';
import { setTimeout as delay } from 'node:timers/promises';
import type { DataRange, ResyncSource } from '../volume/resync-source';

const READ_BYTES_MAX = 4 * 1024 * 1024;
const LOOK_AHEAD_BYTES = 0xffff0000;
const RETRY_MILLIS = 100;
/** These pass when the mirror is attached again. */
const passing = ['nbd/disconnected', 'nbd/connect-failed', 'nbd/unknown-export'];

export class MirrorSource implements ResyncSource {
  readonly sizeBytes: ByteCount;
  /** Since the start. */
  readBytes: ByteCount = 0;
  #uri: string | undefined;
  #client: Promise<NbdClient> | undefined;
  /** Data seen by the last look-up; it may have become a hole since, which is harmless. */
  #data: readonly DataRange[] = [];
  #closed = false;

  constructor(sizeBytes: ByteCount) {
    this.sizeBytes = sizeBytes;
  }

  /** Where the disk is served from now on. */
  use(uri: string): void {
    this.#drop();
    this.#uri = uri;
  }

  async read(into: Uint8Array, offset: ByteOffset): Promise<ByteCount> {
    const length = Math.max(0, Math.min(into.byteLength, this.sizeBytes - offset));
    for (let done = 0; done < length; done += READ_BYTES_MAX) {
      const part = into.subarray(done, Math.min(length, done + READ_BYTES_MAX));
      await this.#perform((client) => client.read(offset + done, part));
    }
    this.readBytes += length;
    return length;
  }

  nextData(offset: ByteOffset): DataRange | Promise<DataRange | undefined> {
    const known = this.#data.find((data) => data.offset <= offset && offset < data.offset + data.length);
    return known ?? this.#lookUp(offset);
  }

  /** Nothing to do: QEMU ends with the power, and a new QEMU asks for the whole disk. */
  async sync(): Promise<void> {}

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  /** Looks only so far ahead; what lies behind that is taken for data. */
  async #lookUp(offset: ByteOffset): Promise<DataRange | undefined> {
    const length = Math.min(LOOK_AHEAD_BYTES, this.sizeBytes - offset);
    const extents = await this.#perform((client) => client.allocation({ offset, length }));
    const found: DataRange[] = [];
    let position = offset;
    for (const extent of extents) {
      if (!extent.zero) found.push({ offset: position, length: extent.length });
      position += extent.length;
    }
    this.#data = found;
    return found[0] ?? (position < this.sizeBytes ? { offset: position, length: 1 } : undefined);
  }

  async #perform<T>(action: (client: NbdClient) => Promise<T>): Promise<T> {
    for (;;) {
      if (this.#closed) throw closed();
      const client = this.#connected();
      try {
        if (client) return await action(await client);
      } catch (error) {
        if (this.#client === client) this.#drop();
        if (!passing.some((code) => isOperationError(error, code))) throw error;
      }
      await delay(RETRY_MILLIS);
    }
  }

  /** Undefined while it is not known where the disk is served. */
  #connected(): Promise<NbdClient> | undefined {
    if (!this.#client && this.#uri !== undefined) this.#client = NbdClient.connect(this.#uri);
    return this.#client;
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.then((connected) => connected.destroy()).catch(() => undefined); // It never was connected: nothing to drop.
  }
}

function closed(): OperationError {
  return new OperationError({ code: 'service/shutting-down', operation: 'read disk in QEMU', retryable: false, hint: 'The volume is being closed.' });
}
