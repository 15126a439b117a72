// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';

/** An object as a listing shows it. */
export interface ColdObject {
  readonly name: string;
  readonly bytes: ByteCount;
}

/**
 * Port: where segments go whose undo is seldom read. Objects have names like paths, are stored once and never changed. Buffers stay the caller's and
 * must not change until a call resolves. Operating failures throw OperationError: `cold-store/unreachable` (retryable: network, overload, closed),
 * `cold-store/refused` (rights, bucket), `cold-store/not-found`, `cold-store/not-whole` (retryable: it keeps other bytes than were sent).
 */
export interface ColdStore {
  /**
   * On return the object is durable, and the store has confirmed size and checksum of what it keeps. After a failure it may be there, whole,
   * in part, or not.
   */
  put(name: string, content: Uint8Array): Promise<void>;
  /** `length` bytes from `offset`, fewer only where the object ends. */
  read(name: string, range: { readonly offset: number; readonly length: ByteCount }): Promise<Uint8Array>;
  /** All objects whose names begin with `prefix`, in pages. */
  list(prefix: string): AsyncIterable<readonly ColdObject[]>;
  /** Those that are not there are no failure. */
  remove(names: readonly string[]): Promise<void>;
  /** Requests under way fail as unreachable, and so does every later one. */
  close(): void;
}
