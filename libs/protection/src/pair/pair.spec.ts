// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { replay } from '../decider';
import { fact } from '../fact';
import { given } from '../testing/given';
import { pairDecider, type PairFact, type ReportedPairFact } from './pair';
import { pairGraph } from './pair-graph';

const pairId = '00000000-0000-4000-8000-000000000001';
const created = fact('protection.pair-created.v1', {
  pairId, planId: 'p', volumeId: 'v', volumeName: 'data', hostId: 'h', processServerId: 'ps', masterTargetId: 'mt', sizeBytes: 1,
});
const started = (epoch: number) => fact('replication.resync-started.v1', { pairId, epoch, reason: 'baseline', dirtyBytes: 1, totalBytes: 1 });
const read = (epoch: number) => fact('replication.resync-read.v1', { pairId, epoch, sequence: 5 });
const reached = (epoch: number) => fact('replication.differential-sync-reached.v1', { pairId, epoch, sequence: 9, coveredTime: '2026-01-01T00:00:00.000000Z' });
const stalled = fact('replication.replication-stalled.v1', { pairId, stalledSeconds: 31, waitsAt: 'agent', reason: 'the agent is not heard' });
const inStage = (...facts: PairFact[]) => given(pairDecider, [created, ...facts]).state.state;

describe('a replication pair', () => {
  it('goes from queued over both resync steps to differential sync', () => {
    expect([inStage(), inStage(started(1)), inStage(started(1), read(1)), inStage(started(1), read(1), reached(1))]).toEqual([
      'queued', 'resync-step-1', 'resync-step-2', 'differential-sync',
    ]);
  });

  it('records the same news once, whoever reports it', () => {
    const pair = given(pairDecider, [created, started(1)]);
    expect(pair.when({ kind: 'record', fact: started(1) })).toEqual({ accepted: true, facts: [] });
    expect(pair.when({ kind: 'record', fact: read(1) })).toEqual({ accepted: true, facts: [read(1)] });
  });

  it('does not go back when the target tells of the same resynchronisation after the agent', () => {
    const pair = given(pairDecider, [created, started(1), read(1)]);
    expect(pair.when({ kind: 'record', fact: started(1) })).toEqual({ accepted: true, facts: [] });
    const again = fact('replication.resync-started.v1', { pairId, epoch: 1, reason: 'bitmap-mode', dirtyBytes: 1, totalBytes: 1 });
    expect(given(pairDecider, [created, started(1), reached(1)]).when({ kind: 'record', fact: again })).toEqual({ accepted: true, facts: [again] });
  });

  it('goes from plan to plan with everything it has, and out of them for a while', () => {
    const joined = fact('protection.pair-joined-plan.v1', { pairId, planId: 'q', fromPlanId: 'p' });
    const left = fact('protection.pair-left-plan.v1', { pairId, planId: 'p', keptUntil: '2026-01-08T00:00:00.000000Z', retention: { windowSeconds: 60 } });
    const leave = { kind: 'leave-plan', keptUntil: left.data.keptUntil, retention: left.data.retention } as const;
    expect(given(pairDecider, [created]).when({ kind: 'join-plan', planId: 'q' })).toEqual({ accepted: true, facts: [joined] });
    expect(given(pairDecider, [created, started(1), reached(1), joined]).state).toMatchObject({ planId: 'q', state: 'differential-sync', epoch: 1, left: false });
    expect(given(pairDecider, [created]).when({ kind: 'join-plan', planId: 'p' })).toEqual({ accepted: true, facts: [] });
    expect(given(pairDecider, [created]).when(leave)).toEqual({ accepted: true, facts: [left] });
    expect(given(pairDecider, [created, left]).when(leave)).toEqual({ accepted: true, facts: [] });
    expect(given(pairDecider, [created, left]).when({ kind: 'join-plan', planId: 'p' })).toMatchObject({ facts: [{ data: { planId: 'p', fromPlanId: 'p' } }] });
  });

  it('is removed when its time is over, unless it has joined a plan again', () => {
    const left = fact('protection.pair-left-plan.v1', { pairId, planId: 'p', keptUntil: '2026-01-08T00:00:00.000000Z', retention: { windowSeconds: 60 } });
    const joined = fact('protection.pair-joined-plan.v1', { pairId, planId: 'p', fromPlanId: 'p' });
    const removed = fact('protection.pair-removed.v1', { pairId, planId: 'p', deleteData: true });
    expect(given(pairDecider, [created, left]).when({ kind: 'remove-kept' })).toEqual({ accepted: true, facts: [removed] });
    expect(given(pairDecider, [created, left, joined]).when({ kind: 'remove-kept' })).toEqual({ accepted: true, facts: [] });
    expect(given(pairDecider, [created, left, removed]).when({ kind: 'join-plan', planId: 'p' })).toMatchObject({ rejection: { code: 'pair/removed' } });
  });

  it('ignores reports of an older epoch (I6)', () => {
    expect(given(pairDecider, [created, started(2)]).when({ kind: 'record', fact: reached(1) })).toEqual({ accepted: true, facts: [] });
  });

  it('keeps a resynchronisation in a new epoch as news', () => {
    expect(given(pairDecider, [created, started(1)]).when({ kind: 'record', fact: started(2) })).toEqual({ accepted: true, facts: [started(2)] });
  });

  it('is corrected by what is observed at the target when a report was lost', () => {
    const observed = { epoch: 1, stage: 'differential-sync', appliedSequence: 9, coveredTime: 1_767_225_600_000_000, dirtyBytes: 0, totalBytes: 1 } as const;
    expect(given(pairDecider, [created, started(1)]).when({ kind: 'observe', observed })).toEqual({ accepted: true, facts: [reached(1)] });
    expect(given(pairDecider, [created, started(1), reached(1)]).when({ kind: 'observe', observed })).toEqual({ accepted: true, facts: [] });
  });

  it('takes one requirement for news, and a bigger one again; that everything has to be read ends the stall alarm', () => {
    const required = (work: 'regions' | 'whole') => fact('replication.resync-required.v2', { pairId, reason: 'r', work });
    const when = (history: PairFact[], work: 'regions' | 'whole') => given(pairDecider, [created, ...history]).when({ kind: 'record', fact: required(work) });
    expect(when([required('regions')], 'regions')).toEqual({ accepted: true, facts: [] });
    expect(when([required('regions')], 'whole')).toEqual({ accepted: true, facts: [required('whole')] });
    expect(when([required('whole')], 'regions')).toEqual({ accepted: true, facts: [] });
    expect(when([required('whole'), started(2)], 'whole')).toEqual({ accepted: true, facts: [required('whole')] });
    expect([given(pairDecider, [created, stalled, required('regions')]).state.stalled, given(pairDecider, [created, stalled, required('whole')]).state.stalled]).toEqual([true, false]);
  });

  it('keeps what the agent chose, unless that is of an older epoch', () => {
    const chosen = fact('replication.resync-chosen.v1', { pairId, epoch: 2, work: 'nothing', cause: 'clean-start', resyncBytes: 0, volumeBytes: 1 });
    expect(given(pairDecider, [created, started(1)]).when({ kind: 'record', fact: chosen })).toEqual({ accepted: true, facts: [chosen] });
    expect(given(pairDecider, [created, started(3)]).when({ kind: 'record', fact: chosen })).toEqual({ accepted: true, facts: [] });
  });

  it('counts the requests for a resync', () => {
    const requested = (request: number) => fact('protection.resync-requested.v1', { pairId, request });
    expect(given(pairDecider, [created]).when({ kind: 'request-resync' })).toEqual({ accepted: true, facts: [requested(1)] });
    expect(given(pairDecider, [created, requested(1)]).when({ kind: 'request-resync' })).toEqual({ accepted: true, facts: [requested(2)] });
  });

  it('raises its stall alarm once and takes it back once', () => {
    const alarm = { kind: 'judge-stall', answer: { stalled: true, behindSeconds: 31, reason: 'the agent is not heard' }, waitsAt: 'agent', coveredTime: undefined } as const;
    const calm = { kind: 'judge-stall', answer: { stalled: false }, waitsAt: 'unknown', coveredTime: 1 } as const;
    expect(given(pairDecider, [created]).when(alarm)).toEqual({ accepted: true, facts: [stalled] });
    expect(given(pairDecider, [created, stalled]).when(alarm)).toEqual({ accepted: true, facts: [] });
    expect(given(pairDecider, [created, stalled]).when(calm)).toMatchObject({ facts: [{ type: 'secondsite.replication.replication-recovered.v1' }] });
    expect(given(pairDecider, [created]).when(calm)).toEqual({ accepted: true, facts: [] });
  });

  it('is refused as unknown before it was created and ignored after it was removed', () => {
    expect(given(pairDecider, []).when({ kind: 'record', fact: read(1) })).toMatchObject({ accepted: false, rejection: { code: 'pair/unknown' } });
    const removed = fact('protection.pair-removed.v1', { pairId, planId: 'p', deleteData: false });
    expect(given(pairDecider, [created, removed]).when({ kind: 'record', fact: read(1) })).toEqual({ accepted: true, facts: [] });
  });

  it('whatever is reported in whatever order: stays in its graph, its epoch never falls, and repeating all of it is no news', () => {
    const report = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom(started, read, reached)).map(([epoch, make]): ReportedPairFact => make(epoch));
    fc.assert(
      fc.property(fc.array(report, { maxLength: 30 }), (reports) => {
        const history: PairFact[] = [created];
        for (const reported of reports) {
          const before = replay(pairDecider, history);
          const decision = pairDecider.decide({ kind: 'record', fact: reported }, before);
          if (!decision.accepted) throw new Error(decision.rejection.detail);
          history.push(...decision.facts);
          const after = replay(pairDecider, history);
          expect(Object.keys(pairGraph.transitions)).toContain(after.state);
          expect(after.epoch).toBeGreaterThanOrEqual(before.epoch);
          expect(pairDecider.decide({ kind: 'record', fact: reported }, after)).toEqual({ accepted: true, facts: [] });
        }
      }),
    );
  });
});
