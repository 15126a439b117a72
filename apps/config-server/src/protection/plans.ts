// SPDX-License-Identifier: Apache-2.0
import { automaticResyncDefault, type ConsistencyLevel, type Plan, type PlanStatus } from '@secondsite/contracts';
import {
  type Candidate, type ChangedAutomaticResync, pairDecider, placePair, planDecider, type PlanCommand, type PlanOptions, type PlanVolume, rpoThresholdSecondsDefault, withPlacement,
  worstRpoSeconds,
} from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type CommandOrigin, type CommandRunner, refusedRequest, type UnitOfWork } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { InventoryService } from '../inventory/inventory';
import type { LiveStatus } from '../live/live-status';
import type { PairStatuses } from '../live/pair-statuses';
import type { Directory, PairRow, PlanRow, VolumeRow } from '../read-models/directory';
import type { DirectoryCache } from '../read-models/directory-cache';
import { findPlan, findVolume, keptPairs, pairsOfPlan } from '../read-models/find';
import type { ServerClock } from '../server-clock';
import { joiningPair, type JoiningOptions, joinPlan, leavePlan } from './plan-volumes';

export interface PlansParts {
  readonly commands: CommandRunner;
  readonly directories: DirectoryCache;
  readonly live: LiveStatus;
  readonly inventory: InventoryService;
  readonly statuses: PairStatuses;
  readonly clock: Pick<ServerClock, 'now'>;
  /** A master target takes no more pairs than this. */
  readonly pairsPerTarget: number;
  /** How long a new plan waits for sizes of volumes and for components that have just started. */
  readonly patienceMillis?: number;
}

export interface PlanWish {
  readonly name: string;
  readonly options: PlanOptions;
  readonly rpoThresholdSeconds: number | undefined;
  readonly consistencyLevel: ConsistencyLevel;
  readonly deduplication: boolean;
  readonly volumes: readonly string[];
  /** Also volumes that other plans protect. */
  readonly takeOver: boolean;
}

/** What volumes bring into a plan: new pairs, or those that they have. */
interface PlanPairs {
  readonly placed: readonly PlacedPair[];
  readonly joining: readonly PairRow[];
}

interface PlacedPair {
  readonly pairId: string;
  readonly volumeId: string;
  readonly volumeName: string;
  readonly hostId: string;
  readonly processServerId: string;
  readonly masterTargetId: string;
  readonly sizeBytes: number;
}

export interface PlanWish {
  readonly name: string;
  readonly options: PlanOptions;
  readonly automaticResync?: ChangedAutomaticResync | undefined;
  readonly volumes: readonly string[];
}

export interface VolumesToRemove {
  readonly volumes: readonly string[];
  readonly keepSeconds: number;
  readonly confirm: string | undefined;
  readonly origin: CommandOrigin;
}

export interface RemovedVolumes {
  readonly plan: Plan;
  readonly left: readonly { readonly volumeName: string; readonly pairId: string; readonly keptUntil?: string }[];
}

/** Protection plans (F31). */
export class PlanService {
  constructor(private readonly parts: PlansParts) {}

  async create(wish: PlanWish, origin: CommandOrigin): Promise<Plan> {
    const directory = await this.parts.directories.load();
    if (directory.plans.some((plan) => plan.state !== 'removed' && plan.name === wish.name)) throw nameTaken(wish.name);
    const planId = `plan-${randomBytes(5).toString('hex')}`;
    const { name, options, rpoThresholdSeconds, consistencyLevel, automaticResync, deduplication } = wish;
    const plan = { decider: planDecider, streamId: streams.plan(planId) };
    const pairs = await this.#placeAll(wish.volumes, { planId: undefined, takeOver: wish.takeOver });
    await this.parts.commands.run(origin, async (unit) => {
      await unit.decide(plan, { kind: 'create', planId, name, options, volumes: planVolumes(pairs) });
      await unit.decide(plan, { kind: 'change-consistency-level', consistencyLevel });
      if (rpoThresholdSeconds !== undefined) await unit.decide(plan, { kind: 'change-rpo-threshold', rpoThresholdSeconds });
      await unit.decide(plan, { kind: 'change-deduplication', deduplication });
      await unit.decide(plan, { kind: 'change-automatic-resync', automaticResync: automaticResync ?? {} });
      await bringPairs(pairs, { planId, unit });
    });
    return this.get(planId);
  }

  async addVolumes(reference: string, { volumes, takeOver, origin }: { readonly volumes: readonly string[]; readonly takeOver: boolean; readonly origin: CommandOrigin }): Promise<Plan> {
    const { planId } = findPlan(await this.parts.directories.load(), reference);
    const pairs = await this.#placeAll(volumes, { planId, takeOver });
    await this.parts.commands.run(origin, async (unit) => {
      await unit.decide({ decider: planDecider, streamId: streams.plan(planId) }, { kind: 'add-volumes', volumes: planVolumes(pairs) });
      await bringPairs(pairs, { planId, unit });
    });
    return this.get(planId);
  }

  /** With `keepSeconds` 0 replicas and points are deleted at once, and `confirm` must repeat the name of the plan. */
  async removeVolumes(reference: string, wish: VolumesToRemove): Promise<RemovedVolumes> {
    const { directories, commands, clock } = this.parts;
    const { keepSeconds, confirm, origin } = wish;
    const directory = await directories.load();
    const plan = findPlan(directory, reference);
    if (keepSeconds === 0 && confirm !== plan.name) throw notConfirmed(plan.name);
    const able = [...pairsOfPlan(directory, plan.planId), ...(keepSeconds === 0 ? keptPairs(directory).filter(({ planId }) => planId === plan.planId) : [])];
    const pairs = wish.volumes.map((volume) => able.find(({ volumeId }) => volumeId === findVolume(directory, volume).volumeId) ?? notInPlan(plan.name, volume));
    const keptUntil = await commands.run(origin, (unit) => leavePlan(pairs, { plan, keepSeconds, now: clock.now(), unit }));
    const left = pairs.map(({ volumeName, pairId }) => ({ volumeName, pairId, ...(keptUntil === undefined ? {} : { keptUntil }) }));
    return { plan: await this.get(plan.planId), left };
  }

  /** Pause, resume, or change: one or several commands in one transaction. */
  async change(reference: string, { commands, origin }: { readonly commands: readonly PlanCommand[]; readonly origin: CommandOrigin }): Promise<Plan> {
    const { planId } = findPlan(await this.parts.directories.load(), reference);
    await this.parts.commands.run(origin, async (unit) => {
      for (const command of commands) await unit.decide({ decider: planDecider, streamId: streams.plan(planId) }, command);
    });
    return this.get(planId);
  }

  /** `confirm` must repeat the name of the plan. */
  async remove(reference: string, wish: { readonly confirm: string; readonly deleteData: boolean; readonly origin: CommandOrigin }): Promise<void> {
    const directory = await this.parts.directories.load();
    const plan = findPlan(directory, reference);
    if (wish.confirm !== plan.name) throw notConfirmed(plan.name);
    const { deleteData } = wish;
    await this.parts.commands.run(wish.origin, async (unit) => {
      await unit.decide({ decider: planDecider, streamId: streams.plan(plan.planId) }, { kind: 'remove', deleteData });
      const kept = deleteData ? keptPairs(directory).filter(({ planId }) => planId === plan.planId) : [];
      for (const { pairId } of [...pairsOfPlan(directory, plan.planId), ...kept]) {
        await unit.decide({ decider: pairDecider, streamId: streams.pair(pairId) }, { kind: 'remove', deleteData });
      }
    });
  }

  async list(): Promise<Plan[]> {
    const directory = await this.parts.directories.load();
    return directory.plans.filter((plan) => plan.state !== 'removed').map((plan) => planOf(plan, directory));
  }

  async get(reference: string): Promise<Plan> {
    const directory = await this.parts.directories.load();
    return planOf(findPlan(directory, reference), directory);
  }

  async status(reference: string): Promise<PlanStatus> {
    const directory = await this.parts.directories.load();
    const plan = findPlan(directory, reference);
    const pairs = this.parts.statuses.of(pairsOfPlan(directory, plan.planId), directory);
    return { ...planOf(plan, directory), pairs, rpoSeconds: worstRpoSeconds(pairs.map((pair) => pair.rpoSeconds)) };
  }

  /** Gives each volume its pair and place. Waits a little for components and sizes that are not known yet; else throws RefusedRequest. */
  async #placeAll(references: readonly string[], options: JoiningOptions): Promise<PlanPairs> {
    const limit = Date.now() + (this.parts.patienceMillis ?? 10_000);
    for (;;) {
      try {
        return await this.#tryPlaceAll(references, options);
      } catch (error) {
        const mayPass = error instanceof RefusedRequest && error.refusal.retryable === true;
        if (!mayPass || Date.now() > limit) throw error;
        await delay(200);
      }
    }
  }

  async #tryPlaceAll(references: readonly string[], options: JoiningOptions): Promise<PlanPairs> {
    const directory = await this.parts.directories.load();
    const volumes = new Map(references.map((reference) => findVolume(directory, reference)).map((volume) => [volume.volumeId, volume]));
    const joining = [...volumes.values()].flatMap((volume) => joiningPair(volume, directory, options) ?? []);
    const unpaired = [...volumes.values()].filter(({ volumeId }) => !joining.some((pair) => pair.volumeId === volumeId));
    let candidates = this.#candidates(directory);
    const placed = unpaired.map((volume) => {
      const placement = placePair(candidates);
      if (!placement.placed) throw retryable(refusedRequest(placement.rejection));
      candidates = withPlacement(candidates, placement);
      const { processServerId, masterTargetId } = placement;
      const { volumeId, hostId, name: volumeName } = volume;
      return { pairId: randomUUID(), volumeId, hostId, volumeName, processServerId, masterTargetId, sizeBytes: this.#sizeBytes(volume) };
    });
    return { placed, joining };
  }

  #candidates(directory: Directory): Candidate[] {
    return directory.components.flatMap((row): Candidate[] => {
      const { role, state, url, componentId, pairCount } = this.parts.inventory.component(row, directory);
      const limit = role === 'master-target' ? { pairsMax: this.parts.pairsPerTarget } : {};
      return role === 'agent' ? [] : [{ componentId, role, pairCount, available: state === 'online' && url !== undefined, ...limit }];
    });
  }

  #sizeBytes(volume: VolumeRow): number {
    const sizeBytes = volume.sizeBytes ?? this.parts.live.volume(volume)?.sizeBytes;
    if (sizeBytes !== undefined) return sizeBytes;
    const detail = `the size of volume ${volume.name} is not known yet`;
    const hint = 'Start the agent of its host; it tells the size when it opens the source.';
    throw new RefusedRequest({ status: 409, code: 'volume/size-unknown', detail, hint, retryable: true });
  }
}

function planVolumes({ placed, joining }: PlanPairs): PlanVolume[] {
  return [...placed, ...joining].map(({ volumeId, hostId, pairId }) => ({ volumeId, hostId, pairId }));
}

async function bringPairs({ placed, joining }: PlanPairs, { planId, unit }: { readonly planId: string; readonly unit: UnitOfWork }): Promise<void> {
  await joinPlan(joining, { planId, unit });
  for (const pair of placed) await unit.decide({ decider: pairDecider, streamId: streams.pair(pair.pairId) }, { kind: 'create', pair: { planId, ...pair } });
}

function planOf(plan: PlanRow, directory: Directory): Plan {
  const { planId, name, state, createdAt, retention, consistencyIntervalSeconds, consistencyLevel, compression, deduplication, folding, bandwidth, pins, automaticResync = automaticResyncDefault } = plan;
  const volumes = pairsOfPlan(directory, planId).map(({ volumeId, volumeName, pairId }) => ({ volumeId, name: volumeName, pairId }));
  const interval = consistencyIntervalSeconds === undefined ? {} : { consistencyIntervalSeconds };
  const rpoThresholdSeconds = plan.rpoThresholdSeconds ?? rpoThresholdSecondsDefault;
  return { planId, name, state, createdAt, retention, compression, deduplication, folding, volumes, consistencyLevel, automaticResync, pins: [...pins], rpoThresholdSeconds, ...interval, ...(bandwidth ? { bandwidth } : {}) };
}

function retryable(refused: RefusedRequest): RefusedRequest {
  return new RefusedRequest({ ...refused.refusal, retryable: true });
}

function notInPlan(planName: string, volume: string): never {
  const detail = `plan ${planName} does not protect volume ${volume}`;
  throw new RefusedRequest({ status: 404, code: 'plan/not-its-volume', detail, hint: 'The status of the plan lists its volumes.' });
}

function nameTaken(name: string): RefusedRequest {
  return new RefusedRequest({ status: 409, code: 'plan/name-taken', detail: `a plan named ${name} exists`, hint: 'Choose another name.' });
}

function notConfirmed(name: string): RefusedRequest {
  const detail = `removing protection of ${name} was not confirmed`;
  return new RefusedRequest({ status: 409, code: 'plan/not-confirmed', detail, hint: 'Repeat the name of the plan as confirm.' });
}
