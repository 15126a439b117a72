// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** A TCP port of the loopback address that is free now; `preferred` when it is free. Another process may take it before it is used. */
export async function freePort(preferred = 0): Promise<number> {
  const server = createServer();
  try {
    server.listen(preferred, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  } catch (error) {
    if (preferred !== 0 && ['EADDRINUSE', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return freePort();
    throw error;
  } finally {
    server.close();
  }
}
