// SPDX-License-Identifier: Apache-2.0
/**
 * Keeps the parts of a local cluster running. Level-triggered: each round starts what does not run (and is not held), in order; so a first start,
 * a part that died and a supervisor that was itself killed are the same case. Parts outlive the supervisor.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { restRoutes } from '@secondsite/contracts';
import { setSlice } from '@secondsite/disk-files';
import { findService, natsPidFile, serviceLogFile, startNats, startPostgres, startService, waitForReadyFile, waitUntil } from '@secondsite/embedded-services';
import { ApiClient } from '../api-client';
import { type ClusterFile, writeClusterFile } from '../cluster-file';
import type { CliConfig } from '../config';
import { appMain, heldFile, serviceFolder, type ServiceName, serviceNames } from './cluster-layout';
import { authorityFiles, prepareAuthority } from './prepare-authority';
import { rememberedPort } from './remembered-port';

type ComponentName = 'process-server' | 'master-target' | 'agent';

interface ReadyFile {
  readonly pid: number;
  readonly url?: string;
  readonly metricsUrl?: string;
  readonly componentId?: string;
}

const roundMillis = 300;

/** A small young generation: what passes through these processes is memory outside of it, and each thread would reserve up to 48 MiB. */
const nodeFlags = ['--enable-source-maps', '--max-semi-space-size=4'];

/** On one machine the agent, which is in the path of the application's writes, goes before what only has to catch up. */
const niceness = { agent: 0, 'config-server': 0, 'process-server': 10, 'master-target': 15 } as const;

/** The longest that the kernel takes. */
const catchUpSliceMillis = 100;

/**
 * Lets the application go before a part: where the kernel groups processes by session (CONFIG_SCHED_AUTOGROUP), and each part has a session of
 * its own, `nice` counts only inside of one and the group has a value of its own. And niceness counts over many slices: who wakes up to answer
 * one write would wait until the part has had a whole one, unless its own is shorter. Best effort: without it the parts share the processors evenly.
 */
function giveWay(pid: number, value: number): void {
  try {
    if (value > 0) for (const threadId of readdirSync(`/proc/${pid}/task`)) setSlice(Number(threadId), { niceness: value, sliceMillis: catchUpSliceMillis });
    writeFileSync(`/proc/${pid}/autogroup`, String(value));
  } catch (error) {
    if (!['ENOENT', 'EACCES', 'EPERM', 'EAGAIN', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

export class Supervisor {
  readonly #config: CliConfig;
  readonly #log: (message: string) => void;
  readonly #ready = new Map<ServiceName, ReadyFile>();
  #databaseUrl = '';
  #natsUrl = '';
  #stopping = false;

  constructor({ config, log }: { config: CliConfig; log: (message: string) => void }) {
    this.#config = config;
    this.#log = log;
  }

  /** Starts everything once. Throws when a part cannot be started. */
  async start(): Promise<void> {
    mkdirSync(this.#config.home, { recursive: true });
    await prepareAuthority(this.#config.home);
    await this.#round();
    await this.#everybodyHeard();
  }

  /** Keeps everything running until `stop`. A part that cannot be started is tried again in the next round. */
  async keepRunning(): Promise<void> {
    while (!this.#stopping) {
      await delay(roundMillis);
      try {
        await this.#round();
      } catch (error) {
        this.#log(`not all parts run: ${String(error)}`);
      }
    }
  }

  stop(): void {
    this.#stopping = true;
  }

  async #round(): Promise<void> {
    let changed = false;
    for (const name of serviceNames) {
      if (this.#stopping) return;
      if (this.#isExternal(name) || this.#isRunning(name) || existsSync(heldFile(this.#config.home, name))) continue;
      this.#log(`starting ${name}`);
      await this.#startPart(name);
      changed = true;
    }
    if (changed) writeClusterFile(this.#config.home, this.#clusterFile());
  }

  /** The configuration server has heard the components of this cluster, so commands find them. Others that enrolled may be away. */
  async #everybodyHeard(): Promise<void> {
    const client = await this.#client();
    const own = [...this.#ready.values()].flatMap(({ componentId }) => (componentId === undefined ? [] : [componentId]));
    await waitUntil(async () => {
      const { components } = await client.call(restRoutes.listComponents);
      return own.every((id) => components.some(({ componentId, state }) => componentId === id && state === 'online'));
    }, { what: 'every component to be heard by the configuration server', timeoutMillis: 30_000 });
  }

  #isExternal(name: ServiceName): boolean {
    return (name === 'postgres' && this.#config.databaseUrl !== undefined) || (name === 'nats' && this.#config.natsUrl !== undefined);
  }

  /** Runs, and this supervisor has seen it ready: one that was found running is waited for once. */
  #isRunning(name: ServiceName): boolean {
    const running = findService({ name: name === 'nats' ? 'nats-server' : name, runDir: this.#folder(name) });
    return running !== undefined && this.#ready.get(name)?.pid === running.pid;
  }

  async #startPart(name: ServiceName): Promise<void> {
    if (name === 'postgres') {
      const { url, process } = await startPostgres({ dataDir: this.#folder(name) });
      this.#databaseUrl = url;
      this.#ready.set(name, { pid: process.pid });
    } else if (name === 'nats') {
      const { caFile, natsCertificateFile: certFile, natsKeyFile: keyFile, natsUsersFile: usersFile } = authorityFiles(this.#config.home);
      const tls = { caFile, certFile, keyFile };
      const { url, process } = await startNats({ dataDir: this.#folder(name), tls, usersFile });
      this.#natsUrl = url;
      this.#ready.set(name, { pid: process.pid, url });
    } else {
      this.#ready.set(name, await this.#startApp(name));
    }
  }

  async #startApp(name: 'config-server' | ComponentName): Promise<ReadyFile> {
    const runDir = this.#folder(name);
    const environment = name === 'config-server' ? this.#configServerEnvironment() : await this.#componentEnvironment(name);
    const listen = name === 'agent' ? {} : { SECONDSITE_LISTEN: `127.0.0.1:${await this.#listenPort(name)}` };
    const env = { ...environment, ...listen, SECONDSITE_DATA_DIR: runDir, SECONDSITE_HOME: undefined };
    const node = [process.execPath, ...nodeFlags, appMain(name)];
    const { pid } = await startService({ name, runDir, command: 'nice', args: ['-n', String(niceness[name]), ...node], env });
    const ready = await waitForReadyFile<ReadyFile>({ name, runDir, readyFile: join(runDir, 'ready.json'), timeoutMillis: 60_000 });
    giveWay(pid, niceness[name]);
    return ready;
  }

  async #listenPort(name: ServiceName): Promise<number> {
    mkdirSync(this.#folder(name), { recursive: true });
    const running = findService({ name, runDir: this.#folder(name) });
    return running ? Number(readFileSync(join(this.#folder(name), 'listen-port'), 'utf8')) : rememberedPort(this.#folder(name));
  }

  #configServerEnvironment(): Record<string, string> {
    const reload = this.#isExternal('nats') ? {} : { SECONDSITE_NATS_PID_FILE: natsPidFile(this.#folder('nats')) };
    return { DATABASE_URL: this.#config.databaseUrl ?? this.#databaseUrl, NATS_URL: this.#config.natsUrl ?? this.#natsUrl, ...reload };
  }

  /** A component without an identity gets a one-time token; it enrols by itself. */
  async #componentEnvironment(role: ComponentName): Promise<Record<string, string>> {
    if (existsSync(join(this.#folder(role), 'identity', 'cert.pem'))) return {};
    const client = await this.#client();
    const host = role === 'agent' ? { host: 'local' } : {};
    const { token } = await client.call(restRoutes.issueEnrolmentToken, { body: { role, ...host } });
    return { SECONDSITE_ENROLL_TOKEN: token, SECONDSITE_CONFIG_SERVER_URL: this.#configServerUrl(), SECONDSITE_NAME: role === 'agent' ? 'local' : role };
  }

  async #client(): Promise<ApiClient> {
    const adminToken = (await readFile(this.#adminTokenFile(), 'utf8')).trim();
    const client = new ApiClient({ url: this.#configServerUrl(), ca: await readFile(this.#caFile(), 'utf8'), adminToken });
    const { hosts } = await client.call(restRoutes.listHosts);
    if (!hosts.some((host) => host.name === 'local')) await client.call(restRoutes.addHost, { body: { name: 'local' } });
    return client;
  }

  #clusterFile(): ClusterFile {
    return {
      version: 1, url: this.#configServerUrl(), caFile: this.#caFile(), adminTokenFile: this.#adminTokenFile(), natsUrl: this.#config.natsUrl ?? this.#natsUrl,
      processes: [...this.#ready].map(([name, ready]) => ({ name, ...withoutUndefined(ready), logFile: serviceLogFile({ name: name === 'nats' ? 'nats-server' : name, runDir: this.#folder(name) }) })),
    };
  }

  #configServerUrl(): string {
    return this.#ready.get('config-server')?.url ?? '';
  }

  #folder(name: ServiceName): string {
    return serviceFolder(this.#config.home, name);
  }

  #caFile(): string {
    return authorityFiles(this.#config.home).caFile;
  }

  #adminTokenFile(): string {
    return join(this.#folder('config-server'), 'admin-token');
  }
}

function withoutUndefined({ pid, url, metricsUrl }: ReadyFile): ReadyFile {
  return { pid, ...(url === undefined ? {} : { url }), ...(metricsUrl === undefined ? {} : { metricsUrl }) };
}
