// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { agentReading, masterTargetReading } from '@secondsite/protection/testing';
import type { PairRow } from '../read-models/directory';
import { pairStatus } from './pair-status';

const now = 1_800_000_000_000_000;
const pair: PairRow = {
  pairId: 'pair', planId: 'plan', volumeId: 'v', volumeName: 'data', hostId: 'h', processServerId: 'ps', masterTargetId: 'mt', sizeBytes: 100,
  createdAt: '2026-01-01T00:00:00.000000Z', state: 'resync-step-1', epoch: 2, bitmapMode: false, flowControlled: false, resyncRequiredSince: undefined,
  resyncReason: undefined, stalledSince: undefined, stallReason: undefined, deleteData: false, moves: 0, leaving: undefined, leftProcessServers: [], keptUntil: undefined, leftRetention: undefined, requiredWork: undefined, wholeSince: undefined, resyncRequests: 0,
  resyncRequestedAt: undefined, lastResync: undefined, shrunkSince: undefined, shrunkTo: undefined, placement: 0, movingTo: undefined, formerTargets: [],
};
const scene = { pair, planName: 'shop', paused: false, hostName: 'web', readings: {}, turn: undefined, now };

describe('the status of a pair', () => {
  it('has the stage of its history until the target says its own of the same epoch', () => {
    expect(pairStatus(scene).stage).toBe('resync-step-1');
    const late = { masterTarget: masterTargetReading({ epoch: 1, stage: 'differential-sync' }) };
    expect(pairStatus({ ...scene, readings: late }).stage).toBe('resync-step-1');
    const current = { masterTarget: masterTargetReading({ epoch: 2, stage: 'resync-step-2' }) };
    expect(pairStatus({ ...scene, readings: current }).stage).toBe('resync-step-2');
    expect(pairStatus({ ...scene, pair: { ...pair, state: 'queued', epoch: 0 }, readings: { masterTarget: masterTargetReading({ epoch: 0 }) } }).stage).toBe('queued');
  });

  it('shows progress and forecast of a resynchronisation', () => {
    const agent = agentReading({ seenAt: now, resync: { doneBytes: 25, totalBytes: 100, finishSeconds: 3 } });
    expect(pairStatus({ ...scene, readings: { agent } }).progress).toEqual({ doneBytes: 25, totalBytes: 100, percent: 25, finishSeconds: 3 });
  });

  it('flags what is live over what was recorded; a paused pair is neither in bitmap mode nor stalled', () => {
    const troubled = { ...pair, bitmapMode: true, stalledSince: '2026-01-01T00:00:00.000000Z' };
    expect(pairStatus({ ...scene, pair: troubled }).flags).toEqual(['bitmap-mode', 'stalled']);
    expect(pairStatus({ ...scene, pair: troubled, readings: { agent: agentReading({ seenAt: now, flowControlled: true }) } }).flags).toEqual(['flow-controlled', 'stalled']);
    expect(pairStatus({ ...scene, pair: troubled, paused: true }).flags).toEqual(['paused']);
  });

  it('is as old as its oldest figure', () => {
    const readings = { agent: agentReading({ seenAt: now }), masterTarget: masterTargetReading({ seenAt: now - 1_500_000 }) };
    expect(pairStatus({ ...scene, readings }).measuredAt).toBe('2027-01-15T07:59:58.500000Z');
  });
});
