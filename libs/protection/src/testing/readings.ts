// SPDX-License-Identifier: Apache-2.0
import type { AgentReading, MasterTargetReading, ProcessServerReading } from '../live/readings';

/** Readings of an idle, healthy pair; a spec states only what matters to it. */
export function agentReading(part: Partial<AgentReading> = {}): AgentReading {
  return { seenAt: 0, mode: 'data', epoch: 1, sequence: 1, heldBytes: 0, dirtyBytes: 0, writesPerSecond: 0, bytesPerSecond: 0, flowControlled: false, ...part };
}

export function processServerReading(part: Partial<ProcessServerReading> = {}): ProcessServerReading {
  return { seenAt: 0, spoolBytes: 0, forwardedSequence: 1, ...part };
}

export function masterTargetReading(part: Partial<MasterTargetReading> = {}): MasterTargetReading {
  return {
    seenAt: 0, epoch: 1, receivedSequence: 1, appliedSequence: 1, cacheBytes: 0, stage: 'differential-sync', green: true, journalBytes: 0, views: 0, ...part,
  };
}
