// SPDX-License-Identifier: Apache-2.0
import { type AutomaticResync, automaticResyncDefault, type Retention } from '@secondsite/contracts';
import { accept, type Decider, type Decision, refuse, type Rejection } from '../decider';
import { type Fact, fact } from '../fact';
import { nextState } from '../state-graph';
import { planGraph, type PlanState } from './plan-graph';

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
  | 'protection.retention-changed.v1'
  | 'protection.consistency-interval-changed.v1'
  | 'protection.automatic-resync-changed.v1'
>;

export type PlanOptions = Omit<Fact<'protection.plan-created.v1'>['data'], 'planId' | 'name'>;

export type PlanCommand =
  | { readonly kind: 'create'; readonly planId: string; readonly name: string; readonly options: PlanOptions; readonly volumes: readonly PlanVolume[] }
  | { readonly kind: 'add-volumes'; readonly volumes: readonly PlanVolume[] }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'remove'; readonly deleteData: boolean }
  | { readonly kind: 'change-retention'; readonly retention: Retention }
  | { readonly kind: 'change-consistency-interval'; readonly consistencyIntervalSeconds: number | undefined }
  | { readonly kind: 'change-automatic-resync'; readonly automaticResync: ChangedAutomaticResync };

/** What is absent stays as it is. */
export type ChangedAutomaticResync = { readonly [Name in keyof AutomaticResync]?: AutomaticResync[Name] | undefined };

export interface PlanAggregate {
  readonly state: PlanState;
  readonly planId: string;
  readonly name: string;
  readonly retention: Retention | undefined;
  readonly consistencyIntervalSeconds: number | undefined;
  readonly automaticResync: AutomaticResync;
  readonly volumes: readonly PlanVolume[];
}

const initial: PlanAggregate = {
  state: planGraph.initial, planId: '', name: '', retention: undefined, consistencyIntervalSeconds: undefined, automaticResync: automaticResyncDefault, volumes: [],
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
    case 'pause':
      return plan.state === 'paused' ? accept() : accept(fact('protection.plan-paused.v1', { planId }));
    case 'resume':
      return plan.state === 'active' ? accept() : accept(fact('protection.plan-resumed.v1', { planId }));
    case 'remove':
      return accept(...remove(plan, command.deleteData));
    case 'change-retention':
      return sameRetention(plan.retention, command.retention) ? accept() : accept(fact('protection.retention-changed.v1', { planId, retention: command.retention }));
    case 'change-consistency-interval':
      return changeInterval(plan, command.consistencyIntervalSeconds);
    case 'change-automatic-resync':
      return changeAutomaticResync(plan, command.automaticResync);
  }
}

function create(command: Extract<PlanCommand, { kind: 'create' }>): Decision<PlanFact> {
  if (command.volumes.length === 0) {
    return refuse({ kind: 'invalid', code: 'plan/no-volume', detail: `plan ${command.name} has no volume`, hint: 'Name at least one volume.' });
  }
  const { planId, name, options } = command;
  return accept(fact('protection.plan-created.v1', { planId, name, ...options }), ...unique(command.volumes).map((volume) => protect(planId, volume)));
}

function remove(plan: PlanAggregate, deleteData: boolean): PlanFact[] {
  const { planId } = plan;
  const left = plan.volumes.map(({ volumeId, pairId }) => fact('protection.volume-unprotected.v1', { planId, volumeId, pairId, deleteData }));
  return [...left, fact('protection.plan-removed.v1', { planId, deleteData })];
}

function changeInterval(plan: PlanAggregate, seconds: number | undefined): Decision<PlanFact> {
  if (plan.consistencyIntervalSeconds === seconds) return accept();
  const interval = seconds === undefined ? {} : { consistencyIntervalSeconds: seconds };
  return accept(fact('protection.consistency-interval-changed.v1', { planId: plan.planId, ...interval }));
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

function sameRetention(left: Retention | undefined, right: Retention): boolean {
  return left?.windowSeconds === right.windowSeconds && left.spaceBytes === right.spaceBytes;
}

function alreadyThere(name: string): Rejection {
  return { kind: 'conflict', code: 'plan/exists', detail: `plan ${name} exists`, hint: 'Choose another name, or change the plan.' };
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
        consistencyIntervalSeconds: data.consistencyIntervalSeconds,
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
    case 'secondsite.protection.retention-changed.v1':
      return { ...plan, retention: data.retention };
    case 'secondsite.protection.automatic-resync-changed.v1':
      return { ...plan, automaticResync: data.automaticResync };
    case 'secondsite.protection.consistency-interval-changed.v1':
      return { ...plan, consistencyIntervalSeconds: data.consistencyIntervalSeconds };
  }
}
