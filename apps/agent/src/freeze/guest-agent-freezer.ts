// SPDX-License-Identifier: Apache-2.0
// The guest agent of a virtual machine freezes the file systems inside it, and runs the hooks that are set up there.
// Source: QEMU Guest Agent protocol reference, guest-sync-delimited, guest-fsfreeze-freeze, guest-fsfreeze-thaw. Each step has a connection of its
// own, because the channel serves one client at a time and whoever thaws may be another process than who froze.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Freezer } from './freezer';
import { hookFailed, hookTooSlow } from './hook-error';

const SENTINEL = 0xff;

export class GuestAgentFreezer implements Freezer {
  /** The guest agent thaws what it had frozen when it fails. */
  readonly thawsAfterFailure = false;
  readonly #socketPath: string;
  readonly #secondsMax: number;

  constructor({ socketPath, secondsMax }: { readonly socketPath: string; readonly secondsMax: number }) {
    this.#socketPath = socketPath;
    this.#secondsMax = secondsMax;
  }

  async freeze(): Promise<void> {
    await this.#execute('guest-fsfreeze-freeze');
  }

  async thaw(): Promise<void> {
    await this.#execute('guest-fsfreeze-thaw');
  }

  async #execute(command: string): Promise<void> {
    const socket = connect(this.#socketPath);
    const timer = setTimeout(() => socket.destroy(hookTooSlow(command, this.#secondsMax)), this.#secondsMax * 1000);
    try {
      await once(socket, 'connect');
      await converse(socket, command);
    } catch (error) {
      throw error instanceof Error && 'syscall' in error ? hookFailed(command, `the socket of the guest agent: ${error.message}`) : error;
    } finally {
      clearTimeout(timer);
      socket.destroy();
    }
  }
}

/** What an earlier client left in the channel ends with the sentinel. */
async function converse(socket: Socket, command: string): Promise<void> {
  const answers = answersIn(socket);
  const id = Date.now();
  socket.write(Buffer.concat([Buffer.of(SENTINEL), Buffer.from(`${JSON.stringify({ execute: 'guest-sync-delimited', arguments: { id } })}\n`)]));
  for (let synced = false; !synced; ) synced = (await nextOf(answers, command)).return === id;
  socket.write(`${JSON.stringify({ execute: command })}\n`);
  const { error } = await nextOf(answers, command);
  if (error) throw hookFailed(command, `the guest agent refused: ${error.desc}`);
}

interface Answer {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

async function nextOf(answers: AsyncGenerator<Answer, void>, command: string): Promise<Answer> {
  const next = await answers.next();
  if (next.done === true) throw hookFailed(command, 'the guest agent closed the connection');
  return next.value;
}

async function* answersIn(socket: Socket): AsyncGenerator<Answer, void> {
  let received = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    received = Buffer.concat([received, chunk]);
    const sentinel = received.lastIndexOf(SENTINEL);
    if (sentinel >= 0) received = received.subarray(sentinel + 1);
    for (let end = received.indexOf(10); end >= 0; end = received.indexOf(10)) {
      yield JSON.parse(received.toString('utf8', 0, end)) as Answer;
      received = received.subarray(end + 1);
    }
  }
}
