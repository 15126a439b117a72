// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { waitFor } from '@secondsite/cli/testing';
import { isListening } from '@secondsite/nbd/testing';

/** `nbdkit file` on a unix socket: the peer without any capture. */
export class Nbdkit {
  private constructor(readonly uri: string, private readonly socket: string, private readonly child: ChildProcess) {}

  static async serve(image: string): Promise<Nbdkit> {
    const socket = `${image}.sock`;
    await rm(socket, { force: true });
    const child = spawn('nbdkit', ['--foreground', '--exit-with-parent', '--unix', socket, 'file', image], { stdio: 'ignore' });
    await waitFor('nbdkit to listen', 10, async () => isListening(socket));
    return new Nbdkit(`nbd+unix:///?socket=${socket}`, socket, child);
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    await rm(this.socket, { force: true });
  }
}
