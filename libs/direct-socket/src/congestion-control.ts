// SPDX-License-Identifier: Apache-2.0
// TCP's congestion control of one socket, which Node offers no way to choose. Source: tcp(7), TCP_CONGESTION.
import koffi from 'koffi';
import type { Socket } from 'node:net';
import { descriptorOf } from './direct-socket';

const onLinux = process.platform === 'linux';
const library = koffi.load(null);
const setsockopt = library.func('int setsockopt(int socket, int level, int option, str value, uint32_t length)') as (
  socket: number, level: number, option: number, value: string, length: number,
) => number;
const levelTcp = 6;
const optionCongestion = 13;

/**
 * Chooses how the kernel paces what this connected socket sends, e.g. `bbr`; false when the system does not have it or does not allow it, and
 * the socket keeps what it had. Linux only; loads the kernel's module when the process may.
 */
export function chooseCongestionControl(socket: Socket, name: string): boolean {
  const descriptor = descriptorOf(socket);
  return onLinux && descriptor >= 0 && setsockopt(descriptor, levelTcp, optionCongestion, name, name.length) === 0;
}
