// SPDX-License-Identifier: Apache-2.0
import type { ByteCount, ByteOffset } from '@secondsite/units';

/** Block-size constraints offered to clients (NBD_INFO_BLOCK_SIZE), in bytes. */
export interface BlockSizes {
  /** Power of two, 1 … 65536; requests that are not multiples of it are refused. */
  readonly minimum: ByteCount;
  /** Power of two, at least 512 and at least `minimum`. */
  readonly preferred: ByteCount;
  /** Largest payload of one read or write; a multiple of `minimum`, at most 32 MiB. */
  readonly maximum: ByteCount;
}

/** `fua`: the answer may be given only when this request's bytes are on stable storage. */
export interface WriteFlags {
  readonly fua: boolean;
}

export interface ZeroFlags extends WriteFlags {
  /** The device may leave a hole. False (NO_HOLE): the space must stay allocated. */
  readonly mayPunch: boolean;
  /** Throw an OperationError with code `storage/unsupported` at once rather than write zeros slowly. */
  readonly fast: boolean;
}

/** A run of bytes; a list of extents starts at the queried offset and has no gaps. */
export interface Extent {
  readonly length: ByteCount;
  /** Nothing is allocated there. */
  readonly hole: boolean;
  /** It reads as zeros. */
  readonly zero: boolean;
}

/** `undefined`: done, answer now. A promise: answer when it resolves; until then the request is held. */
export type Completion = undefined | Promise<void>;

/**
 * A disk that an NbdServer exports. Ranges are inside `sizeBytes` and never empty when a method is called. A method that can finish at
 * once returns `undefined` (no promise per request); it may run while promises of earlier requests are pending, in any number, from
 * several connections. Failures are OperationErrors, thrown or rejected; see errnoOf for how codes become NBD errors.
 */
export interface BlockDevice {
  readonly sizeBytes: ByteCount;
  /** True: the server refuses write, zero and trim itself. */
  readonly readOnly: boolean;
  /** Default: minimum 1, preferred 4096, maximum 32 MiB. */
  readonly blockSizes?: BlockSizes;

  /** Fills all of `into` from `offset`. The server owns `into`; the device may write to it until it answers. */
  read(into: Uint8Array, offset: ByteOffset): Completion;

  /**
   * Writes `parts`, one after the other, at `offset`. The parts are views of receive buffers and the list itself is reused: both are
   * valid only until this call returns, also when it returns a promise. So copy, or write, in the call.
   */
  write(offset: ByteOffset, parts: readonly Uint8Array[], flags: WriteFlags): Completion;

  /** Makes the range read as zeros. */
  zero(offset: ByteOffset, length: ByteCount, flags: ZeroFlags): Completion;

  /** The range's content is no longer needed; reading it afterwards may give anything the device likes. */
  trim(offset: ByteOffset, length: ByteCount, flags: WriteFlags): Completion;

  /** Every write answered before this call, on any connection, is on stable storage when it is answered. */
  flush(): Completion;

  /** Extents from `offset` on, covering at least its first byte and at most `length`. Absent: everything is allocated data. */
  allocation?(offset: ByteOffset, length: ByteCount): readonly Extent[] | Promise<readonly Extent[]>;

  /** A hint that the range will be read soon. */
  cache?(offset: ByteOffset, length: ByteCount): Completion;
}

export const defaultBlockSizes: BlockSizes = { minimum: 1, preferred: 4096, maximum: 32 * 1024 * 1024 };
