// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage } from 'node:http';
import type { BodyPool } from './body-pool';

/**
 * Reads a request's body of known length into one piece of memory from the pool. Resolves with undefined when the peer goes away in the
 * middle; a peer that sends nothing for `stallMillisMax` is disconnected.
 */
export function receiveBody(request: IncomingMessage, { lengthBytes, stallMillisMax, pool }: { lengthBytes: number; stallMillisMax: number; pool: BodyPool }): Promise<Uint8Array<ArrayBuffer> | undefined> {
  return new Promise((resolve) => {
    const memory = Buffer.from(pool.take(lengthBytes), 0, lengthBytes);
    const stall = setTimeout(() => request.destroy(), stallMillisMax);
    let filledBytes = 0;
    const finish = (body: Uint8Array<ArrayBuffer> | undefined) => {
      clearTimeout(stall);
      resolve(body);
    };
    request.on('data', (chunk: Buffer) => {
      // The parser delivers at most content-length bytes, so this never passes the end.
      chunk.copy(memory, filledBytes);
      filledBytes += chunk.length;
      stall.refresh();
    });
    request.once('end', () => finish(filledBytes === lengthBytes ? memory : undefined));
    request.once('error', () => finish(undefined));
    request.once('close', () => finish(undefined));
  });
}
