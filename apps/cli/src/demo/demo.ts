// SPDX-License-Identifier: Apache-2.0
/**
 * The product's main job before the user's eyes: protect the disk of a running virtual machine, destroy it, bring it back as of the second
 * before the damage, and prove with a record kept outside the disk that nothing acknowledged by then is missing and nothing later is there.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type PairStatus, restRoutes } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import { bootGuest, buildGuest, createGuestDisk, findQemu, type GuestImage, probeAccelerator, type Accelerator, type RunningGuest } from '@secondsite/qemu';
import { isoFromMicros, microsFromIso, MIB, OperationError, type TimeMicros } from '@secondsite/units';
import { ApiClient } from '../api-client';
import { findEndpoint } from '../cluster-file';
import type { CliConfig } from '../config';
import { killPrimarySite } from '../local-cluster/kill-primary-site';
import { startCluster } from '../local-cluster/start-cluster';
import { removeCluster, stopCluster } from '../local-cluster/stop-cluster';
import { humanBytes, humanSeconds, table } from '../output';
import { type Acknowledgement, acknowledgementsOf, judgeRecovery, readGuestCheck } from './acknowledgements';
import { Progress } from './progress';

interface DemoSite {
  readonly client: ApiClient;
  readonly config: CliConfig;
  readonly folder: string;
  readonly guest: GuestImage;
  readonly accelerator: Accelerator;
  readonly progress: Progress;
}

interface Disaster {
  /** Just before the destructive command was sent. */
  readonly damagedAt: TimeMicros;
  readonly siteLostAt: TimeMicros;
  readonly acknowledgements: readonly Acknowledgement[];
}

const volumeName = 'shop-disk';
const planName = 'shop';
const diskBytes = 256 * MIB;
/** The disaster waits for it, so that the newest point is not an old one where the first copy of the disk takes its time. */
const calmRpoSeconds = 2;

/** Runs the demonstration; resolves with whether the recovery was right. Everything it started is stopped and removed at the end. */
export async function runDemo({ config, cacheFolder, print }: { config: CliConfig; cacheFolder: string; print: (line: string) => void }): Promise<boolean> {
  const progress = new Progress(print);
  if ((await findQemu()) === undefined) {
    print('QEMU is not installed and cannot be installed without root: the demo needs it (apt-get install qemu-system-x86 qemu-utils).');
    return false;
  }
  await mkdir(cacheFolder, { recursive: true });
  const folder = await mkdtemp(join(cacheFolder, 'demo-'));
  const demoConfig = { ...config, home: join(folder, 'cluster'), url: undefined, caFile: undefined, adminTokenFile: undefined };
  try {
    progress.step('Preparing: a small Linux from Debian packages, and the fastest way to run it that really boots here');
    const guest = await buildGuest(join(cacheFolder, 'guest'));
    const accelerator = await probeAccelerator({ guest, cacheFolder });
    progress.detail(`guest kernel ${guest.kernelRelease}, accelerator ${accelerator}`);
    progress.step('Starting every service as its own process: NATS, PostgreSQL, configuration server, process server, master target, agent');
    const cluster = await startCluster(demoConfig);
    progress.detail(cluster.processes.map((process) => `${process.name} (${process.pid})`).join(', '));
    const client = new ApiClient(await findEndpoint(demoConfig));
    return await protectDestroyRecover({ client, config: demoConfig, folder, guest, accelerator, progress });
  } finally {
    await stopCluster(demoConfig);
    await removeCluster(demoConfig);
    await rm(folder, { recursive: true, force: true });
  }
}

async function protectDestroyRecover(site: DemoSite): Promise<boolean> {
  const { progress, client } = site;
  const machine = await startProtectedGuest(site);
  try {
    await watchUntilInSync(site);
    const bookmark = await client.call(restRoutes.createBookmark, { path: { plan: planName }, body: { name: 'before-maintenance' } });
    progress.step(`Bookmark "${bookmark.name}" at ${bookmark.time}; writes were held for ${bookmark.heldMillis.toFixed(1)} ms`);
    await watch(site, 5);
    const disaster = await strike(site, machine);
    return await recover(site, disaster);
  } finally {
    await machine.kill();
  }
}

async function startProtectedGuest(site: DemoSite): Promise<RunningGuest> {
  const { progress, client, folder, guest, accelerator } = site;
  progress.step('Protecting a disk: the agent exports it over NBD, and the virtual machine uses that export as its system disk');
  const image = join(folder, 'shop.img');
  await createGuestDisk({ path: image, sizeBytes: diskBytes, guest });
  const volume = await client.call(restRoutes.addVolume, { body: { name: volumeName, host: 'local', tap: { kind: 'nbd', source: image } } });
  const disk = volume.nbdUris[0];
  if (disk === undefined) throw new OperationError({ code: 'demo/no-export', operation: 'add the volume', retryable: true, hint: 'The agent did not export the disk; see its log.' });
  progress.detail(`disk ${disk}`);
  const machine = await bootGuest({ guest, accelerator, disk, mode: 'write', writeIntervalMicros: 20_000 });
  await machine.waitForLine(/^ACK 1$/, 90_000);
  progress.detail('it boots, mounts the disk, and SQLite commits rows; each acknowledgement is logged outside the disk');
  await client.call(restRoutes.createPlan, { body: { name: planName, volumes: [volumeName], retention: { windowSeconds: 86_400 } } });
  return machine;
}

async function watchUntilInSync(site: DemoSite): Promise<void> {
  site.progress.step('Replicating: baseline, the changes meanwhile, then every write as it happens');
  const until = Date.now() + 90_000;
  while (Date.now() < until) {
    const pair = await showPair(site);
    if (pair?.stage === 'differential-sync' && pair.green && (pair.rpoSeconds ?? Infinity) <= calmRpoSeconds) return watch(site, 4);
    await delay(1000);
  }
  throw new OperationError({ code: 'demo/no-sync', operation: 'replicate', retryable: true, hint: `Differential sync with an RPO of at most ${calmRpoSeconds} s was not reached within 90 s: is the machine busy? Otherwise see the logs of the services.` });
}

async function watch(site: DemoSite, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await showPair(site);
    await delay(1000);
  }
}

async function showPair({ client, progress }: DemoSite): Promise<PairStatus | undefined> {
  const status = await client.call(restRoutes.getPlanStatus, { path: { plan: planName } });
  const pair = status.pairs[0];
  if (pair) {
    const done = pair.progress ? ` ${pair.progress.percent.toFixed(0)} %` : '';
    const { agentBytes, processServerBytes, masterTargetBytes } = pair.dataInTransit;
    const waits = `in transit: agent ${humanBytes(agentBytes)}, process server ${humanBytes(processServerBytes)}, master target ${humanBytes(masterTargetBytes)}`;
    progress.detail(`${(pair.stage + done).padEnd(24)} RPO ${humanSeconds(pair.rpoSeconds).padEnd(7)} ${waits}`);
  }
  return pair;
}

async function strike(site: DemoSite, machine: RunningGuest): Promise<Disaster> {
  const { progress } = site;
  const damagedAt = clockMicros();
  progress.step(`Disaster at ${isoFromMicros(damagedAt)}: somebody runs "rm -rf /data" in the virtual machine`);
  await machine.run('rm -rf /data/*; sync');
  await delay(2000);
  const siteLostAt = clockMicros();
  progress.step('… and then the primary site is gone: kill -9 of the virtual machine, the agent and the process server');
  await Promise.all([machine.kill(), killPrimarySite(site.config)]);
  return { damagedAt, siteLostAt, acknowledgements: acknowledgementsOf(machine.console.lines()) };
}

async function recover(site: DemoSite, disaster: Disaster): Promise<boolean> {
  const { client, progress } = site;
  const recoveryStarted = Date.now();
  const points = await client.call(restRoutes.listPoints, { query: { of: planName } });
  progress.step('What can be recovered');
  for (const line of table(['FROM', 'TO', 'POINTS'], points.common.ranges.map((range) => [range.from, range.to, range.green ? 'any write' : 'bookmarks only'])).split('\n')) progress.detail(line);
  for (const bookmark of points.common.bookmarks) progress.detail(`bookmark "${bookmark.name}" at ${bookmark.time}`);
  const latest = microsFromIso(points.common.latest ?? '') ?? disaster.damagedAt;
  const at = Math.min(disaster.damagedAt, latest);
  progress.step(`Opening the disk as of ${isoFromMicros(at)}, ${at === latest ? 'the newest write that came over before the site was lost' : 'the moment before the damage'}, and booting it`);
  const opened = await client.call(restRoutes.openViews, { body: { of: planName, point: { kind: 'at', time: isoFromMicros(at) }, readWrite: true } });
  const disk = opened.views[0]?.nbdUris[0] as string;
  const { check, readySeconds } = await bootAndCheck(site, disk);
  const rtoSeconds = (Date.now() - recoveryStarted) / 1000;
  const verdict = judgeRecovery({ acknowledgements: disaster.acknowledgements, check: readGuestCheck(check), at });
  summarize({ site, disaster, latest: points.common.latest, rtoSeconds, readySeconds, verdictWords: verdict.words, right: verdict.right });
  return verdict.right;
}

async function bootAndCheck({ guest, accelerator, progress }: DemoSite, disk: string): Promise<{ check: string; readySeconds: number }> {
  const machine = await bootGuest({ guest, accelerator, disk, mode: 'check' });
  try {
    const init = await machine.waitForLine(/^SECONDSITE-INIT /, 60_000);
    const check = await machine.waitForLine(/^CHECK /, 60_000);
    progress.detail(`console: ${check.text}`);
    return { check: check.text, readySeconds: (init.receivedMicros - machine.startedMicros) / 1e6 };
  } finally {
    await machine.kill();
  }
}

interface Summary {
  readonly site: DemoSite;
  readonly disaster: Disaster;
  readonly latest: string | undefined;
  readonly rtoSeconds: number;
  readonly readySeconds: number;
  readonly verdictWords: string;
  readonly right: boolean;
}

function summarize({ site, disaster, latest, rtoSeconds, readySeconds, verdictWords, right }: Summary): void {
  const { progress } = site;
  const lossSeconds = latest === undefined ? undefined : (disaster.siteLostAt - (microsFromIso(latest) ?? 0)) / 1e6;
  progress.step(right ? 'Recovered' : 'NOT RECOVERED');
  progress.detail(`application data   ${verdictWords}`);
  progress.detail(`RPO                ${humanSeconds(lossSeconds)} between the newest recoverable write and the loss of the site`);
  progress.detail(`RTO                ${humanSeconds(rtoSeconds)} from listing the points to checked data (kernel to init ${humanSeconds(readySeconds)})`);
}
