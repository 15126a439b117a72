// SPDX-License-Identifier: Apache-2.0
/** A network between two parts that goes wrong on request. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** What happens to everything on the wire, also to what is under way. */
export type WireFault =
  /** Bytes vanish in both directions, and nobody is told. */
  | { readonly kind: 'blackhole' }
  /** What is sent arrives, answers vanish. */
  | { readonly kind: 'half-open' }
  /** Connections end with a reset, those that are made anew after so many bytes. */
  | { readonly kind: 'reset'; readonly afterBytes: number }
  /** One bit in so many bytes is wrong, in a place that chance chooses. */
  | { readonly kind: 'corrupt'; readonly everyBytes: number }
  | { readonly kind: 'slow'; readonly bytesPerSecond: number }
  | { readonly kind: 'far'; readonly millisOneWay: number };

interface Line {
  readonly near: Socket;
  readonly far: Socket;
  bytes: number;
}

export class FaultyWire {
  readonly #below: (limit: number) => number;
  readonly #lines = new Set<Line>();
  #server: Server | undefined;
  #fault: WireFault | undefined;
  #freeAt = 0;
  #untilWrong = 0;
  /** How often the fault hit something. */
  hits = 0;

  /** `below`: a seeded number in 0 … limit-1. */
  constructor(below: (limit: number) => number) {
    this.#below = below;
  }

  /** Leads to `url`; returns the address to use instead. */
  async start(url: string): Promise<string> {
    const { protocol, hostname, port } = new URL(url);
    this.#server = createServer((near) => this.#join({ near, far: connect(Number(port), hostname), bytes: 0 }));
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `${protocol}//127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  breakWith(fault: WireFault): void {
    this.#fault = fault;
    this.hits = 0;
    if (fault.kind === 'reset') for (const line of this.#lines) this.#reset(line);
  }

  /** The network is well again; connections from which bytes vanished are of no use any more, as their ends find out. */
  heal(): void {
    const lost = this.#fault?.kind === 'blackhole' || this.#fault?.kind === 'half-open';
    this.#fault = undefined;
    if (lost) for (const line of this.#lines) this.#reset(line);
  }

  async stop(): Promise<void> {
    if (!this.#server) return;
    this.#server.close();
    for (const line of this.#lines) this.#reset(line);
    await once(this.#server, 'close');
  }

  #join(line: Line): void {
    this.#lines.add(line);
    void this.#carry(line, 'there');
    void this.#carry(line, 'back');
  }

  async #carry(line: Line, direction: 'there' | 'back'): Promise<void> {
    const [from, to] = direction === 'there' ? [line.near, line.far] : [line.far, line.near];
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        const passed = await this.#pass(line, { chunk, direction });
        if (passed && !to.write(passed)) await once(to, 'drain');
      }
      to.end();
    } catch {
      this.#reset(line); // One end is gone.
    }
    if (from.destroyed && to.destroyed) this.#lines.delete(line);
  }

  /** What of the bytes arrives. */
  async #pass(line: Line, { chunk, direction }: { readonly chunk: Buffer; readonly direction: 'there' | 'back' }): Promise<Buffer | undefined> {
    line.bytes += chunk.length;
    const fault = this.#fault;
    switch (fault?.kind) {
      case undefined:
        return chunk;
      case 'blackhole':
        this.hits += 1;
        return undefined;
      case 'half-open':
        this.hits += direction === 'back' ? 1 : 0;
        return direction === 'there' ? chunk : undefined;
      case 'reset':
        if (line.bytes < fault.afterBytes) return chunk;
        this.hits += 1;
        this.#reset(line);
        return undefined;
      case 'corrupt':
        return this.#corrupted(chunk, fault.everyBytes);
      case 'slow':
        this.hits += 1;
        await this.#waitForTurn((chunk.length / fault.bytesPerSecond) * 1000);
        return chunk;
      case 'far':
        this.hits += 1;
        await delay(fault.millisOneWay);
        return chunk;
    }
  }

  #corrupted(chunk: Buffer, everyBytes: number): Buffer {
    this.#untilWrong -= chunk.length;
    if (this.#untilWrong > 0) return chunk;
    this.#untilWrong = 1 + this.#below(2 * everyBytes);
    this.hits += 1;
    const wrong = Buffer.from(chunk);
    const at = this.#below(wrong.length);
    wrong.writeUInt8(wrong.readUInt8(at) ^ (1 << this.#below(8)), at);
    return wrong;
  }

  /** All connections share the link. */
  async #waitForTurn(millis: number): Promise<void> {
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now) + millis;
    await delay(this.#freeAt - now);
  }

  #reset(line: Line): void {
    this.#lines.delete(line);
    for (const socket of [line.near, line.far]) {
      socket.on('error', () => undefined); // A reset is what was asked for.
      socket.resetAndDestroy();
    }
  }
}
