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
import type { Directory, PlanRow, VolumeRow } from '../read-models/directory';
import type { DirectoryCache } from '../read-models/directory-cache';
import { findPlan, findVolume, livePairs, pairsOfPlan } from '../read-models/find';

export interface PlansParts {
  readonly commands: CommandRunner;
  readonly directories: DirectoryCache;
  readonly live: LiveStatus;
  readonly inventory: InventoryService;
  readonly statuses: PairStatuses;
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
  readonly volumes: readonly string[];
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

/** Protection plans (F31). */
export class PlanService {
  constructor(private readonly parts: PlansParts) {}

  async create(wish: PlanWish, origin: CommandOrigin): Promise<Plan> {
    const directory = await this.parts.directories.load();
    if (directory.plans.some((plan) => plan.state !== 'removed' && plan.name === wish.name)) throw nameTaken(wish.name);
    const planId = `plan-${randomBytes(5).toString('hex')}`;
    const { name, options, rpoThresholdSeconds, consistencyLevel, automaticResync } = wish;
    const plan = { decider: planDecider, streamId: streams.plan(planId) };
    const pairs = await this.#placeAll(wish.volumes);
    await this.parts.commands.run(origin, async (unit) => {
      await unit.decide(plan, { kind: 'create', planId, name, options, volumes: pairs.map(planVolume) });
      await unit.decide(plan, { kind: 'change-consistency-level', consistencyLevel });
      if (rpoThresholdSeconds !== undefined) await unit.decide(plan, { kind: 'change-rpo-threshold', rpoThresholdSeconds });
      await unit.decide(plan, { kind: 'change-automatic-resync', automaticResync: automaticResync ?? {} });
      await createPairs(pairs, { planId, unit });
    });
    return this.get(planId);
  }

  async addVolumes(reference: string, { volumes, origin }: { readonly volumes: readonly string[]; readonly origin: CommandOrigin }): Promise<Plan> {
    const { planId } = findPlan(await this.parts.directories.load(), reference);
    const pairs = await this.#placeAll(volumes);
    await this.parts.commands.run(origin, async (unit) => {
      await unit.decide({ decider: planDecider, streamId: streams.plan(planId) }, { kind: 'add-volumes', volumes: pairs.map(planVolume) });
      await createPairs(pairs, { planId, unit });
    });
    return this.get(planId);
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
      for (const { pairId } of pairsOfPlan(directory, plan.planId)) {
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
  async #placeAll(references: readonly string[]): Promise<PlacedPair[]> {
    const limit = Date.now() + (this.parts.patienceMillis ?? 10_000);
    for (;;) {
      try {
        return await this.#tryPlaceAll(references);
      } catch (error) {
        const mayPass = error instanceof RefusedRequest && error.refusal.retryable === true;
        if (!mayPass || Date.now() > limit) throw error;
        await delay(200);
      }
    }
  }

  async #tryPlaceAll(references: readonly string[]): Promise<PlacedPair[]> {
    const directory = await this.parts.directories.load();
    const volumes = new Map(references.map((reference) => findVolume(directory, reference)).map((volume) => [volume.volumeId, volume]));
    let candidates = this.#candidates(directory);
    return [...volumes.values()].map((volume) => {
      refuseIfProtected(volume, directory);
      const placement = placePair(candidates);
      if (!placement.placed) throw retryable(refusedRequest(placement.rejection));
      candidates = withPlacement(candidates, placement);
      const { processServerId, masterTargetId } = placement;
      const { volumeId, hostId, name: volumeName } = volume;
      return { pairId: randomUUID(), volumeId, hostId, volumeName, processServerId, masterTargetId, sizeBytes: this.#sizeBytes(volume) };
    });
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

function planVolume({ volumeId, hostId, pairId }: PlacedPair): PlanVolume {
  return { volumeId, hostId, pairId };
}

async function createPairs(pairs: readonly PlacedPair[], { planId, unit }: { readonly planId: string; readonly unit: UnitOfWork }): Promise<void> {
  for (const pair of pairs) await unit.decide({ decider: pairDecider, streamId: streams.pair(pair.pairId) }, { kind: 'create', pair: { planId, ...pair } });
}

function planOf(plan: PlanRow, directory: Directory): Plan {
  const { planId, name, state, createdAt, retention, consistencyIntervalSeconds, consistencyLevel, compression, folding, bandwidth, pins, automaticResync = automaticResyncDefault } = plan;
  const volumes = pairsOfPlan(directory, planId).map(({ volumeId, volumeName, pairId }) => ({ volumeId, name: volumeName, pairId }));
  const interval = consistencyIntervalSeconds === undefined ? {} : { consistencyIntervalSeconds };
  const rpoThresholdSeconds = plan.rpoThresholdSeconds ?? rpoThresholdSecondsDefault;
  return { planId, name, state, createdAt, retention, compression, folding, volumes, consistencyLevel, automaticResync, pins: [...pins], rpoThresholdSeconds, ...interval, ...(bandwidth ? { bandwidth } : {}) };
}

function refuseIfProtected(volume: VolumeRow, directory: Directory): void {
  const pair = livePairs(directory).find((one) => one.volumeId === volume.volumeId);
  if (!pair) return;
  const plan = directory.plans.find((one) => one.planId === pair.planId);
  const detail = `volume ${volume.name} is already protected by plan ${plan?.name ?? pair.planId}`;
  throw new RefusedRequest({ status: 409, code: 'volume/protected', detail, hint: 'A volume belongs to one plan; remove that plan first.' });
}

function retryable(refused: RefusedRequest): RefusedRequest {
  return new RefusedRequest({ ...refused.refusal, retryable: true });
}

function nameTaken(name: string): RefusedRequest {
  return new RefusedRequest({ status: 409, code: 'plan/name-taken', detail: `a plan named ${name} exists`, hint: 'Choose another name.' });
}

function notConfirmed(name: string): RefusedRequest {
  const detail = `removing protection of ${name} was not confirmed`;
  return new RefusedRequest({ status: 409, code: 'plan/not-confirmed', detail, hint: 'Repeat the name of the plan as confirm.' });
}
