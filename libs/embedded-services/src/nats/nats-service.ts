// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../process/free-port';
import { commandOf, identifyProcess, type ProcessIdentity, signalProcess } from '../process/process-identity';
import { findService, serviceLogTail, startService, stopService, writeWhole } from '../process/supervised-process';
import { waitUntil } from '../process/wait-until';
import { findNatsServer } from './find-nats-server';
import { natsConfig, type NatsTlsFiles } from './nats-config';

export interface NatsServiceOptions {
  /** Holds JetStream's files, the configuration, the log and the pid file. */
  readonly dataDir: string;
  readonly host?: string;
  /** Absent or 0: the port of the last time when it is free, else a free one. */
  readonly port?: number;
  readonly tls?: NatsTlsFiles | undefined;
  /** Who may do what (`natsUsersText`); read at each start and each reload. */
  readonly usersFile?: string | undefined;
}

/** A nats-server of our own. `url` starts with `tls://` when certificates are asked for. */
export interface NatsService {
  readonly url: string;
  readonly port: number;
  readonly process: ProcessIdentity;
}

const serviceName = 'nats-server';
const files = (dataDir: string) => ({ name: serviceName, runDir: dataDir });

/** Where a server of ours writes its number. */
export function natsPidFile(dataDir: string): string {
  return join(dataDir, 'nats-server.pid');
}

/** Starts a nats-server with JetStream, or finds the one of this folder running. Ready to be used when it resolves. */
export async function startNats(options: NatsServiceOptions): Promise<NatsService> {
  const portFile = join(options.dataDir, 'port');
  const remembered = existsSync(portFile) ? Number(readFileSync(portFile, 'utf8')) : 0;
  const running = findService(files(options.dataDir));
  if (running) return takeOver(options, running, remembered);
  const program = await findNatsServer();
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port || (await freePort(attempt === 1 ? remembered : 0));
    try {
      return await startOn(options, program, port);
    } catch (error) {
      if (attempt === 5 || options.port || !serviceLogTail(files(options.dataDir)).includes('address already in use')) throw error;
    }
  }
}

/** A server that runs since before these options were wanted (another release, say) gets them now. */
async function takeOver(options: NatsServiceOptions, running: ProcessIdentity, port: number): Promise<NatsService> {
  const { configFile, text } = configOf(options, port);
  if (!existsSync(configFile) || readFileSync(configFile, 'utf8') !== text) {
    writeWhole(configFile, text);
    signalProcess(running, 'SIGHUP');
  }
  return waitUntilReady(options, port);
}

async function startOn(options: NatsServiceOptions, program: string, port: number): Promise<NatsService> {
  const configFile = writeNatsConfig(options, port);
  writeWhole(join(options.dataDir, 'port'), String(port));
  await startService({ ...files(options.dataDir), command: program, args: ['-c', configFile] });
  return waitUntilReady(options, port);
}

function writeNatsConfig(options: NatsServiceOptions, port: number): string {
  const portsDir = portsFolder(options.dataDir);
  rmSync(portsDir, { recursive: true, force: true });
  mkdirSync(portsDir, { recursive: true });
  const { configFile, text } = configOf(options, port);
  writeWhole(configFile, text);
  return configFile;
}

function configOf(options: NatsServiceOptions, port: number): { configFile: string; text: string } {
  const { dataDir, host = '127.0.0.1', tls, usersFile } = options;
  const configFile = join(dataDir, 'nats-server.conf');
  const folders = { storeDir: join(dataDir, 'jetstream'), portsDir: portsFolder(dataDir), pidFile: natsPidFile(dataDir) };
  return { configFile, text: natsConfig({ configFile, host, port, serverName: `secondsite-${port}`, ...folders, tls, usersFile }) };
}

const portsFolder = (dataDir: string): string => join(dataDir, 'ports');

/** The nats-server that wrote a pid file, if it still runs; a number alone may by now be somebody else's. */
export function findNats(pidFile: string): ProcessIdentity | undefined {
  if (!existsSync(pidFile)) return undefined;
  const pid = Number(readFileSync(pidFile, 'utf8').trim());
  return Number.isSafeInteger(pid) && pid > 1 && commandOf(pid) === serviceName ? identifyProcess(pid) : undefined;
}

/**
 * Makes a running server read its users and certificates again. Those who are connected stay, unless they have no rights any more.
 * Returns whether it runs. Throws the system's error when it belongs to another user.
 */
export function reloadNats(running: ProcessIdentity): boolean {
  return signalProcess(running, 'SIGHUP');
}

/** The ports file appears when the server listens; its greeting says whether JetStream is on. */
async function waitUntilReady(options: NatsServiceOptions, port: number): Promise<NatsService> {
  const host = options.host ?? '127.0.0.1';
  const process = await waitUntil(async () => {
    const running = findService(files(options.dataDir));
    if (!running) throw ended(options.dataDir);
    return (await greets(host, port)) ? running : undefined;
  }, { what: 'nats-server to listen', timeoutMillis: 20_000 });
  return { url: `${options.tls ? 'tls' : 'nats'}://${host}:${port}`, port, process };
}

function greets(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (ready: boolean): void => {
      socket.destroy();
      resolve(ready);
    };
    socket.setTimeout(2_000, () => settle(false));
    socket.once('error', () => settle(false));
    socket.once('data', (data) => settle(data.includes('"jetstream":true')));
  });
}

/** Ends the server of a folder gracefully. Idempotent. */
export async function stopNats(dataDir: string): Promise<'not-running' | 'stopped' | 'killed'> {
  return stopService(files(dataDir), { signal: 'SIGTERM', timeoutMillis: 15_000 });
}

function ended(dataDir: string): OperationError {
  return new OperationError({
    code: 'service/ended', operation: 'start nats-server', context: { dataDir }, retryable: false,
    hint: `It ended before it was ready. The end of its log:\n${serviceLogTail(files(dataDir))}`,
  });
}
