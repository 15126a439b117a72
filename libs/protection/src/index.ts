// SPDX-License-Identifier: Apache-2.0
export { type AlertCommand, alertDecider, type AlertFact, type AlertJudgement, type AlertKind, alertSeverities, type AlertSubject, type SubjectAlerts } from './alerts/alert';
export { type AlertLimits, judgeComponent, type JudgedComponent, type JudgedPair, type JudgedPlan, judgePair, judgePlan } from './alerts/judge-alerts';
export { accept, type Decider, type Decision, refuse, type Rejection, replay } from './decider';
export { type Fact, fact } from './fact';
export { findHost, type Inventory, type InventoryCommand, inventoryDecider, type InventoryFact, type NewVolume } from './inventory/inventory';
export { type DataInTransit, dataInTransit, formatBytes } from './live/data-in-transit';
export { explainRpo, type RpoQuestion } from './live/explain-rpo';
export { type AgentReading, type Fault, isSilent, type MasterTargetReading, type PairReadings, type ProcessServerReading, silentAfterMicros } from './live/readings';
export { formatSeconds, retentionWords } from './live/retention-words';
export { scrubWords } from './live/scrub-words';
export { rpoSeconds, worstRpoSeconds } from './live/rpo';
export { savingWords } from './live/saving-words';
export { detectStall, type StallAnswer, type StallQuestion } from './live/stall';
export {
  type ObservedStage, type PairAggregate, type PairCommand, pairDecider, type PairFact, type ReportedPairFact, type StallPlace,
} from './pair/pair';
export type { PairRoute } from './pair/process-server-move';
export type { PairHome, TargetMoveCommand, TargetMoveFact } from './pair/target-move';
export { pairGraph, type PairStage, type PairState, type PairStep } from './pair/pair-graph';
export {
  bufferBytesDefault, desiredAgentState, desiredMasterTargetState, type DesiredPair, type DesiredPlan, desiredProcessServerState, type DesiredStateSources,
  type DesiredVolume, type RemovedPair, spoolBytesMaxDefault,
} from './placement/desired-state';
export { areCutByAgent } from './placement/periodic-cuts';
export { type Candidate, isFull, type Placement, placePair, withPlacement } from './placement/place-pair';
export { type ChangedAutomaticResync, type PlanAggregate, type PlanCommand, planDecider, type PlanFact, type Pin, type PlanOptions, type PlanVolume, rpoThresholdSecondsDefault } from './plan/plan';
export { faultOfRules, invalidLadder, withWindowOfRules } from './plan/retention';
export { planGraph, type PlanState, type PlanStep } from './plan/plan-graph';
export { type ResyncCandidate, type ResyncTurn, resyncTurns } from './resync/resync-turns';
export { type DailyWindow, isInWindow, nextInWindow } from './resync/resync-window';
export { resyncWords } from './resync/resync-words';
export { commonPoints, type Points } from './recovery/common-points';
export { levelReached } from './recovery/level-reached';
export { nextState, stateGraph, type StateGraph, type Transitions } from './state-graph';
