// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A connection that can be held: what the sender has not handed to the kernel by then (some megabytes fit in there) stays in the sender's
 * memory until the wire is released. With `bytesPerSecond` it carries no more than that, all its connections together.
 */
export class GatedWire {
  readonly #sockets = new Set<Socket>();
  readonly #bytesPerSecond: number;
  #server: Server | undefined;
  #held = false;
  #freeAtMillis = 0;

  constructor({ bytesPerSecond = Infinity }: { readonly bytesPerSecond?: number } = {}) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Leads to `url`; returns the address to use instead. */
  async start(url: string): Promise<string> {
    const { hostname, port } = new URL(url);
    this.#server = createServer((socket) => this.#join(socket, connect(Number(port), hostname)));
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  hold(): void {
    this.#held = true;
    for (const socket of this.#sockets) socket.pause();
  }

  release(): void {
    this.#held = false;
    for (const socket of this.#sockets) socket.resume();
  }

  async stop(): Promise<void> {
    if (!this.#server) return;
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }

  #slowDown(socket: Socket, bytes: number): void {
    if (this.#bytesPerSecond === Infinity) return;
    const now = performance.now();
    this.#freeAtMillis = Math.max(now, this.#freeAtMillis) + (bytes * 1000) / this.#bytesPerSecond;
    socket.pause();
    setTimeout(() => {
      if (!this.#held) socket.resume();
    }, this.#freeAtMillis - now);
  }

  #join(near: Socket, far: Socket): void {
    this.#sockets.add(near);
    near.on('data', (chunk) => {
      far.write(chunk);
      this.#slowDown(near, chunk.length);
    });
    if (this.#held) near.pause();
    far.pipe(near);
    const end = (): void => {
      this.#sockets.delete(near);
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.on('error', end).on('close', end);
  }
}
