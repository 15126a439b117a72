// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../process/free-port';
import { type ProcessIdentity, signalProcess } from '../process/process-identity';
import { findService, serviceLogTail, startService, stopService, writeWhole } from '../process/supervised-process';
import { waitUntil } from '../process/wait-until';
import { findNatsServer } from './find-nats-server';
import { natsConfig, type NatsTlsFiles, type NatsUser } from './nats-config';

export interface NatsServiceOptions {
  /** Holds JetStream's files, the configuration, the log and the pid file. */
  readonly dataDir: string;
  readonly host?: string;
  /** Absent or 0: the port of the last time when it is free, else a free one. */
  readonly port?: number;
  readonly tls?: NatsTlsFiles | undefined;
  readonly users?: readonly NatsUser[] | undefined;
}

/** A nats-server of our own. `url` starts with `tls://` when certificates are asked for. */
export interface NatsService {
  readonly url: string;
  readonly port: number;
  readonly process: ProcessIdentity;
}

const serviceName = 'nats-server';
const files = (dataDir: string) => ({ name: serviceName, runDir: dataDir });

/** Starts a nats-server with JetStream, or finds the one of this folder running. Ready to be used when it resolves. */
export async function startNats(options: NatsServiceOptions): Promise<NatsService> {
  const portFile = join(options.dataDir, 'port');
  const remembered = existsSync(portFile) ? Number(readFileSync(portFile, 'utf8')) : 0;
  if (findService(files(options.dataDir))) return waitUntilReady(options, remembered);
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

async function startOn(options: NatsServiceOptions, program: string, port: number): Promise<NatsService> {
  const configFile = writeNatsConfig(options, port);
  writeWhole(join(options.dataDir, 'port'), String(port));
  await startService({ ...files(options.dataDir), command: program, args: ['-c', configFile] });
  return waitUntilReady(options, port);
}

function writeNatsConfig(options: NatsServiceOptions, port: number): string {
  const portsDir = join(options.dataDir, 'ports');
  rmSync(portsDir, { recursive: true, force: true });
  mkdirSync(portsDir, { recursive: true });
  const configFile = join(options.dataDir, 'nats-server.conf');
  writeWhole(configFile, natsConfig({
    host: options.host ?? '127.0.0.1', port, serverName: `secondsite-${port}`, storeDir: join(options.dataDir, 'jetstream'), portsDir, tls: options.tls, users: options.users,
  }));
  return configFile;
}

/** Gives a running server new users (or certificates) without dropping connections that are still allowed. */
export function reloadNats(options: NatsServiceOptions): void {
  const process = findService(files(options.dataDir));
  if (!process) return;
  writeNatsConfig(options, Number(readFileSync(join(options.dataDir, 'port'), 'utf8')));
  signalProcess(process, 'SIGHUP');
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
