// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';

const acceptsConnections = 0x10000;

/**
 * Whether a process listens on this unix socket. The file alone says less: it exists from `bind` on, and until `listen` every
 * connection is refused. Asks the kernel (Linux, /proc/net/unix: `Num: RefCount Protocol Flags Type St Inode Path`), so the server sees no client.
 */
export function isListening(socketPath: string): boolean {
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .some(([, , , flags = '0', , , , path]) => path === socketPath && (Number.parseInt(flags, 16) & acceptsConnections) !== 0);
}
