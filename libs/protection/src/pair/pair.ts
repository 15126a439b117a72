// SPDX-License-Identifier: Apache-2.0
import type { RetentionLadder } from '@secondsite/contracts';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import { isoFromMicros } from '@secondsite/units';
import { accept, type Decider, type Decision, refuse } from '../decider';
import { type Fact, fact } from '../fact';
import type { StallAnswer } from '../live/stall';
import { nextState } from '../state-graph';
import { pairGraph, type PairState, type PairStep } from './pair-graph';
import { decideMove, evolveRoute, type PairRoute, type ProcessServerMoveCommand, type ProcessServerMoveFact } from './process-server-move';
import { decideTargetMove, evolveHome, isTargetMove, isTargetMoveFact, type PairHome, type TargetMoveCommand, type TargetMoveFact } from './target-move';

/** Facts that components report about a pair. */
export type ReportedPairFact = Fact<
  | 'replication.resync-started.v1'
  | 'replication.resync-compared.v1'
  | 'replication.resync-read.v1'
  | 'replication.differential-sync-reached.v1'
  | 'replication.bitmap-mode-entered.v1'
  | 'replication.bitmap-mode-left.v1'
  | 'replication.flow-control-started.v1'
  | 'replication.flow-control-ended.v1'
  | 'replication.change-set-refused.v1'
  | 'replication.resync-required.v2'
  | 'replication.resync-chosen.v1'
  | 'replication.volume-grown.v1'
  | 'replication.volume-shrunk.v1'
  | 'replication.volume-restored.v1'
>;
export type PairFact =
  | ReportedPairFact
  | ProcessServerMoveFact
  | Fact<'protection.pair-joined-plan.v1' | 'protection.pair-left-plan.v1'>
  | TargetMoveFact
  | Fact<'protection.pair-created.v1' | 'protection.pair-removed.v1' | 'protection.resync-requested.v1' | 'replication.replication-stalled.v1' | 'replication.replication-recovered.v1'>;

/** What telemetry shows at the target; corrects the aggregate when a report was lost. */
export interface ObservedStage {
  readonly epoch: number;
  readonly stage: 'resync-step-1' | 'resync-step-2' | 'differential-sync';
  readonly appliedSequence: number;
  readonly coveredTime: TimeMicros;
  readonly dirtyBytes: number;
  readonly totalBytes: number;
}

export type PairCommand =
  | TargetMoveCommand
  | { readonly kind: 'create'; readonly pair: Fact<'protection.pair-created.v1'>['data'] }
  | { readonly kind: 'remove'; readonly deleteData: boolean }
  | { readonly kind: 'request-resync' }
  /** Its volume was added to this plan. */
  | { readonly kind: 'join-plan'; readonly planId: string }
  /** It is in no plan, and its time is over. */
  | { readonly kind: 'remove-kept' }
  /** Its volume is in no plan any more; `keptUntil`: ISO 8601. */
  | { readonly kind: 'leave-plan'; readonly keptUntil: string; readonly retention: RetentionLadder }
  | ProcessServerMoveCommand
  | { readonly kind: 'record'; readonly fact: ReportedPairFact }
  | { readonly kind: 'observe'; readonly observed: ObservedStage }
  | { readonly kind: 'judge-stall'; readonly answer: StallAnswer; readonly waitsAt: StallPlace; readonly coveredTime: TimeMicros | undefined };

export type StallPlace = Fact<'replication.replication-stalled.v1'>['data']['waitsAt'];

export interface PairAggregate extends PairRoute, PairHome {
  readonly state: PairState;
  /** It is in no plan; `planId` is the one that it was in last. */
  readonly left: boolean;
  readonly epoch: number;
  readonly bitmapMode: boolean;
  readonly flowControlled: boolean;
  /** What it needs to go on; undefined: nothing, or it has begun. */
  readonly required: 'regions' | 'whole' | undefined;
  /** How often an operator asked for a resync. */
  readonly requests: number;
  readonly stalled: boolean;
  readonly sizeBytes: ByteCount;
  /** How small its source has become, while it is smaller than the volume. */
  readonly shrunkTo: ByteCount | undefined;
}

const initial: PairAggregate = {
  state: pairGraph.initial, pairId: '', planId: '', epoch: 0, bitmapMode: false, flowControlled: false, required: undefined, requests: 0, stalled: false,
  sizeBytes: 0, shrunkTo: undefined, left: false, processServerId: '', moves: 0, leaving: undefined, masterTargetId: '', placement: 0, movingTo: undefined,
};

/**
 * Replication pair. Reports are idempotent: one that changes nothing, or belongs to an older epoch (I6), is accepted without facts, so
 * the same news from two components or from a redelivery stands in the history once.
 */
export const pairDecider: Decider<PairCommand, PairAggregate, PairFact> = { initial, decide, evolve };

function decide(command: PairCommand, pair: PairAggregate): Decision<PairFact> {
  if (command.kind === 'create') {
    return pair.state === 'absent' ? accept(fact('protection.pair-created.v1', command.pair)) : accept();
  }
  if (pair.state === 'absent') {
    return refuse({ kind: 'not-found', code: 'pair/unknown', detail: 'there is no such pair', hint: 'The component holds an old desired state.' });
  }
  if (pair.state === 'removed') return command.kind === 'join-plan' ? refuse(removed) : accept();
  switch (command.kind) {
    case 'remove':
      return accept(fact('protection.pair-removed.v1', { pairId: pair.pairId, planId: pair.planId, deleteData: command.deleteData }));
    case 'remove-kept': {
      const { pairId, planId, left } = pair;
      return left ? accept(fact('protection.pair-removed.v1', { pairId, planId, deleteData: true })) : accept();
    }
    case 'request-resync':
      return accept(fact('protection.resync-requested.v1', { pairId: pair.pairId, request: pair.requests + 1 }));
    case 'join-plan':
      return joinPlan(command.planId, pair);
    case 'leave-plan': {
      const { pairId, planId } = pair;
      return pair.left ? accept() : accept(fact('protection.pair-left-plan.v1', { pairId, planId, keptUntil: command.keptUntil, retention: command.retention }));
    }
    case 'record':
      return isNews(command.fact, pair) ? accept(command.fact) : accept();
    case 'observe':
      return observe(command.observed, pair);
    case 'judge-stall':
      return judgeStall(command, pair);
    default:
      return isTargetMove(command) ? decideTargetMove(command, pair) : decideMove(command, pair);
  }
}

function joinPlan(planId: string, { pairId, planId: fromPlanId, left }: PairAggregate): Decision<PairFact> {
  return planId === fromPlanId && !left ? accept() : accept(fact('protection.pair-joined-plan.v1', { pairId, planId, fromPlanId }));
}

const removed = { kind: 'conflict', code: 'pair/removed', detail: 'the pair was removed a moment ago', hint: 'Repeat the command: the volume then gets a new pair.' } as const;

const stepOf: Partial<Record<PairFact['type'], PairStep>> = {
  'secondsite.protection.pair-created.v1': 'created',
  'secondsite.protection.pair-removed.v1': 'removed',
  'secondsite.replication.resync-started.v1': 'resync-started',
  'secondsite.replication.resync-read.v1': 'resync-read',
  'secondsite.replication.differential-sync-reached.v1': 'differential-sync-reached',
};

function isNews(reported: ReportedPairFact, pair: PairAggregate): boolean {
  switch (reported.type) {
    case 'secondsite.replication.resync-started.v1':
      return isStageNews(reported, pair) && (reported.data.epoch > pair.epoch || startsAnew(reported.data.reason, pair));
    case 'secondsite.replication.resync-read.v1':
    case 'secondsite.replication.differential-sync-reached.v1':
      return isStageNews(reported, pair);
    case 'secondsite.replication.bitmap-mode-entered.v1':
      return !pair.bitmapMode;
    case 'secondsite.replication.bitmap-mode-left.v1':
      return pair.bitmapMode;
    case 'secondsite.replication.flow-control-started.v1':
      return !pair.flowControlled;
    case 'secondsite.replication.flow-control-ended.v1':
      return pair.flowControlled;
    case 'secondsite.replication.resync-required.v2':
      return pair.required !== 'whole' && pair.required !== reported.data.work;
    case 'secondsite.replication.resync-chosen.v1':
      return reported.data.epoch >= pair.epoch;
    case 'secondsite.replication.volume-grown.v1':
      return reported.data.toBytes > pair.sizeBytes;
    case 'secondsite.replication.volume-shrunk.v1':
      return reported.data.sourceBytes !== pair.shrunkTo;
    case 'secondsite.replication.volume-restored.v1':
      return pair.shrunkTo !== undefined;
    case 'secondsite.replication.resync-compared.v1':
    case 'secondsite.replication.change-set-refused.v1':
      return true;
  }
}

/**
 * Inside an epoch the target tells of a resynchronisation after the agent, perhaps when the agent is already past it. Only one that begins
 * out of differential sync for a reason of its own is another one; what is lost by this, `observe` brings back.
 */
function startsAnew(reason: Fact<'replication.resync-started.v1'>['data']['reason'], pair: PairAggregate): boolean {
  return pair.state === 'queued' || (pair.state === 'differential-sync' && reason !== 'baseline' && reason !== 'restart');
}

function isStageNews(reported: { readonly type: PairFact['type']; readonly data: { readonly epoch: number } }, pair: PairAggregate): boolean {
  if (reported.data.epoch < pair.epoch) return false;
  const step = stepOf[reported.type];
  return reported.data.epoch > pair.epoch || (step !== undefined && nextState(pairGraph, pair.state, step) !== pair.state);
}

function observe(observed: ObservedStage, pair: PairAggregate): Decision<PairFact> {
  if (observed.epoch < pair.epoch || observed.stage === pair.state) return accept();
  const { epoch, stage, appliedSequence: sequence, dirtyBytes, totalBytes } = observed;
  const { pairId } = pair;
  if (stage === 'resync-step-1') {
    const reason = pair.state === 'queued' ? 'baseline' : epoch > pair.epoch ? 'restart' : 'requested';
    return accept(fact('replication.resync-started.v1', { pairId, epoch, reason, dirtyBytes, totalBytes }));
  }
  if (stage === 'resync-step-2') return accept(fact('replication.resync-read.v1', { pairId, epoch, sequence }));
  return accept(fact('replication.differential-sync-reached.v1', { pairId, epoch, sequence, coveredTime: isoFromMicros(observed.coveredTime) }));
}

function judgeStall({ answer, waitsAt, coveredTime }: Extract<PairCommand, { kind: 'judge-stall' }>, pair: PairAggregate): Decision<PairFact> {
  const { pairId } = pair;
  const covered = coveredTime === undefined ? {} : { coveredTime: isoFromMicros(coveredTime) };
  if (answer.stalled && !pair.stalled) {
    return accept(fact('replication.replication-stalled.v1', { pairId, stalledSeconds: answer.behindSeconds, waitsAt, reason: answer.reason, ...covered }));
  }
  if (answer.stalled || !pair.stalled || coveredTime === undefined) return accept();
  return accept(fact('replication.replication-recovered.v1', { pairId, stalledSeconds: 0, coveredTime: isoFromMicros(coveredTime) }));
}

function placeOf({ pairId, planId, sizeBytes, processServerId, masterTargetId }: Fact<'protection.pair-created.v1'>['data']): Pick<PairAggregate, 'pairId' | 'planId' | 'sizeBytes' | 'processServerId' | 'masterTargetId'> {
  return { pairId, planId, sizeBytes, processServerId, masterTargetId };
}

function evolve(pair: PairAggregate, happened: PairFact): PairAggregate {
  if (isTargetMoveFact(happened)) return { ...pair, ...evolveHome(pair, happened) };
  const step = stepOf[happened.type];
  const moved = step === undefined ? pair : { ...pair, state: nextState(pairGraph, pair.state, step) };
  switch (happened.type) {
    case 'secondsite.protection.pair-created.v1':
      return { ...moved, ...placeOf(happened.data) };
    case 'secondsite.protection.pair-joined-plan.v1':
      return { ...moved, planId: happened.data.planId, left: false };
    case 'secondsite.protection.pair-left-plan.v1':
      return { ...moved, left: true };
    case 'secondsite.protection.process-server-changed.v1':
    case 'secondsite.protection.process-server-switched.v1':
    case 'secondsite.protection.process-server-left.v1':
      return evolveRoute(moved, happened);
    case 'secondsite.replication.resync-started.v1':
      return { ...moved, epoch: happened.data.epoch, required: undefined };
    case 'secondsite.replication.resync-read.v1':
    case 'secondsite.replication.differential-sync-reached.v1':
      return { ...moved, epoch: happened.data.epoch };
    case 'secondsite.replication.bitmap-mode-entered.v1':
      return { ...moved, bitmapMode: true };
    case 'secondsite.replication.bitmap-mode-left.v1':
      return { ...moved, bitmapMode: false };
    case 'secondsite.replication.flow-control-started.v1':
      return { ...moved, flowControlled: true };
    case 'secondsite.replication.flow-control-ended.v1':
      return { ...moved, flowControlled: false };
    case 'secondsite.replication.resync-required.v2':
      // What has to be done is known now, which says more than that the pair does not move on.
      return { ...moved, required: happened.data.work, stalled: pair.stalled && happened.data.work !== 'whole' };
    case 'secondsite.replication.resync-chosen.v1':
      return { ...moved, required: undefined };
    case 'secondsite.replication.volume-grown.v1':
      return { ...moved, sizeBytes: happened.data.toBytes };
    case 'secondsite.replication.volume-shrunk.v1':
      return { ...moved, shrunkTo: happened.data.sourceBytes };
    case 'secondsite.replication.volume-restored.v1':
      return { ...moved, shrunkTo: undefined };
    case 'secondsite.protection.resync-requested.v1':
      return { ...moved, requests: happened.data.request };
    case 'secondsite.replication.replication-stalled.v1':
      return { ...moved, stalled: true };
    case 'secondsite.replication.replication-recovered.v1':
      return { ...moved, stalled: false };
    default:
      return moved;
  }
}
