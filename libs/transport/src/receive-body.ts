// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage } from 'node:http';

/**
 * Reads a request's body of known length into one exactly sized memory. Resolves with undefined when the peer goes away in the middle;
 * a peer that sends nothing for `stallMillisMax` is disconnected.
 */
export function receiveBody(request: IncomingMessage, { lengthBytes, stallMillisMax }: { lengthBytes: number; stallMillisMax: number }): Promise<ArrayBuffer | undefined> {
  return new Promise((resolve) => {
    const memory = Buffer.allocUnsafeSlow(lengthBytes);
    const stall = setTimeout(() => request.destroy(), stallMillisMax);
    let filledBytes = 0;
    const finish = (body: ArrayBuffer | undefined) => {
      clearTimeout(stall);
      resolve(body);
    };
    request.on('data', (chunk: Buffer) => {
      // The parser delivers at most content-length bytes, so this never passes the end.
      chunk.copy(memory, filledBytes);
      filledBytes += chunk.length;
      stall.refresh();
    });
    request.once('end', () => finish(filledBytes === lengthBytes ? memory.buffer : undefined));
    request.once('error', () => finish(undefined));
    request.once('close', () => finish(undefined));
  });
}
