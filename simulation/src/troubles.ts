// SPDX-License-Identifier: Apache-2.0
// What the adversary can do to a world. Each trouble begins, lasts, and ends.
import { isOperationError, KIB } from '@secondsite/units';
import type { LinkConditions, SimulatedLink } from './simulated-link';
import type { SimulatedDisk } from './simulated-disk';
import type { World } from './world';

export interface Trouble {
  readonly name: string;
  /** Least and most time from begin to end. */
  readonly seconds: readonly [from: number, to: number];
  begin(world: World): void;
  end?(world: World): void;
}

type Machine = 'agent' | 'processServer' | 'otherProcessServer' | 'target';

const HOUR_MICROS = 3600e6;

const machines = {
  agent: { part: (world: World) => world.host, disks: (world: World) => [world.disks.volume, world.disks.data] },
  processServer: { part: (world: World) => world.processServer, disks: (world: World) => [world.disks.processServer] },
  otherProcessServer: { part: (world: World) => world.otherProcessServer, disks: (world: World) => [world.disks.otherProcessServer] },
  target: { part: (world: World) => world.target, disks: (world: World) => [world.disks.target] },
};

function cutPower(world: World, machine: Machine): void {
  machines[machine].part(world).kill();
  for (const disk of machines[machine].disks(world)) disk.cutPower();
}

function machineTroubles(machine: Machine): Trouble[] {
  const { part } = machines[machine];
  const end = (world: World): void => part(world).start();
  return [
    { name: `${machine} is killed`, seconds: [0.01, 2], begin: (world) => part(world).kill(), end },
    { name: `${machine} loses power`, seconds: [0.01, 3], begin: (world) => cutPower(world, machine), end },
    { name: `${machine} is away`, seconds: [5, 20], begin: (world) => part(world).kill(), end },
    { name: `${machine} has its clock set`, seconds: [0, 0], begin: (world) => world.clocks[machine].jump(world.scheduler.pick([-1, 1]) * HOUR_MICROS) },
  ];
}

function diskTroubles(name: string, diskOf: (world: World) => SimulatedDisk, { hangSecondsMax = 12 } = {}): Trouble[] {
  const change = (world: World, what: Partial<Pick<SimulatedDisk, 'slowness' | 'errorRate'>>): void => void Object.assign(diskOf(world), { ...what, wasInTrouble: true });
  return [
    { name: `${name} is slow`, seconds: [1, 8], begin: (world) => change(world, { slowness: 25 }), end: (world) => change(world, { slowness: 1 }) },
    { name: `${name} hangs`, seconds: [0, 0], begin: (world) => { change(world, {}); diskOf(world).hang(world.scheduler.between(1e6, hangSecondsMax * 1e6)); } },
    { name: `${name} fails`, seconds: [0.1, 4], begin: (world) => change(world, { errorRate: world.scheduler.pick([0.01, 0.1, 0.5]) }), end: (world) => change(world, { errorRate: 0 }) },
  ];
}

function fullDisk(name: string, diskOf: (world: World) => SimulatedDisk): Trouble {
  return {
    name: `${name} is full`, seconds: [1, 8],
    begin: (world) => {
      const disk = diskOf(world);
      disk.storage.capacityBytes = disk.storage.usedBytes + world.scheduler.between(0, 30 * KIB);
      disk.wasFull = true;
    },
    end: (world) => void (diskOf(world).storage.capacityBytes = Number.MAX_SAFE_INTEGER),
  };
}

function linkTroubles(name: string, linkOf: (world: World) => SimulatedLink): Trouble[] {
  const trouble = (what: string, conditions: Partial<LinkConditions>, secondsMax = 10): Trouble => ({
    name: `${name} ${what}`, seconds: [1, secondsMax],
    begin: (world) => void Object.assign(linkOf(world).conditions, conditions),
    end: (world) => linkOf(world).heal(),
  });
  return [
    trouble('is a black hole', { blackhole: true }, 20),
    trouble('loses requests', { lostRequests: 0.3 }),
    trouble('loses answers', { lostAnswers: 0.3 }),
    trouble('is reset', { resets: 0.4 }),
    trouble('damages', { damaged: 0.2 }),
    trouble('repeats', { repeated: 0.4 }),
    trouble('delivers late', { late: 0.2 }),
    trouble('is slow', { delayMicros: 400_000 }),
  ];
}

const operators: Trouble[] = [
  { name: 'everything loses power', seconds: [0.01, 3], begin: (world) => (['agent', 'processServer', 'otherProcessServer', 'target'] as const).forEach((machine) => cutPower(world, machine)), end: (world) => world.startAll() },
  { name: 'the agent is restarted', seconds: [0, 0], begin: (world) => void world.host.restart(world.scheduler.pick([0, 500, 8000])) },
  { name: 'the pair moves to the other process server', seconds: [0, 0], begin: (world) => world.moves.begin() },
  { name: 'the pair moves there and back', seconds: [0.1, 12], begin: (world) => world.moves.begin(), end: (world) => world.moves.begin() },
  { name: 'an old process server is given up', seconds: [0, 0], begin: (world) => world.moves.giveUp() },
  { name: 'the process server is restarted', seconds: [0, 0], begin: (world) => void world.processServer.restart() },
  { name: 'the target is restarted', seconds: [0, 0], begin: (world) => void world.target.restart() },
  { name: 'the pair is paused', seconds: [1, 20], begin: (world) => world.processServer.configure({ paused: true }), end: (world) => world.processServer.configure({ paused: false }) },
  { name: 'the spool is small', seconds: [2, 10], begin: (world) => world.processServer.configure({ spoolBytesMax: { resync: 6 * KIB, differential: 6 * KIB } }), end: (world) => world.restoreSpool() },
  { name: 'a resynchronisation is asked for', seconds: [0, 0], begin: (world) => world.requestResync() },
  { name: 'a set of an old epoch reaches the process server', seconds: [0, 0], begin: (world) => world.sendOldSet('processServer') },
  { name: 'a set of an old epoch reaches the target', seconds: [0, 0], begin: (world) => world.sendOldSet('target') },
  { name: 'bookmarks are made', seconds: [0, 0], begin: (world) => makeBookmark(world) },
];

function makeBookmark(world: World): void {
  const { running } = world.host;
  const name = `at ${world.scheduler.elapsedMicros}`;
  try {
    running?.replication.cut({ kind: 'bookmark', bookmarkId: name, name, level: 'user' }, running.times.now());
  } catch (error) {
    if (!isOperationError(error, 'bookmark/not-in-data-mode')) throw error;
  }
}

export const TROUBLES: readonly Trouble[] = [
  ...(['agent', 'processServer', 'otherProcessServer', 'target'] as const).flatMap(machineTroubles),
  ...diskTroubles('the volume', (world) => world.disks.volume),
  ...diskTroubles('the data disk', (world) => world.disks.data, { hangSecondsMax: 40 }),
  ...diskTroubles('the spool disk', (world) => world.disks.processServer),
  ...diskTroubles('the target disk', (world) => world.disks.target),
  fullDisk('the spool disk', (world) => world.disks.processServer),
  fullDisk('the target disk', (world) => world.disks.target),
  ...linkTroubles('the link to the process server', (world) => world.links.toProcessServer),
  ...linkTroubles('the link from the other process server to the target', (world) => world.links.fromOtherToTarget),
  ...linkTroubles('the link to the target', (world) => world.links.toTarget),
  ...operators,
];
