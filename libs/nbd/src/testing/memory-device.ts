// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import type { BlockDevice, BlockSizes, Completion, Extent, ZeroFlags } from '../block-device';

const pageBytes = 4096;

/** A disk in memory that knows its holes by pages of 4 KiB. `answer` decides when each request is done: at once, or with a promise. */
export class MemoryDevice implements BlockDevice {
  readonly content: Buffer;
  readonly #allocated: Uint8Array;
  flushes = 0;
  fuaWrites = 0;
  /** Requests in progress, and the most there ever were. */
  held = 0;
  heldMost = 0;
  /** Set to hold requests, or to let them fail. */
  answer: () => Completion = () => undefined;
  readonly readOnly: boolean;
  readonly blockSizes?: BlockSizes;

  constructor(
    readonly sizeBytes: number,
    options: { readonly readOnly?: boolean; readonly blockSizes?: BlockSizes } = {},
  ) {
    this.content = Buffer.alloc(sizeBytes);
    this.#allocated = new Uint8Array(Math.ceil(sizeBytes / pageBytes));
    this.readOnly = options.readOnly ?? false;
    if (options.blockSizes) this.blockSizes = options.blockSizes;
  }

  read(into: Uint8Array, offset: number): Completion {
    return this.#when(() => void into.set(this.content.subarray(offset, offset + into.length)));
  }

  write(offset: number, parts: readonly Uint8Array[], flags: { readonly fua: boolean }): Completion {
    const copy = Buffer.concat(parts);
    if (flags.fua) this.fuaWrites += 1;
    return this.#when(() => {
      this.content.set(copy, offset);
      this.#allocated.fill(1, Math.floor(offset / pageBytes), Math.ceil((offset + copy.length) / pageBytes));
    });
  }

  zero(offset: number, length: number, flags: ZeroFlags): Completion {
    if (flags.fast && !flags.mayPunch) throw unsupported();
    return this.#when(() => this.#clear({ offset, length, punch: flags.mayPunch }));
  }

  trim(offset: number, length: number): Completion {
    return this.#when(() => this.#clear({ offset, length, punch: true }));
  }

  flush(): Completion {
    this.flushes += 1;
    return this.#when(() => undefined);
  }

  allocation(offset: number, length: number): readonly Extent[] | Promise<readonly Extent[]> {
    const extents: Extent[] = [];
    for (let at = offset; at < offset + length; ) {
      const end = Math.min(offset + length, (Math.floor(at / pageBytes) + 1) * pageBytes);
      const hole = this.#allocated[Math.floor(at / pageBytes)] === 0;
      extents.push({ length: end - at, hole, zero: hole });
      at = end;
    }
    const held = this.answer();
    return held ? held.then(() => extents) : extents;
  }

  #clear(range: { offset: number; length: number; punch: boolean }): void {
    const end = range.offset + range.length;
    this.content.fill(0, range.offset, end);
    if (range.punch) this.#allocated.fill(0, Math.ceil(range.offset / pageBytes), Math.max(Math.floor(end / pageBytes), Math.ceil(range.offset / pageBytes)));
  }

  /** Does the deed when the answer is given, so that a held request has no effect yet. */
  #when(deed: () => void): Completion {
    const held = this.answer();
    if (!held) {
      deed();
      return undefined;
    }
    this.held += 1;
    this.heldMost = Math.max(this.heldMost, this.held);
    return held.then(deed).finally(() => (this.held -= 1));
  }
}

function unsupported(): OperationError {
  return new OperationError({ code: 'storage/unsupported', operation: 'zero', retryable: false, hint: 'There is no fast way.' });
}
