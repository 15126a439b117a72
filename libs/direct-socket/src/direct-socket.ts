// SPDX-License-Identifier: Apache-2.0
// Node gives sockets that a server accepted no way to read into memory of our choice; sockets made from a handle have one (`onread`).
// So the accepted socket's handle is moved into a new Socket. Where Node keeps the handle elsewhere one day, callers fall back to events.
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

interface Handle {
  readonly fd?: number;
  reading?: boolean;
  readStop?: () => number;
}

interface SocketWithHandle {
  _handle?: Handle | null;
  /** TLS only: the same handle, which is freed by whoever has it here when the connection closes. */
  ssl?: Handle | null;
}

export interface ReadTarget {
  /** The memory for the next read, never empty; it is fixed until the next call of `received`. */
  nextBuffer(): Uint8Array;
  /** `length` bytes lie at the start of `bytes`. False: stop reading until `resume`. */
  received(bytes: Uint8Array, length: number): boolean;
}

/** The socket's file descriptor, or -1 when it is closed or has none (TLS, Windows). Ask each time: the number is reused after a close. */
export function descriptorOf(socket: Socket): number {
  return (socket as unknown as SocketWithHandle)._handle?.fd ?? -1;
}

/** Stops reading at once, also when the kernel has more. */
export function stopReading(socket: Socket): void {
  socket.pause();
  const handle = (socket as unknown as SocketWithHandle)._handle;
  handle?.readStop?.();
  if (handle) handle.reading = false;
}

/**
 * Moves an open connection to a new Socket that reads into the target's memory; the old one is not to be used any more, so ask a TLS socket
 * for its peer before. Reads begin with `resume`. Undefined when it can not be done; then nothing has changed.
 */
export function directSocket(accepted: Socket, target: ReadTarget): Socket | undefined {
  const holder = accepted as unknown as SocketWithHandle;
  const handle = holder._handle;
  if (!handle || accepted.destroyed || accepted.readableLength > 0 || accepted.writableLength > 0) return undefined;
  holder._handle = null;
  const secure = accepted instanceof TLSSocket;
  if (secure) holder.ssl = null;
  else accepted.destroy();
  const onread = {
    buffer: () => target.nextBuffer(),
    callback: (length: number, bytes: Uint8Array) => target.received(bytes, length),
  };
  const options = { handle, readable: true, writable: true, manualStart: true, allowHalfOpen: true, onread };
  const direct = new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]);
  if (secure) (direct as unknown as SocketWithHandle).ssl = handle;
  return direct;
}
