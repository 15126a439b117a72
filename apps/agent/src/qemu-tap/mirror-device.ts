// SPDX-License-Identifier: Apache-2.0
// The target of QEMU's mirror: a disk that keeps nothing. QEMU has put each change on its own disk already and holds the guest until it is
// answered here. Invariants: a change is answered only when its regions are marked on stable storage (I1) and it stands in the stream or is
// noted as missed; what fails here ends the mirror in QEMU, never the guest's write.
import type { BlockDevice, Completion } from '@secondsite/nbd';
import { type ByteCount, type ByteOffset, OperationError } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';
import type { PairReplication } from '../volume/pair-replication';

export interface MirrorDeviceOptions {
  readonly sizeBytes: ByteCount;
  /** Monotonic. */
  readonly millis: () => number;
  /** A change could not be taken: QEMU will end the mirror. */
  readonly failed: (error: unknown) => void;
}

type Capture = (replication: PairReplication) => unknown;

export class MirrorDevice implements BlockDevice {
  readonly sizeBytes: ByteCount;
  readonly readOnly = false;
  writes = 0;
  writtenBytes: ByteCount = 0;
  replication: PairReplication | undefined;
  readonly #options: MirrorDeviceOptions;
  /** When each change that still waits came, oldest first. */
  readonly #waiting = new Set<{ readonly sinceMillis: number }>();
  #gate: PromiseWithResolvers<void> | undefined;

  constructor(options: MirrorDeviceOptions) {
    this.#options = options;
    this.sizeBytes = options.sizeBytes;
  }

  /** How long the oldest unanswered change has been waiting; 0 when none is. */
  get heldMillis(): number {
    const [oldest] = this.#waiting;
    return oldest ? this.#options.millis() - oldest.sinceMillis : 0;
  }

  hold(): void {
    this.#gate ??= Promise.withResolvers();
  }

  release(): void {
    this.#gate?.resolve();
    this.#gate = undefined;
  }

  read(): Completion {
    throw new OperationError({
      code: 'storage/unsupported', operation: 'read mirror target', retryable: false, hint: 'The target of a mirror keeps no data; read the disk itself.',
    });
  }

  write(offset: ByteOffset, parts: readonly Uint8Array[]): Completion {
    const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
    this.writes += 1;
    this.writtenBytes += length;
    const range = { offset, length };
    if (this.#admit(range) === undefined) return this.#now((replication) => replication.captureWrite(offset, parts, length));
    const bytes = Buffer.concat(parts, length);
    return this.#later(range, (replication) => replication.captureWrite(offset, [bytes], length));
  }

  zero(offset: ByteOffset, length: ByteCount): Completion {
    return this.#changeRange('zero', { offset, length });
  }

  trim(offset: ByteOffset, length: ByteCount): Completion {
    return this.#changeRange('trim', { offset, length });
  }

  /** What is answered is safe already: the regions are marked, and QEMU's own bitmap outlives the agent. */
  flush(): Completion {
    return undefined;
  }

  #changeRange(kind: 'zero' | 'trim', range: ByteRange): Completion {
    const capture: Capture = (replication) => replication.captureRange(kind, range);
    return this.#admit(range) === undefined ? this.#now(capture) : this.#later(range, capture);
  }

  #admit(range: ByteRange): undefined | Promise<void> {
    return this.#gate?.promise ?? this.replication?.admit(range);
  }

  #now(capture: Capture): undefined {
    try {
      if (!this.replication) throw notProtected();
      capture(this.replication);
    } catch (error) {
      this.#options.failed(error);
      throw error;
    }
  }

  async #later(range: ByteRange, capture: Capture): Promise<void> {
    const entry = { sinceMillis: this.#options.millis() };
    this.#waiting.add(entry);
    try {
      for (let wait = this.#admit(range); wait !== undefined; wait = this.#admit(range)) await wait;
    } catch (error) {
      this.#options.failed(error);
      throw error;
    } finally {
      this.#waiting.delete(entry);
    }
    this.#now(capture);
  }
}

function notProtected(): OperationError {
  return new OperationError({
    code: 'volume/not-protected', operation: 'take change from QEMU', retryable: true, hint: 'The volume is in no protection plan; the mirror is ended.',
  });
}
