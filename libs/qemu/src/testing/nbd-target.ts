// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { findProgram } from '../host-tools/find-program';
import { waitUntil } from '../host-tools/wait-until';
import { runTool } from '../host-tools/run-tool';

/** An nbdkit that serves a file on a unix socket: an independent NBD server for the specs of this library. */
export class NbdTarget {
  private constructor(
    private readonly child: ChildProcess,
    readonly uri: string,
  ) {}

  static async start(options: { file: string; socketPath: string }): Promise<NbdTarget> {
    const program = await findProgram('nbdkit');
    if (program === undefined) throw new Error('nbdkit is needed for this spec: apt-get install nbdkit');
    await rm(options.socketPath, { force: true });
    const child = spawn(program, ['--exit-with-parent', '-f', '-U', options.socketPath, 'file', options.file], { stdio: 'ignore' });
    const uri = `nbd+unix:///?socket=${options.socketPath}`;
    const probe = (): Promise<true | undefined> => canConnect(uri);
    await waitUntil({ probe, timeLimitMillis: 10_000, operation: 'start nbdkit', hint: 'See its messages.' });
    return new NbdTarget(child, uri);
  }

  /** Stops answering without closing anything, as a hung process. */
  hang(): void {
    this.child.kill('SIGSTOP');
  }

  /** Goes on after hang(). */
  resume(): void {
    this.child.kill('SIGCONT');
  }

  /** kill -9; returns when it is gone. Repeating it is harmless. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await gone;
  }
}

async function canConnect(uri: string): Promise<true | undefined> {
  try {
    await runTool({ command: 'nbdinfo', args: ['--size', uri], operation: 'ask nbdkit', hint: 'apt-get install libnbd-bin', timeLimitMillis: 5000 });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'qemu/tool-failed') return undefined;
    throw error;
  }
}
