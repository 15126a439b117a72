// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { agentReading, masterTargetReading, processServerReading } from '../testing/readings';
import { detectStall, type StallQuestion } from './stall';

const now = 1_000_000_000;
const allAlive = { agent: agentReading({ seenAt: now }), processServer: processServerReading({ seenAt: now }), masterTarget: masterTargetReading({ seenAt: now, coveredTime: now - 1e6 }) };
const healthy: StallQuestion = { stage: 'differential-sync', paused: false, readings: allAlive, progressAt: now - 1e6, now, thresholdSeconds: 30 };

describe('a stalled replication', () => {
  it('is none while the covered time is fresh', () => {
    expect(detectStall(healthy)).toEqual({ stalled: false });
  });

  it('is found by the covered time alone, whoever is alive', () => {
    const readings = { ...allAlive, masterTarget: masterTargetReading({ seenAt: now, coveredTime: now - 31e6 }) };
    expect(detectStall({ ...healthy, readings })).toEqual({ stalled: true, behindSeconds: 31, reason: 'the target moves on, but what it applies is too old' });
  });

  it('names the component that is not heard', () => {
    const late = { ...healthy, progressAt: now - 40e6 };
    expect(detectStall({ ...late, readings: { ...allAlive, agent: agentReading({ seenAt: now - 6e6 }) } })).toMatchObject({ reason: 'the agent is not heard' });
    expect(detectStall({ ...late, readings: {} })).toMatchObject({ reason: 'the master target is not heard' });
    expect(detectStall(late)).toMatchObject({ reason: 'every component is alive but no change set reaches the replica' });
  });

  it('is judged by progress, not by the covered time, during a resynchronisation', () => {
    const readings = { ...allAlive, masterTarget: masterTargetReading({ seenAt: now, coveredTime: now - 500e6 }) };
    expect(detectStall({ ...healthy, stage: 'resync-step-1', readings }).stalled).toBe(false);
    expect(detectStall({ ...healthy, stage: 'queued', readings: {}, progressAt: now - 31e6 }).stalled).toBe(true);
  });

  it('is never claimed for a paused pair', () => {
    expect(detectStall({ ...healthy, paused: true, readings: {}, progressAt: 0 }).stalled).toBe(false);
  });
});
