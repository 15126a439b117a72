// SPDX-License-Identifier: Apache-2.0
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the ports (32768 and up, by default) of which Linux takes one for every outgoing connection: none of those can take ours before it is used. */
const firstPort = 20_000;
const endPort = 32_768;
const triesMax = 50;

/** A TCP port of the loopback address that is free now; `preferred` when it is free. Another server may take it before it is used. */
export async function freePort(preferred = 0): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const port = attempt === 1 && preferred !== 0 ? preferred : randomInt(firstPort, endPort);
    const server = createServer();
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      return port;
    } catch (error) {
      if (attempt === triesMax || !['EADDRINUSE', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    } finally {
      server.close();
    }
  }
}
