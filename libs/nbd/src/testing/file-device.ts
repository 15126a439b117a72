// SPDX-License-Identifier: Apache-2.0
import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import type { BlockDevice, Completion, WriteFlags } from '../block-device';

const zeros = Buffer.alloc(1024 * 1024);

/** A raw image file as a device, with plain blocking calls and no capture: what the server itself costs. */
export class FileDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly #file: number;

  constructor(
    path: string,
    readonly readOnly = false,
  ) {
    this.#file = openSync(path, readOnly ? 'r' : 'r+');
    this.sizeBytes = fstatSync(this.#file).size;
  }

  read(into: Uint8Array, offset: number): Completion {
    for (let done = 0; done < into.length; ) {
      const got = readSync(this.#file, into, done, into.length - done, offset + done);
      if (got === 0) throw new Error('the image is shorter than it was');
      done += got;
    }
    return undefined;
  }

  write(offset: number, parts: readonly Uint8Array[], flags: WriteFlags): Completion {
    let at = offset;
    for (const part of parts) {
      for (let done = 0; done < part.length; ) done += writeSync(this.#file, part, done, part.length - done, at + done);
      at += part.length;
    }
    if (flags.fua) fdatasyncSync(this.#file);
    return undefined;
  }

  zero(offset: number, length: number, flags: WriteFlags): Completion {
    for (let done = 0; done < length; done += zeros.length) {
      writeSync(this.#file, zeros, 0, Math.min(zeros.length, length - done), offset + done);
    }
    if (flags.fua) fdatasyncSync(this.#file);
    return undefined;
  }

  trim(): Completion {
    return undefined;
  }

  flush(): Completion {
    fdatasyncSync(this.#file);
    return undefined;
  }

  close(): void {
    closeSync(this.#file);
  }
}
