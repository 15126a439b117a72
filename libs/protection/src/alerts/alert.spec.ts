// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import type { RetentionReport } from '@secondsite/contracts';
import { GIB } from '@secondsite/units';
import { fact } from '../fact';
import { given } from '../testing/given';
import { agentReading, masterTargetReading } from '../testing/readings';
import { alertDecider, type AlertJudgement } from './alert';
import { judgeComponent, type JudgedComponent, type JudgedPair, judgePair, judgePlan } from './judge-alerts';

const second = 1_000_000;
const now = 100_000 * second;
const limits = { silentSeconds: 30, freeBytesMin: 2 * GIB };
const pair: JudgedPair = {
  pairId: 'p', volumeName: 'data', paused: false, rpoThresholdSeconds: 900, readings: {},
  sizeBytes: 1,
  recorded: { bitmapMode: false, flowControlled: false, resyncReason: undefined, stallReason: undefined, shrunkTo: undefined },
};
const component: JudgedComponent = { componentId: 'mt', role: 'master-target', name: 'vault', seenAt: now, watchedSince: 0, freeBytes: 10 * GIB };

/** `on`, `off`, or undefined where there is no judgement. */
const states = (judged: readonly AlertJudgement[]) => Object.fromEntries(judged.map(({ kind, on }) => [kind, on ? 'on' : 'off']));
const ofPair = (change: Partial<JudgedPair>) => states(judgePair({ ...pair, ...change }, now));
const withRpo = (seconds: number) => ({ readings: { masterTarget: masterTargetReading({ seenAt: now, coveredTime: now - seconds * second }) } });
const raised = fact('monitoring.alert-raised.v1', { subjectId: 'p', subjectKind: 'pair', subjectName: 'data', kind: 'rpo-exceeded', severity: 'critical', words: 'w', hint: 'h' });
const cleared = fact('monitoring.alert-cleared.v1', { subjectId: 'p', subjectKind: 'pair', subjectName: 'data', kind: 'rpo-exceeded' });

describe('an alert', () => {
  const about = { subjectId: 'p', subjectKind: 'pair', subjectName: 'data', kind: 'rpo-exceeded' } as const;
  const on = { kind: 'judge', judgement: { ...about, on: true, words: 'w', hint: 'h' } } as const;
  const off = { kind: 'judge', judgement: { ...about, on: false } } as const;

  it('is raised once and cleared once, however often it is judged, and after a restart knows that from its history', () => {
    expect(given(alertDecider, []).when(on)).toEqual({ accepted: true, facts: [raised] });
    expect(given(alertDecider, [raised]).when(on)).toEqual({ accepted: true, facts: [] });
    expect(given(alertDecider, [raised]).when(off)).toEqual({ accepted: true, facts: [cleared] });
    expect(given(alertDecider, [raised, cleared]).when(off)).toEqual({ accepted: true, facts: [] });
    expect(given(alertDecider, [raised, cleared]).when(on)).toEqual({ accepted: true, facts: [raised] });
  });

  it('of one kind says nothing about another kind of the same subject', () => {
    const other = { kind: 'judge', judgement: { ...on.judgement, kind: 'stalled' } } as const;
    expect(given(alertDecider, [raised]).when(other)).toMatchObject({ facts: [{ data: { kind: 'stalled' } }] });
  });
});

describe('a pair', () => {
  it('exceeds its RPO above the threshold of its plan, and is well again clearly below it', () => {
    expect([901, 890, 800].map((seconds) => ofPair(withRpo(seconds))['rpo-exceeded'])).toEqual(['on', undefined, 'off']);
    expect(ofPair({ ...withRpo(20), rpoThresholdSeconds: 10 })['rpo-exceeded']).toBe('on');
  });

  it('whose target was not heard since this server started is not judged by RPO', () => {
    expect(ofPair({})).not.toHaveProperty('rpo-exceeded');
  });

  it('is not blamed while it is paused', () => {
    const troubled = { ...withRpo(5000), recorded: { ...pair.recorded, bitmapMode: true, flowControlled: true, stallReason: 'x' } };
    expect(ofPair(troubled)).toMatchObject({ 'rpo-exceeded': 'on', 'bitmap-mode': 'on', 'flow-control': 'on', stalled: 'on' });
    expect(ofPair({ ...troubled, paused: true })).toMatchObject({ 'rpo-exceeded': 'off', 'bitmap-mode': 'off', 'flow-control': 'off', stalled: 'off' });
  });

  it('is in bitmap mode and flow control as its agent says, and as was recorded while that is not heard', () => {
    const agent = agentReading({ seenAt: now, mode: 'bitmap', flowControlled: true });
    expect(ofPair({ readings: { agent } })).toMatchObject({ 'bitmap-mode': 'on', 'flow-control': 'on' });
    const recorded = { ...pair.recorded, bitmapMode: true };
    expect(ofPair({ recorded, readings: { agent: agentReading({ seenAt: now }) } })['bitmap-mode']).toBe('off');
    expect(ofPair({ recorded, readings: { agent: agentReading({ seenAt: now - 60 * second }) } })['bitmap-mode']).toBe('on');
  });

  it('needs a resynchronisation also while it is paused', () => {
    expect(ofPair({ paused: true, recorded: { ...pair.recorded, resyncReason: 'damaged' } })['resync-required']).toBe('on');
  });

  it('has a low retention window as long as points had to go before their time', () => {
    const report = { promisedSeconds: 86_400, availableSeconds: 3600 };
    const window = (retention: RetentionReport | undefined) => ofPair({ readings: { masterTarget: masterTargetReading({ seenAt: now, ...(retention ? { retention } : {}) }) } })['retention-window-low'];
    expect([window(undefined), window(report), window({ ...report, shortenedBy: 'space-limit', shortenedAt: '2026-01-01T00:00:00Z' })]).toEqual([undefined, 'off', 'on']);
  });
});

describe('marks of the write-intent bitmap', () => {
  it('that its disk does not take are an alert, whatever else goes on', () => {
    const judged = (code: string | undefined) => {
      const agent = agentReading({ seenAt: now, ...(code !== undefined && { fault: { code, hint: 'Look.' } }) });
      return judgePair({ ...pair, readings: { agent } }, now).find(({ kind }) => kind === 'marks-not-durable');
    };
    expect(judged('bitmap/not-durable')).toMatchObject({ on: true, words: expect.stringContaining('writes go on') });
    expect([judged('source/read-failed'), judged(undefined)]).toMatchObject([{ on: false }, { on: false }]);
  });
});

describe('a cold store', () => {
  it('that fails is an alert with what waits and what to do, until it works again; without one there is none', () => {
    const judged = (cold: RetentionReport['cold']) => {
      const retention: RetentionReport = { promisedSeconds: 86_400, availableSeconds: 3600, ...(cold && { cold }) };
      return judgePair({ ...pair, readings: { masterTarget: masterTargetReading({ seenAt: now, retention }) } }, now).find(({ kind }) => kind === 'cold-store-failed');
    };
    const trouble = { code: 'cold-store/unreachable', hint: 'Check the way there.', since: '2026-01-01T00:00:00Z' };
    expect(judged({ bytes: GIB, waitingBytes: GIB, trouble })).toMatchObject({ on: true, words: expect.stringContaining('1 GiB wait'), hint: trouble.hint });
    expect([judged({ bytes: GIB, waitingBytes: GIB }), judged(undefined)]).toMatchObject([{ on: false }, { on: false }]);
  });
});

describe('a component', () => {
  const ofComponent = (change: Partial<JudgedComponent>) => states(judgeComponent({ ...component, ...change }, limits, now));

  it('is silent after the limit, counted from the start of this server when it was never heard since', () => {
    const silent = (change: Partial<JudgedComponent>) => ofComponent(change)['component-silent'];
    expect([silent({}), silent({ seenAt: now - 20 * second }), silent({ seenAt: now - 31 * second })]).toEqual(['off', undefined, 'on']);
    expect([silent({ seenAt: undefined, watchedSince: now - second }), silent({ seenAt: undefined, watchedSince: now - 31 * second })]).toEqual([undefined, 'on']);
  });

  it('is short of space below the limit, and well again clearly above it', () => {
    expect([GIB, 2.2 * GIB, 3 * GIB, undefined].map((freeBytes) => ofComponent({ freeBytes })['disk-space-low'])).toEqual(['on', undefined, 'off', undefined]);
  });
});

describe('a plan', () => {
  it('whose last bookmark failed says why, until one succeeds', () => {
    const [judged] = judgePlan({ planId: 'x', name: 'shop', bookmarkFailure: 'the volume is being resynchronised' });
    expect(judged).toMatchObject({ kind: 'bookmark-failed', on: true, words: expect.stringContaining('being resynchronised') });
    expect(judgePlan({ planId: 'x', name: 'shop', bookmarkFailure: undefined })).toMatchObject([{ on: false }]);
  });
});
