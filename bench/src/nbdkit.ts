// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { waitFor } from '@secondsite/cli/testing';
import { isListening } from '@secondsite/nbd/testing';

/** `nbdkit file` on a unix socket: the peer without any capture. */
export class Nbdkit {
  private constructor(readonly uri: string, private readonly socket: string, private readonly child: ChildProcess) {}

  static serve(image: string): Promise<Nbdkit> {
    return Nbdkit.#start(`${image}.sock`, ['file', image]);
  }

  /** Passes requests on to this one, as a process server stands between agent and master target. */
  relay(): Promise<Nbdkit> {
    return Nbdkit.#start(`${this.socket}.relay`, ['nbd', `socket=${this.socket}`]);
  }

  static async #start(socket: string, plugin: readonly string[]): Promise<Nbdkit> {
    await rm(socket, { force: true });
    const child = spawn('nbdkit', ['--foreground', '--exit-with-parent', '--unix', socket, ...plugin], { stdio: 'ignore' });
    await waitFor('nbdkit to listen', 10, async () => isListening(socket));
    return new Nbdkit(`nbd+unix:///?socket=${socket}`, socket, child);
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    await rm(this.socket, { force: true });
  }
}
