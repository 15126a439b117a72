// SPDX-License-Identifier: Apache-2.0
import { type AutomaticResync, automaticResyncDefault, type Bandwidth, type ConsistencyLevel, type RetentionLadder } from '@secondsite/contracts';
import { accept, type Decider, type Decision, refuse, type Rejection } from '../decider';
import { type Fact, fact } from '../fact';
import { nextState } from '../state-graph';
import { planGraph, type PlanState } from './plan-graph';
import { faultOfRules, invalidLadder, sameRetention } from './retention';

export interface PlanVolume {
  readonly volumeId: string;
  readonly hostId: string;
  readonly pairId: string;
}

export type PlanFact = Fact<
  | 'protection.plan-created.v1'
  | 'protection.plan-paused.v1'
  | 'protection.plan-resumed.v1'
  | 'protection.plan-removed.v1'
  | 'protection.volume-protected.v1'
  | 'protection.volume-unprotected.v1'
  | 'protection.retention-changed.v2'
  | 'protection.point-pinned.v1'
  | 'protection.point-unpinned.v1'
  | 'protection.consistency-interval-changed.v1'
  | 'protection.bandwidth-changed.v1'
  | 'protection.rpo-threshold-changed.v1'
  | 'protection.consistency-level-changed.v1'
  | 'protection.deduplication-changed.v1'
  | 'protection.automatic-resync-changed.v1'
>;

export type PlanOptions = Omit<Fact<'protection.plan-created.v1'>['data'], 'planId' | 'name' | 'retention'> & { readonly retention: RetentionLadder };

/** A named recovery point that retention never drops, with its time at each pair. */
export type Pin = Omit<Fact<'protection.point-pinned.v1'>['data'], 'planId'>;

export type PlanCommand =
  | { readonly kind: 'create'; readonly planId: string; readonly name: string; readonly options: PlanOptions; readonly volumes: readonly PlanVolume[] }
  | { readonly kind: 'add-volumes'; readonly volumes: readonly PlanVolume[] }
  /** They are protected by another plan, or by none. `deleteData`: nothing of them is kept. */
  | { readonly kind: 'remove-volumes'; readonly volumeIds: readonly string[]; readonly deleteData: boolean }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'remove'; readonly deleteData: boolean }
  | { readonly kind: 'change-retention'; readonly retention: RetentionLadder }
  | { readonly kind: 'pin-point'; readonly pin: Pin }
  | { readonly kind: 'unpin-point'; readonly nameOrId: string }
  | { readonly kind: 'change-consistency-interval'; readonly consistencyIntervalSeconds: number | undefined }
  | { readonly kind: 'change-bandwidth'; readonly bandwidth: Bandwidth | undefined }
  | { readonly kind: 'change-rpo-threshold'; readonly rpoThresholdSeconds: number }
  | { readonly kind: 'change-consistency-level'; readonly consistencyLevel: ConsistencyLevel }
  | { readonly kind: 'change-deduplication'; readonly deduplication: boolean }
  | { readonly kind: 'change-automatic-resync'; readonly automaticResync: ChangedAutomaticResync };

/** What is absent stays as it is. */
export type ChangedAutomaticResync = { readonly [Name in keyof AutomaticResync]?: AutomaticResync[Name] | undefined };

export interface PlanAggregate {
  readonly state: PlanState;
  readonly planId: string;
  readonly name: string;
  readonly retention: RetentionLadder | undefined;
  readonly consistencyIntervalSeconds: number | undefined;
  readonly rpoThresholdSeconds: number;
  readonly consistencyLevel: ConsistencyLevel;
  readonly automaticResync: AutomaticResync;
  readonly compression: PlanOptions['compression'];
  readonly deduplication: boolean;
  readonly volumes: readonly PlanVolume[];
  readonly pins: readonly Pin[];
}

/** Above it a plan raises an alert, unless it has a threshold of its own. */
export const rpoThresholdSecondsDefault = 900;

const initial: PlanAggregate = {
  state: planGraph.initial, planId: '', name: '', retention: undefined, consistencyIntervalSeconds: undefined, consistencyLevel: 'crash', rpoThresholdSeconds: rpoThresholdSecondsDefault, automaticResync: automaticResyncDefault, compression: 'none', deduplication: false, volumes: [], pins: [],
};

/** Protection plan: which volumes are replicated together and how. Repeating pause or resume is accepted and changes nothing. */
export const planDecider: Decider<PlanCommand, PlanAggregate, PlanFact> = { initial, decide, evolve };

function decide(command: PlanCommand, plan: PlanAggregate): Decision<PlanFact> {
  if (command.kind === 'create') return plan.state === 'absent' ? create(command) : refuse(alreadyThere(command.name));
  if (plan.state === 'absent' || plan.state === 'removed') return refuse(notThere(plan));
  const { planId } = plan;
  switch (command.kind) {
    case 'add-volumes':
      return accept(...newVolumes(plan, command.volumes).map((volume) => protect(planId, volume)));
    case 'remove-volumes':
      return removeVolumes(plan, command);
    case 'pause':
      return plan.state === 'paused' ? accept() : accept(fact('protection.plan-paused.v1', { planId }));
    case 'resume':
      return plan.state === 'active' ? accept() : accept(fact('protection.plan-resumed.v1', { planId }));
    case 'remove':
      return accept(...remove(plan, command.deleteData));
    case 'change-retention':
      return changeRetention(plan, command.retention);
    case 'pin-point':
      return pinPoint(plan, command.pin);
    case 'unpin-point':
      return unpinPoint(plan, command.nameOrId);
    case 'change-consistency-interval':
      return changeInterval(plan, command.consistencyIntervalSeconds);
    case 'change-bandwidth':
      return accept(fact('protection.bandwidth-changed.v1', { planId, ...(command.bandwidth ? { bandwidth: command.bandwidth } : {}) }));
    case 'change-rpo-threshold': {
      const { rpoThresholdSeconds } = command;
      return plan.rpoThresholdSeconds === rpoThresholdSeconds ? accept() : accept(fact('protection.rpo-threshold-changed.v1', { planId, rpoThresholdSeconds }));
    }
    case 'change-consistency-level':
      return changeLevel(plan, command.consistencyLevel);
    case 'change-deduplication':
      return changeDeduplication(plan, command.deduplication);
    case 'change-automatic-resync':
      return changeAutomaticResync(plan, command.automaticResync);
  }
}

function create(command: Extract<PlanCommand, { kind: 'create' }>): Decision<PlanFact> {
  if (command.volumes.length === 0) {
    return refuse({ kind: 'invalid', code: 'plan/no-volume', detail: `plan ${command.name} has no volume`, hint: 'Name at least one volume.' });
  }
  const { planId, name, options } = command;
  const { rules, ...retention } = options.retention;
  const fault = faultOfRules(rules ?? []);
  if (fault !== undefined) return refuse(invalidLadder(fault));
  // The event that a plan was created is older than ladders, so a ladder follows as the first change.
  const ladder = rules ? [fact('protection.retention-changed.v2', { planId, retention: options.retention })] : [];
  const created = fact('protection.plan-created.v1', { planId, name, ...options, retention });
  return accept(created, ...ladder, ...unique(command.volumes).map((volume) => protect(planId, volume)));
}

function remove(plan: PlanAggregate, deleteData: boolean): PlanFact[] {
  const { planId } = plan;
  return [...plan.volumes.map((volume) => unprotect(planId, volume, deleteData)), fact('protection.plan-removed.v1', { planId, deleteData })];
}

/** A plan may be without volumes until others join it. */
function removeVolumes(plan: PlanAggregate, { volumeIds, deleteData }: Extract<PlanCommand, { kind: 'remove-volumes' }>): Decision<PlanFact> {
  const stranger = volumeIds.find((volumeId) => !plan.volumes.some((volume) => volume.volumeId === volumeId));
  if (stranger !== undefined) return refuse(notInPlan(plan, stranger));
  return accept(...plan.volumes.filter(({ volumeId }) => volumeIds.includes(volumeId)).map((volume) => unprotect(plan.planId, volume, deleteData)));
}

function unprotect(planId: string, { volumeId, pairId }: PlanVolume, deleteData: boolean): PlanFact {
  return fact('protection.volume-unprotected.v1', { planId, volumeId, pairId, deleteData });
}

function changeInterval(plan: PlanAggregate, seconds: number | undefined): Decision<PlanFact> {
  if (plan.consistencyIntervalSeconds === seconds) return accept();
  const interval = seconds === undefined ? {} : { consistencyIntervalSeconds: seconds };
  return accept(fact('protection.consistency-interval-changed.v1', { planId: plan.planId, ...interval }));
}

function changeLevel({ planId, consistencyLevel: level }: PlanAggregate, consistencyLevel: ConsistencyLevel): Decision<PlanFact> {
  return level === consistencyLevel ? accept() : accept(fact('protection.consistency-level-changed.v1', { planId, consistencyLevel }));
}

function changeDeduplication({ planId, name, compression, deduplication: now }: PlanAggregate, deduplication: boolean): Decision<PlanFact> {
  if (deduplication && compression === 'source') {
    const detail = `plan ${name} compresses at the source, and blocks are not found again in what is compressed`;
    return refuse({ kind: 'conflict', code: 'plan/compressed-at-source', detail, hint: 'Deduplicate plans that compress at the process server, or not at all.' });
  }
  return now === deduplication ? accept() : accept(fact('protection.deduplication-changed.v1', { planId, deduplication }));
}

function changeAutomaticResync(plan: PlanAggregate, change: ChangedAutomaticResync): Decision<PlanFact> {
  const { enabled, waitSeconds, from, to, timeZone } = plan.automaticResync;
  const automaticResync: AutomaticResync = {
    enabled: change.enabled ?? enabled, waitSeconds: change.waitSeconds ?? waitSeconds, from: change.from ?? from, to: change.to ?? to, timeZone: change.timeZone ?? timeZone,
  };
  const names = Object.keys(automaticResync) as (keyof AutomaticResync)[];
  if (names.every((name) => automaticResync[name] === plan.automaticResync[name])) return accept();
  return accept(fact('protection.automatic-resync-changed.v1', { planId: plan.planId, automaticResync }));
}

function protect(planId: string, volume: PlanVolume): PlanFact {
  return fact('protection.volume-protected.v1', { planId, ...volume });
}

function newVolumes(plan: PlanAggregate, volumes: readonly PlanVolume[]): PlanVolume[] {
  const known = new Set(plan.volumes.map((volume) => volume.volumeId));
  return unique(volumes).filter((volume) => !known.has(volume.volumeId));
}

function unique(volumes: readonly PlanVolume[]): PlanVolume[] {
  return [...new Map(volumes.map((volume) => [volume.volumeId, volume])).values()];
}

function changeRetention(plan: PlanAggregate, retention: RetentionLadder): Decision<PlanFact> {
  const fault = faultOfRules(retention.rules ?? []);
  if (fault !== undefined) return refuse(invalidLadder(fault));
  if (sameRetention(plan.retention, retention)) return accept();
  return accept(fact('protection.retention-changed.v2', { planId: plan.planId, retention }));
}

function pinPoint(plan: PlanAggregate, pin: Pin): Decision<PlanFact> {
  if (!plan.pins.some(({ name }) => name === pin.name)) return accept(fact('protection.point-pinned.v1', { planId: plan.planId, ...pin }));
  return refuse({ kind: 'conflict', code: 'pin/exists', detail: `a point of plan ${plan.name} is pinned as ${pin.name}`, hint: 'Choose another name, or unpin that one first.' });
}

function unpinPoint(plan: PlanAggregate, nameOrId: string): Decision<PlanFact> {
  const pin = plan.pins.find(({ pinId, name }) => name === nameOrId || pinId === nameOrId);
  if (pin) return accept(fact('protection.point-unpinned.v1', { planId: plan.planId, pinId: pin.pinId, name: pin.name }));
  return refuse({ kind: 'not-found', code: 'pin/unknown', detail: `plan ${plan.name} has no point pinned as ${nameOrId}`, hint: 'The status of the plan lists its pins.' });
}

function alreadyThere(name: string): Rejection {
  return { kind: 'conflict', code: 'plan/exists', detail: `plan ${name} exists`, hint: 'Choose another name, or change the plan.' };
}

function notInPlan({ name }: PlanAggregate, volumeId: string): Rejection {
  return { kind: 'not-found', code: 'plan/not-its-volume', detail: `plan ${name} does not protect volume ${volumeId}`, hint: 'The status of the plan lists its volumes.' };
}

function notThere(plan: PlanAggregate): Rejection {
  const detail = plan.state === 'removed' ? `plan ${plan.name} was removed` : 'there is no such plan';
  return { kind: 'not-found', code: 'plan/unknown', detail, hint: 'List the plans to see their names.' };
}

function evolve(plan: PlanAggregate, { type, data }: PlanFact): PlanAggregate {
  switch (type) {
    case 'secondsite.protection.plan-created.v1':
      return {
        ...plan, state: nextState(planGraph, plan.state, 'created'), planId: data.planId, name: data.name, retention: data.retention,
        consistencyIntervalSeconds: data.consistencyIntervalSeconds, compression: data.compression,
      };
    case 'secondsite.protection.plan-paused.v1':
      return { ...plan, state: nextState(planGraph, plan.state, 'paused') };
    case 'secondsite.protection.plan-resumed.v1':
      return { ...plan, state: nextState(planGraph, plan.state, 'resumed') };
    case 'secondsite.protection.plan-removed.v1':
      return { ...plan, state: nextState(planGraph, plan.state, 'removed') };
    case 'secondsite.protection.volume-protected.v1':
      return { ...plan, volumes: [...plan.volumes, { volumeId: data.volumeId, hostId: data.hostId, pairId: data.pairId }] };
    case 'secondsite.protection.volume-unprotected.v1':
      return { ...plan, volumes: plan.volumes.filter((volume) => volume.volumeId !== data.volumeId) };
    case 'secondsite.protection.retention-changed.v2':
      return { ...plan, retention: data.retention };
    case 'secondsite.protection.point-pinned.v1':
      return { ...plan, pins: [...plan.pins, { pinId: data.pinId, name: data.name, points: data.points }] };
    case 'secondsite.protection.point-unpinned.v1':
      return { ...plan, pins: plan.pins.filter(({ pinId }) => pinId !== data.pinId) };
    case 'secondsite.protection.automatic-resync-changed.v1':
      return { ...plan, automaticResync: data.automaticResync };
    case 'secondsite.protection.consistency-interval-changed.v1':
      return { ...plan, consistencyIntervalSeconds: data.consistencyIntervalSeconds };
    case 'secondsite.protection.bandwidth-changed.v1':
      return plan;
    case 'secondsite.protection.rpo-threshold-changed.v1':
      return { ...plan, rpoThresholdSeconds: data.rpoThresholdSeconds };
    case 'secondsite.protection.consistency-level-changed.v1':
      return { ...plan, consistencyLevel: data.consistencyLevel };
    case 'secondsite.protection.deduplication-changed.v1':
      return { ...plan, deduplication: data.deduplication };
  }
}
