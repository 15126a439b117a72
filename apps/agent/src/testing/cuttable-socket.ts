// SPDX-License-Identifier: Apache-2.0
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A unix socket that passes everything on to another one, until it is cut. */
export class CuttableSocket {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #refusing = false;

  constructor(readonly path: string, private readonly target: string) {
    this.#server = createServer((near) => this.#join(near));
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.path, resolve));
  }

  /** Ends what is connected; refuses what comes until `mend`. */
  cut(): void {
    this.#refusing = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#refusing = false;
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #join(near: Socket): void {
    if (this.#refusing) return void near.destroy();
    const far = connect(this.target);
    for (const [socket, other] of [[near, far], [far, near]] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
  }
}
