// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { OperationError, type TimeMicros } from '@secondsite/units';
import { type QemuPrograms, requireQemu } from '../host-tools/find-qemu';
import { hostTimeMicros } from '../host-tools/host-time';
import { runTool } from '../host-tools/run-tool';
import { QmpClient } from '../qmp/qmp-client';
import { CommandChannel, type CommandResult } from './command-channel';
import { ConsoleLog } from './console-log';
import { nbdNode, parseNbdUri } from './disk-node';
import { type MachineOptions, type MachinePaths, qemuArguments } from './qemu-arguments';
import { linkTlsFolder } from './tls-folder';

const endSeenMillisMax = 2000;

export interface BootOptions extends MachineOptions {
  /** True keeps the disk unchanged: the guest writes into a temporary overlay (needed for read-only exports). */
  readonly overlay?: boolean;
  /** Identity folder (ca.pem, cert.pem, key.pem) for nbds disks. */
  readonly identityFolder?: string;
  /** File that QEMU itself appends the console to; outlives this process. A temporary one by default. */
  readonly consoleLogPath?: string;
  /** Where QEMU listens for QMP; a temporary socket by default, to which `qmp` is then connected. */
  readonly qmpSocket?: string;
  /** False leaves the QMP socket free for another client, e.g. the agent; `qmp` then is undefined. Default true. */
  readonly connectQmp?: boolean;
  /** True lets the machine outlive this process. Default false: it is killed when this process exits. */
  readonly detached?: boolean;
}

export interface GuestExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running guest machine. */
export interface RunningGuest {
  readonly processId: number;
  readonly qmpSocket: string;
  readonly qmp: QmpClient | undefined;
  /** Every line of the serial console with the host's receive time. */
  readonly console: ConsoleLog;
  /** When QEMU was started, by the host's clock; console times minus this are boot times. */
  readonly startedMicros: TimeMicros;
  /** Settles when QEMU ended and its temporary files are gone; never rejects. */
  readonly exited: Promise<GuestExit>;
  waitForLine: ConsoleLog['waitForLine'];
  /** Runs a shell script in the guest (not in mode `check` or `probe`). Default limit 30 s. */
  run(script: string, options?: { timeLimitMillis?: number }): Promise<CommandResult>;
  /** SIGKILL, as a power cut: nothing is flushed. Waits for the end. */
  kill(): Promise<GuestExit>;
}

/**
 * Starts QEMU with the guest's kernel and the given disk as its system disk. Returns when the machine runs, not yet booted (wait for the line
 * SECONDSITE-READY). Fails with `qemu/not-installed` or `qemu/start-failed`, and then leaves no process behind.
 */
export async function bootGuest(options: BootOptions): Promise<RunningGuest> {
  const qemu = await requireQemu();
  const folder = await mkdtemp(join(tmpdir(), 'secondsite-guest-'));
  try {
    const paths = await preparePaths({ options, folder, qemu });
    return await start({ options, folder, paths, program: qemu.system });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function preparePaths(request: { options: BootOptions; folder: string; qemu: QemuPrograms }): Promise<MachinePaths> {
  const { options, folder, qemu } = request;
  const overlay = join(folder, 'overlay.qcow2');
  if (options.overlay) await createOverlay({ ...request, overlay, program: qemu.image });
  const { identityFolder } = options;
  return {
    qmpSocket: options.qmpSocket ?? join(folder, 'qmp.sock'),
    commandSocket: join(folder, 'commands.sock'),
    consoleLog: options.consoleLogPath ?? join(folder, 'console.log'),
    ...(options.overlay ? { overlay } : {}),
    ...(identityFolder === undefined ? {} : { tlsFolder: await linkTlsFolder({ identityFolder, into: join(folder, 'tls') }) }),
  };
}

/** An empty qcow2 that covers any disk: QEMU takes the size of the overlay, so it must equal the disk's. */
async function createOverlay(request: { options: BootOptions; overlay: string; program: string; folder: string }): Promise<void> {
  const { options, overlay, program, folder } = request;
  const sizeBytes = await diskSizeBytes({ options, program, folder });
  await runTool({
    command: program, args: ['create', '-q', '-f', 'qcow2', overlay, String(sizeBytes)],
    operation: 'create the overlay of the guest disk', hint: 'Check the free space of the temporary folder.',
  });
}

async function diskSizeBytes(request: { options: BootOptions; program: string; folder: string }): Promise<number> {
  const { options, program, folder } = request;
  const { identityFolder } = options;
  const secure = options.disk?.startsWith('nbds') && identityFolder !== undefined;
  const description = secure ? await secureImage({ options, identityFolder, folder }) : ['-f', 'raw', options.disk ?? ''];
  const text = await runTool({
    command: program, args: ['info', '--output=json', '-U', ...description], timeLimitMillis: 20_000,
    operation: 'ask for the size of the guest disk', hint: 'Check that the disk exists or its export is served.',
  });
  const info: unknown = JSON.parse(text);
  if (typeof info === 'object' && info !== null && 'virtual-size' in info) return Number(info['virtual-size']);
  throw new OperationError({ code: 'qemu/bad-disk', operation: 'ask for the size of the guest disk', retryable: false, hint: 'qemu-img gave no size.' });
}

async function secureImage(request: { options: BootOptions; identityFolder: string; folder: string }): Promise<string[]> {
  const tlsFolder = await linkTlsFolder({ identityFolder: request.identityFolder, into: join(request.folder, 'tls-info') });
  const location = parseNbdUri(request.options.disk ?? '');
  if (!location) return [];
  const { tlsHostname } = request.options;
  const hostname = tlsHostname === undefined ? {} : { tlsHostname };
  const node = nbdNode({ nodeName: 'disk', location, reconnectDelaySeconds: 0, tlsCredsId: 'tls0', ...hostname });
  const credentials = `tls-creds-x509,id=tls0,endpoint=client,verify-peer=on,dir=${tlsFolder}`;
  return ['--object', credentials, `json:${JSON.stringify({ driver: 'raw', file: node })}`];
}

async function start(request: { options: BootOptions; folder: string; paths: MachinePaths; program: string }): Promise<RunningGuest> {
  const { options, folder, paths, program } = request;
  const startedMicros = hostTimeMicros();
  const child = spawn(program, qemuArguments(options, paths), { stdio: ['pipe', 'pipe', 'pipe'], detached: options.detached ?? false });
  const consoleLog = new ConsoleLog();
  const complaints = collect({ child, consoleLog });
  const exited = exitOf({ child, consoleLog, folder, keep: options.detached ?? false });
  const machine = { exited, complaints };
  const kill = (): Promise<GuestExit> => {
    child.kill('SIGKILL');
    return exited;
  };
  try {
    const qmp = options.connectQmp === false ? undefined : await connected(() => QmpClient.connect({ socketPath: paths.qmpSocket }), machine);
    const channelOptions = { socketPath: paths.commandSocket, timeLimitMillis: 10_000 };
    const channel = hasCommands(options) ? await connected(() => CommandChannel.connect(channelOptions), machine) : undefined;
    const common = { processId: child.pid ?? 0, qmpSocket: paths.qmpSocket, qmp, console: consoleLog, startedMicros, exited, kill };
    return { ...common, ...guestActions({ consoleLog, channel }) };
  } catch (error) {
    await kill();
    throw error;
  }
}

function hasCommands(options: BootOptions): boolean {
  return options.mode === 'idle' || options.mode === 'write';
}

function guestActions(parts: { consoleLog: ConsoleLog; channel: CommandChannel | undefined }): Pick<RunningGuest, 'waitForLine' | 'run'> {
  const { consoleLog, channel } = parts;
  return {
    waitForLine: (pattern, timeLimitMillis, options) => consoleLog.waitForLine(pattern, timeLimitMillis, options),
    run: (script, options = {}) => (channel ? channel.run(script, options.timeLimitMillis ?? 30_000) : Promise.reject(noChannel())),
  };
}

function collect(streams: { child: ChildProcess; consoleLog: ConsoleLog }): () => string {
  const { child, consoleLog } = streams;
  let complaints = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => consoleLog.append(chunk));
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (complaints = (complaints + chunk).slice(-2000)));
  return () => complaints.trim();
}

function exitOf(request: { child: ChildProcess; consoleLog: ConsoleLog; folder: string; keep: boolean }): Promise<GuestExit> {
  const { child, consoleLog, folder, keep } = request;
  const killAtExit = (): void => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  if (!keep) process.on('exit', killAtExit);
  return new Promise((resolve) => {
    const finish = (code: number | null, signal: NodeJS.Signals | null): void => {
      process.off('exit', killAtExit);
      consoleLog.end();
      void rm(folder, { recursive: true, force: true }).finally(() => resolve({ code, signal }));
    };
    child.once('close', finish);
    child.once('error', () => (child.pid === undefined ? finish(null, null) : undefined));
  });
}

interface StartingMachine {
  readonly exited: Promise<GuestExit>;
  readonly complaints: () => string;
}

/** The connection, or the failure `qemu/start-failed` with QEMU's own words when QEMU ended first. */
async function connected<T>(connect: () => Promise<T>, machine: StartingMachine): Promise<T> {
  const ended = machine.exited.then(() => {
    const cause = new Error(machine.complaints() || 'QEMU said nothing');
    const hint = 'QEMU ended before the machine ran.';
    throw new OperationError({ code: 'qemu/start-failed', operation: 'start the guest', retryable: false, hint, cause });
  });
  const connecting = connect().catch(async (error: unknown) => {
    // A QEMU that ends closes its sockets a moment before its end is seen; its own words are worth more than a lost connection.
    await Promise.race([ended, delay(endSeenMillisMax, undefined, { ref: false })]);
    throw error;
  });
  return Promise.race([connecting, ended]);
}

function noChannel(): OperationError {
  const hint = 'Boot with mode idle or write.';
  return new OperationError({ code: 'qemu/no-command-channel', operation: 'run a command in the guest', retryable: false, hint });
}
