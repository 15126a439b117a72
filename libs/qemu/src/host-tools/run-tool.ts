// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { OperationError } from '@secondsite/units';
import { errorCode } from './error-code';

export interface ToolRun {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Fed to the tool's standard input. */
  readonly input?: string;
  readonly timeLimitMillis?: number;
  /** What is being done, for the error, e.g. `make the guest's file system`. */
  readonly operation: string;
  readonly hint: string;
}

/** Runs a program to its end and gives its standard output. Fails with `qemu/tool-failed` on any exit code but 0 or past the time limit. */
export function runTool(run: ToolRun): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      maxBuffer: 64 * 1024 * 1024,
      timeout: run.timeLimitMillis ?? 120_000,
      killSignal: 'SIGKILL' as const,
      env: { ...process.env, ...run.environment },
      ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
    };
    const child = execFile(run.command, [...run.args], options, (error, stdout, stderr) => {
      if (error) reject(toolFailure({ run, cause: error, stderr }));
      else resolve(stdout);
    });
    // A tool that ends without reading its input closes the pipe; its exit code tells the story, not the broken pipe.
    child.stdin?.on('error', (error) => (isBrokenPipe(error) ? undefined : child.kill('SIGKILL')));
    child.stdin?.end(run.input ?? '');
  });
}

function isBrokenPipe(error: Error): boolean {
  return ['EPIPE', 'ECONNRESET'].includes(errorCode(error) ?? '');
}

function toolFailure(failure: { run: ToolRun; cause: Error; stderr: string }): OperationError {
  const { run, cause, stderr } = failure;
  return new OperationError({
    code: errorCode(cause) === 'ENOENT' ? 'qemu/tool-missing' : 'qemu/tool-failed',
    operation: run.operation,
    context: { command: run.command, stderr: stderr.trim().slice(-500) },
    retryable: false,
    hint: run.hint,
    cause,
  });
}
