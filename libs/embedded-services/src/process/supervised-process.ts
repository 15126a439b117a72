// SPDX-License-Identifier: Apache-2.0
/**
 * A service as a process of its own that outlives the one that started it: detached, with a log file and a record of its identity, so that a
 * later run finds it again and never signals a stranger that got the same number.
 */
import { OperationError } from '@secondsite/units';
import { spawn } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { identifyProcess, isRunning, type ProcessIdentity, signalProcess } from './process-identity';
import { waitUntil } from './wait-until';

export interface ServiceFiles {
  readonly name: string;
  /** Holds `<name>.pid.json` and `<name>.log`. */
  readonly runDir: string;
}

export interface ServiceCommand extends ServiceFiles {
  readonly command: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** User to run as; needs root. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
}

const pidFile = (files: ServiceFiles): string => join(files.runDir, `${files.name}.pid.json`);
export const serviceLogFile = (files: ServiceFiles): string => join(files.runDir, `${files.name}.log`);

/** The process that was started under this name and still runs. */
export function findService(files: ServiceFiles): ProcessIdentity | undefined {
  const file = pidFile(files);
  if (!existsSync(file)) return undefined;
  const recorded = JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity;
  return isRunning(recorded) ? recorded : undefined;
}

/** Starts a service, or finds it running. Throws OperationError `service/not-started`. */
export async function startService(service: ServiceCommand): Promise<ProcessIdentity> {
  const running = findService(service);
  if (running) return running;
  mkdirSync(service.runDir, { recursive: true });
  const log = openSync(serviceLogFile(service), 'a', 0o600);
  try {
    const identity = await launch(service, log);
    writeWhole(pidFile(service), JSON.stringify(identity));
    return identity;
  } finally {
    closeSync(log);
  }
}

function launch(service: ServiceCommand, log: number): Promise<ProcessIdentity> {
  return new Promise((resolve, reject) => {
    const child = spawn(service.command, [...(service.args ?? [])], {
      detached: true, stdio: ['ignore', log, log], cwd: service.cwd ?? service.runDir, ...(service.user ?? {}),
      env: Object.fromEntries(Object.entries({ ...process.env, ...service.env }).filter(([, value]) => value !== undefined)),
    });
    child.once('error', (cause) => reject(notStarted(service, cause)));
    child.once('spawn', () => {
      child.unref();
      const identity = child.pid === undefined ? undefined : identifyProcess(child.pid);
      if (identity) resolve(identity);
      else reject(notStarted(service, undefined));
    });
  });
}

export interface ReadyOptions extends ServiceFiles {
  /** JSON file that the service writes when it is ready, and removes or rewrites at its next start. */
  readonly readyFile: string;
  readonly timeoutMillis?: number;
}

/** Waits for the ready file of a running service: it must name the service's own process. Throws OperationError `service/ended` or `wait/timeout`. */
export async function waitForReadyFile<Ready extends { readonly pid: number }>(options: ReadyOptions): Promise<Ready> {
  return waitUntil(() => {
    const running = findService(options);
    if (!running) throw ended(options);
    const ready = readJson<Ready>(options.readyFile);
    return ready?.pid === running.pid ? ready : undefined;
  }, { what: `${options.name} to be ready`, timeoutMillis: options.timeoutMillis ?? 30_000 });
}

/** Asks the service to end, and kills it when it has not after the time limit. Idempotent. Returns how it ended. */
export async function stopService(files: ServiceFiles, options: { signal?: NodeJS.Signals; timeoutMillis?: number } = {}): Promise<'not-running' | 'stopped' | 'killed'> {
  const identity = findService(files);
  if (!identity) {
    forgetPid(files);
    return 'not-running';
  }
  signalProcess(identity, options.signal ?? 'SIGTERM');
  const gone = { what: `${files.name} to end`, timeoutMillis: options.timeoutMillis ?? 15_000 };
  const stopped = await waitUntil(() => !isRunning(identity), gone).catch(() => false);
  if (!stopped) {
    signalProcess(identity, 'SIGKILL');
    await waitUntil(() => !isRunning(identity), { ...gone, timeoutMillis: 10_000 });
  }
  forgetPid(files);
  return stopped ? 'stopped' : 'killed';
}

/** Best effort: a file that stays, because its disk takes no changes any more, is harmless. It names a process by its start time as well. */
function forgetPid(files: ServiceFiles): void {
  try {
    rmSync(pidFile(files), { force: true });
  } catch {
    return; // See above.
  }
}

/** The newest lines of a service's log, for messages about its failure. */
export function serviceLogTail(files: ServiceFiles, linesMax = 10): string {
  const file = serviceLogFile(files);
  if (!existsSync(file)) return '';
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-linesMax).join('\n');
}

function ended(files: ServiceFiles): OperationError {
  return new OperationError({
    code: 'service/ended', operation: `start ${files.name}`, context: { log: serviceLogFile(files) }, retryable: false,
    hint: `It ended before it was ready. The end of its log:\n${serviceLogTail(files)}`,
  });
}

function notStarted(service: ServiceCommand, cause: unknown): OperationError {
  return new OperationError({
    code: 'service/not-started', operation: `start ${service.name}`, context: { command: service.command }, retryable: false, cause,
    hint: 'The program could not be run.',
  });
}

function readJson<Value>(file: string): Value | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Value;
  } catch {
    return undefined;
  }
}

/** Readers see the old or the new content, never a part. */
export function writeWhole(file: string, content: string, mode = 0o600): void {
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.new`;
  writeFileSync(temporary, content, { mode });
  chmodSync(temporary, mode);
  renameSync(temporary, file);
}
