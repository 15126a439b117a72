// SPDX-License-Identifier: Apache-2.0
// Node gives sockets that a server accepted no way to read into memory of our choice; sockets made from a handle have one (`onread`).
// So the accepted socket's handle is moved into a new Socket. Where Node keeps the handle elsewhere one day, callers fall back to events.
import { Socket } from 'node:net';

interface Handle {
  readonly fd?: number;
  reading?: boolean;
  readStop?: () => number;
}

interface SocketWithHandle {
  _handle?: Handle | null;
}

export interface ReadTarget {
  /** The memory for the next read; it is fixed until the next call of `received`. */
  nextBuffer(): Uint8Array;
  /** `length` bytes lie at the start of `bytes`. False: stop reading until `resume`. */
  received(bytes: Uint8Array, length: number): boolean;
}

/** The socket's file descriptor, or -1 when it is closed or has none (Windows). Ask each time: the number is reused after a close. */
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

/** Moves the connection to a new Socket that reads into the target's memory; the old one is destroyed. Undefined when it can not be done. */
export function directSocket(accepted: Socket, target: ReadTarget): Socket | undefined {
  const holder = accepted as unknown as SocketWithHandle;
  const handle = holder._handle;
  if (!handle || accepted.destroyed || accepted.readableLength > 0 || accepted.writableLength > 0) return undefined;
  holder._handle = null;
  accepted.destroy();
  const onread = {
    buffer: () => target.nextBuffer(),
    callback: (length: number, bytes: Uint8Array) => target.received(bytes, length),
  };
  return new Socket({ handle, readable: true, writable: true, manualStart: true, allowHalfOpen: true, onread } as unknown as ConstructorParameters<typeof Socket>[0]);
}
