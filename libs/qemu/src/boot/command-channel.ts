// SPDX-License-Identifier: Apache-2.0
// Commands to the guest over a virtio serial port: "id base64-script" out, "id exit-code base64-output" back, one at a time.
import { createConnection, type Socket } from 'node:net';
import { OperationError } from '@secondsite/units';
import { timeLimitError, waitUntil } from '../host-tools/wait-until';

export interface CommandResult {
  readonly exitCode: number;
  /** Standard output and error together. */
  readonly output: string;
}

interface Pending {
  readonly resolve: (result: CommandResult) => void;
  readonly reject: (error: Error) => void;
}

export class CommandChannel {
  private nextId = 1;
  private received = '';
  private readonly pending = new Map<number, Pending>();

  private constructor(private readonly socket: Socket) {
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => this.receive(chunk));
    socket.on('error', (error) => this.failAll(error));
    socket.on('close', () => this.failAll(undefined));
  }

  /** Connects to QEMU's end of the port, waiting until it is there. */
  static async connect(options: { socketPath: string; timeLimitMillis: number }): Promise<CommandChannel> {
    const socket = await waitUntil({
      probe: () => tryConnect(options.socketPath),
      timeLimitMillis: options.timeLimitMillis,
      operation: 'connect to the guest command channel',
      hint: 'QEMU may have ended; see its console log.',
    });
    return new CommandChannel(socket);
  }

  /** Runs a shell script in the guest to its end; a booting guest takes it when ready. Fails with `qemu/time-limit` or `qemu/guest-ended`. */
  run(script: string, timeLimitMillis: number): Promise<CommandResult> {
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        clearTimeout(timer);
        this.pending.delete(id);
        reject(error);
      };
      const hint = 'The guest may be hung, still booting or still working on it.';
      const timer = setTimeout(() => fail(timeLimitError({ operation: 'run a command in the guest', timeLimitMillis, hint })), timeLimitMillis);
      const succeed = (result: CommandResult): void => {
        clearTimeout(timer);
        resolve(result);
      };
      this.pending.set(id, { resolve: succeed, reject: fail });
      this.socket.write(`${id} ${Buffer.from(script).toString('base64')}\n`);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private receive(chunk: string): void {
    const lines = (this.received + chunk).split('\n');
    this.received = lines.pop() ?? '';
    for (const line of lines) this.settle(line);
  }

  private settle(line: string): void {
    const [id, code, output] = line.trim().split(' ');
    const pending = this.pending.get(Number(id));
    if (!pending) return; // The answer to a command whose time limit had passed.
    this.pending.delete(Number(id));
    pending.resolve({ exitCode: Number(code), output: Buffer.from(output ?? '', 'base64').toString('utf8') });
  }

  private failAll(cause: Error | undefined): void {
    for (const pending of [...this.pending.values()]) pending.reject(guestEnded(cause));
  }
}

function tryConnect(socketPath: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection({ path: socketPath });
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', () => resolve(undefined));
  });
}

function guestEnded(cause: Error | undefined): OperationError {
  const hint = 'The guest powered off, was killed or dropped the channel.';
  const details = { code: 'qemu/guest-ended', operation: 'run a command in the guest', retryable: false, hint };
  return new OperationError({ ...details, ...(cause ? { cause } : {}) });
}
