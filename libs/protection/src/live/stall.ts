// SPDX-License-Identifier: Apache-2.0
import type { TimeMicros } from '@secondsite/units';
import type { PairStage } from '../pair/pair-graph';
import { isSilent, type PairReadings } from './readings';

export interface StallQuestion {
  readonly stage: PairStage;
  readonly paused: boolean;
  readonly readings: PairReadings;
  /** This server's clock when anything of the pair last moved on at the target; when watching began, if nothing did since. */
  readonly progressAt: TimeMicros;
  readonly now: TimeMicros;
  readonly thresholdSeconds: number;
}

export type StallAnswer = { readonly stalled: false } | { readonly stalled: true; readonly reason: string; readonly behindSeconds: number };

/**
 * A pair is stalled when its target has not moved on for the threshold, or, in differential sync, when the time it covers is older than
 * the threshold: heartbeats travel in the data stream, so an idle source is no excuse. A paused pair is never stalled.
 */
export function detectStall(question: StallQuestion): StallAnswer {
  if (question.paused) return { stalled: false };
  const threshold = question.thresholdSeconds * 1e6;
  const covered = question.stage === 'differential-sync' ? question.readings.masterTarget?.coveredTime : undefined;
  const standing = question.now - question.progressAt;
  const behind = covered === undefined ? standing : Math.max(standing, question.now - covered);
  if (behind <= threshold) return { stalled: false };
  return { stalled: true, behindSeconds: Math.floor(behind / 1e6), reason: stallReason(question, standing <= threshold) };
}

function stallReason({ readings, now }: StallQuestion, moving: boolean): string {
  if (moving) return 'the target moves on, but what it applies is too old';
  if (isSilent(readings.masterTarget, now)) return 'the master target is not heard';
  if (isSilent(readings.processServer, now)) return 'the process server is not heard';
  if (isSilent(readings.agent, now)) return 'the agent is not heard';
  if (readings.agent?.flowControlled) return 'the process server holds the agent off';
  if (readings.agent?.mode === 'bitmap') return 'the agent is in bitmap mode and does not come back';
  return 'every component is alive but no change set reaches the replica';
}
