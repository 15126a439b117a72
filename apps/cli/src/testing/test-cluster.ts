// SPDX-License-Identifier: Apache-2.0
/** A whole local cluster of real processes in its own folder, driven as users drive it: by the command line. */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ChangeSetTrace, type ClusterStatus, type PairStatus, type PlanStatus, type Problem, restRoutes, type RetentionPolicy, type View, type Volume } from '@secondsite/contracts';
import { findService, type ProcessIdentity, type ServiceFiles, signalProcess, writeWhole } from '@secondsite/embedded-services';
import { NbdClient } from '@secondsite/nbd';
import { microsFromIso, type TimeMicros } from '@secondsite/units';
import { ApiClient } from '../api-client';
import { findEndpoint } from '../cluster-file';
import { readConfig } from '../config';
import { heldFile, serviceFolder, type ServiceName } from '../local-cluster/cluster-layout';
import { removeCluster } from '../local-cluster/stop-cluster';

const cliFile = join(__dirname, '..', '..', 'dist', 'main.js');

export interface ClusterProcess {
  readonly name: string;
  readonly pid: number;
  readonly url?: string;
  readonly metricsUrl?: string;
  readonly logFile: string;
}

/** What a plan says beside its volume; default: a retention of one day, and compression as users get it. */
export interface PlanOptions {
  readonly retention?: RetentionPolicy;
  readonly compression?: 'none' | 'source' | 'process-server';
}

export interface InSyncOptions {
  readonly secondsMax?: number;
  /** The target covers a later time. */
  readonly coveredAfter?: TimeMicros;
  /** There is a later recovery point. */
  readonly pointAfter?: TimeMicros;
  /** Of each pair. */
  readonly until?: (pair: PairStatus) => boolean;
}

/** A protected disk: its sparse image, and the NBD URI by which the application writes it. */
export interface TestDisk {
  readonly name: string;
  readonly image: string;
  readonly sizeBytes: number;
  readonly uri: string;
}

/** How a command that failed ended. */
export interface CliFailure {
  readonly exitCode: number;
  /** What stood on standard error with `--json`. */
  readonly problem: Problem;
}

/** Of a part that has ended: one that was being started a moment ago is on record by then. */
const LOOKS_UNTIL_GONE = 5;

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class TestCluster {
  private constructor(readonly folder: string, private environment: NodeJS.ProcessEnv) {}

  get #home(): string {
    return join(this.folder, 'cluster');
  }

  /** `before` prepares what the cluster finds at its start, and returns what else is in its environment. */
  static async start(environment: NodeJS.ProcessEnv = {}, before?: (cluster: TestCluster) => Promise<NodeJS.ProcessEnv>): Promise<TestCluster> {
    const cluster = new TestCluster(await mkdtemp(join(tmpdir(), 'secondsite-system-')), environment);
    try {
      if (before) cluster.environment = { ...environment, ...(await before(cluster)) };
      await cluster.cli('up');
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** Runs a command with `--json` and returns what it printed; rejects with its error output when it ends with a code other than 0. */
  async cli<Answer>(...args: string[]): Promise<Answer> {
    const { exitCode, stdout, stderr } = await this.#run([...args, '--json']);
    if (exitCode !== 0) throw new Error(`secondsite ${args.join(' ')}: ${stderr || stdout || `ended with ${exitCode}`}`);
    return (stdout.trim() === '' ? undefined : JSON.parse(stdout)) as Answer;
  }

  /** Runs a command without `--json` and returns what a person sees. */
  async print(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.#run(args);
    if (exitCode !== 0) throw new Error(`secondsite ${args.join(' ')}: ${stderr || stdout}`);
    return stdout;
  }

  /** Runs a command that has to fail, and returns its exit code and its problem document; rejects when it succeeds. */
  async cliFailure(...args: string[]): Promise<CliFailure> {
    const { exitCode, stdout, stderr } = await this.#run([...args, '--json']);
    if (exitCode === 0) throw new Error(`secondsite ${args.join(' ')} succeeded: ${stdout}`);
    return { exitCode, problem: JSON.parse(stderr) as Problem };
  }

  #run(args: string[]): Promise<Ended> {
    const options = { env: { ...process.env, ...this.environment, SECONDSITE_HOME: this.#home }, maxBuffer: 64 << 20 };
    return new Promise((resolve, reject) => {
      const child = execFile(process.execPath, [cliFile, ...args], options, (error, stdout, stderr) => {
        if (child.exitCode === null) reject(error ?? new Error('the command was killed'));
        else resolve({ exitCode: child.exitCode, stdout, stderr });
      });
    });
  }

  /** Adds a volume of a host of this machine, backed by a new sparse image. */
  async addDisk(name: string, sizeBytes: number, host = 'local'): Promise<TestDisk> {
    const image = join(this.folder, `${name}.img`);
    const file = await open(image, 'wx');
    await file.truncate(sizeBytes);
    await file.close();
    return this.addImage(name, image, host);
  }

  /** Adds a volume of a host of this machine, backed by an image that is there. */
  async addImage(name: string, image: string, host = 'local'): Promise<TestDisk> {
    const { size: sizeBytes } = await stat(image);
    const { nbdUris } = await this.cli<Volume>('volume', 'add', name, '--host', host, '--image', image);
    return { name, image, sizeBytes, uri: nbdUris[0] as string };
  }

  async processes(): Promise<ClusterProcess[]> {
    return (JSON.parse(await readFile(join(this.#home, 'cluster.json'), 'utf8')) as { processes: ClusterProcess[] }).processes;
  }

  /** kill -9; resolves when the cluster has started it again under another pid. */
  async killAndAwaitRestart(name: string): Promise<void> {
    const before = await this.#find(name);
    process.kill(before.pid, 'SIGKILL');
    await waitFor(`${name} to be started again`, 60, async () => (await this.#find(name)).pid !== before.pid);
  }

  /** kill -9, and again of what replaces it, so long after that began to run: perhaps before it is ready. Resolves when it is. */
  async killWhileItStarts(name: ServiceName, { afterMillis }: { afterMillis: number }): Promise<void> {
    const before = await this.#find(name);
    const files = this.#filesOf(name);
    process.kill(before.pid, 'SIGKILL');
    let second: ProcessIdentity | undefined;
    await waitFor(`${name} to start`, 60, async () => {
      second = findService(files);
      return second !== undefined && second.pid !== before.pid;
    });
    await delay(afterMillis);
    if (second) signalProcess(second, 'SIGKILL');
    await waitFor(`${name} to be started again`, 60, async () => ![before.pid, second?.pid].includes((await this.#find(name)).pid));
  }

  /** kill -9 of a part, which may have ended by itself, that then stays away while `act` runs; resolves when it runs again. */
  async withoutPart<Result>(name: ServiceName, act: () => Promise<Result>): Promise<Result> {
    const before = await this.#find(name);
    const held = heldFile(this.#home, name);
    writeWhole(held, 'held by a test\n');
    let looks = 0;
    await waitFor(`${name} to be gone`, 30, async () => {
      const running = findService(this.#filesOf(name));
      if (running) signalProcess(running, 'SIGKILL');
      looks = running ? 0 : looks + 1;
      return looks === LOOKS_UNTIL_GONE;
    });
    try {
      return await act();
    } finally {
      rmSync(held, { force: true });
      await waitFor(`${name} to be started again`, 60, async () => (await this.#find(name)).pid !== before.pid);
    }
  }

  /** Where a part keeps its data. */
  folderOf(name: ServiceName): string {
    return serviceFolder(this.#home, name);
  }

  /** Every value of a metric of one part, by its labels as they are printed. */
  async metric(part: ServiceName, metric: string): Promise<Map<string, number>> {
    const { metricsUrl } = await this.#find(part);
    const text = await (await fetch(`${metricsUrl}/metrics`)).text();
    const values = text.split('\n').flatMap((line) => {
      const [, name, labels = '', value] = /^(\w+)(\{.*\})? (\S+)/.exec(line) ?? [];
      return name === metric ? [[labels, Number(value)] as const] : [];
    });
    return new Map(values);
  }

  /** For what is asked many times; acts go through the command line. */
  async planStatus(plan: string): Promise<PlanStatus> {
    return (await this.#client()).call(restRoutes.getPlanStatus, { path: { plan } });
  }

  /** Protects one volume, without the time that the command line takes to start. */
  async createPlan(name: string, volume: string, options: PlanOptions = {}): Promise<void> {
    await (await this.#client()).call(restRoutes.createPlan, { body: { name, volumes: [volume], retention: { windowSeconds: 86_400 }, ...options } });
  }

  async status(): Promise<ClusterStatus> {
    return (await this.#client()).call(restRoutes.getStatus);
  }

  /** One change set of a volume; the newest applied one without a number. */
  async trace(volume: string, place: { epoch?: number; sequence?: number } = {}): Promise<ChangeSetTrace> {
    return (await this.#client()).call(restRoutes.traceVolume, { path: { volume }, query: place });
  }

  async #client(): Promise<ApiClient> {
    return new ApiClient(await findEndpoint(readConfig({ SECONDSITE_HOME: this.#home })));
  }

  /** Opens a view of one volume (`point` as in the command: `--at`, T), connects to it, and closes it after `act`, whatever happens. */
  async withView<Result>({ of, point }: { of: string; point: readonly string[] }, act: (client: NbdClient, view: View) => Promise<Result>): Promise<Result> {
    const { views } = await this.cli<{ views: View[] }>('view', 'open', of, ...point);
    const view = views[0] as View;
    try {
      const client = await NbdClient.connect(view.nbdUris[0] as string);
      try {
        return await act(client, view);
      } finally {
        await client.disconnect();
      }
    } finally {
      for (const { viewId } of views) await this.cli('view', 'close', viewId);
    }
  }

  /** The same at a time (ISO 8601), for what is looked at many times. */
  async withViewAt<Result>({ of, time }: { of: string; time: string }, act: (client: NbdClient) => Promise<Result>): Promise<Result> {
    const rest = await this.#client();
    const { views } = await rest.call(restRoutes.openViews, { body: { of, point: { kind: 'at', time } } });
    try {
      const client = await NbdClient.connect(views[0]?.nbdUris[0] as string);
      return await act(client).finally(() => client.disconnect());
    } finally {
      for (const { viewId } of views) await rest.call(restRoutes.closeView, { path: { viewId } });
    }
  }

  /** Waits until every pair of the plan is in differential sync and green, and as asked for. */
  async whenInSync(plan: string, { secondsMax = 120, coveredAfter = 0, pointAfter = 0, until = () => true }: InSyncOptions = {}): Promise<void> {
    const isAfter = (time: string | undefined, other: TimeMicros): boolean => other === 0 || (microsFromIso(time ?? '') ?? 0) > other;
    await waitFor(`plan ${plan} to be in sync`, secondsMax, async () => {
      const { pairs } = await this.planStatus(plan);
      return pairs.length > 0 && pairs.every((pair) => pair.stage === 'differential-sync' && pair.green && isAfter(pair.coveredTime, coveredAfter) && isAfter(pair.latestPoint, pointAfter) && until(pair));
    });
  }

  /** Waits until each pair of the plan is as asked; `what` says how. */
  async whenPair(plan: string, what: string, is: (pair: PairStatus) => boolean): Promise<void> {
    await waitFor(`plan ${plan} to be ${what}`, 60, async () => {
      const { pairs } = await this.planStatus(plan);
      return pairs.length > 0 && pairs.every(is);
    });
  }

  /** Stops everything and removes it. Idempotent. */
  async stop(): Promise<void> {
    await this.cli('down');
    await removeCluster({ home: this.#home });
    await rm(this.folder, { recursive: true, force: true });
  }

  #filesOf(name: ServiceName): ServiceFiles {
    return { name: name === 'nats' ? 'nats-server' : name, runDir: serviceFolder(this.#home, name) };
  }

  async #find(name: string): Promise<ClusterProcess> {
    const found = (await this.processes()).find((candidate) => candidate.name === name);
    if (!found) throw new Error(`the cluster has no process ${name}`);
    return found;
  }
}

/** Polls a condition with a time limit; a condition that throws counts as not yet, and its last error is shown when time is up. */
export async function waitFor(what: string, secondsMax: number, condition: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + secondsMax * 1000;
  let lastError = 'it was never true';
  while (Date.now() < until) {
    try {
      if (await condition()) return;
    } catch (error) {
      lastError = String(error);
    }
    await delay(100);
  }
  throw new Error(`waited ${secondsMax} s for ${what}: ${lastError}`);
}
