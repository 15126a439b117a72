// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { fact } from '../fact';
import { given } from '../testing/given';
import { type ChangedAutomaticResync, planDecider, type PlanFact, type PlanOptions } from './plan';

const planId = 'plan-1';
const options: PlanOptions = { retention: { windowSeconds: 3600 }, compression: 'none', folding: false };
const volume = { volumeId: 'v1', hostId: 'h1', pairId: '00000000-0000-4000-8000-000000000001' };
const other = { volumeId: 'v2', hostId: 'h1', pairId: '00000000-0000-4000-8000-000000000002' };
const created: PlanFact[] = [fact('protection.plan-created.v1', { planId, name: 'shop', ...options }), fact('protection.volume-protected.v1', { planId, ...volume })];
const paused = fact('protection.plan-paused.v1', { planId });

describe('a protection plan', () => {
  it('given nothing, when created, then it exists with its volumes, each once', () => {
    const decision = given(planDecider, []).when({ kind: 'create', planId, name: 'shop', options, volumes: [volume, volume] });
    expect(decision).toEqual({ accepted: true, facts: created });
  });

  it('without a volume is refused', () => {
    const decision = given(planDecider, []).when({ kind: 'create', planId, name: 'shop', options, volumes: [] });
    expect(decision).toMatchObject({ accepted: false, rejection: { code: 'plan/no-volume' } });
  });

  it('given its automatic resync, when some of it is changed, then the rest stays; when nothing changes, then nothing happens', () => {
    const changed = fact('protection.automatic-resync-changed.v1', { planId, automaticResync: { enabled: true, waitSeconds: 60, from: '18:00', to: '05:00', timeZone: 'UTC' } });
    const when = (facts: PlanFact[], automaticResync: ChangedAutomaticResync) => given(planDecider, facts).when({ kind: 'change-automatic-resync', automaticResync });
    expect(when(created, { waitSeconds: 60 })).toEqual({ accepted: true, facts: [changed] });
    expect(when(created, { waitSeconds: 1800, from: '18:00' })).toEqual({ accepted: true, facts: [] });
    expect(when([...created, changed], { from: '20:00' })).toMatchObject({ facts: [{ data: { automaticResync: { waitSeconds: 60, from: '20:00', to: '05:00' } } }] });
  });

  it('given it runs, when paused, then it is paused; when paused again, then nothing happens', () => {
    expect(given(planDecider, created).when({ kind: 'pause' })).toEqual({ accepted: true, facts: [paused] });
    expect(given(planDecider, [...created, paused]).when({ kind: 'pause' })).toEqual({ accepted: true, facts: [] });
    expect(given(planDecider, [...created, paused]).when({ kind: 'resume' })).toMatchObject({ facts: [{ type: 'secondsite.protection.plan-resumed.v1' }] });
  });

  it('takes only volumes it does not have', () => {
    const decision = given(planDecider, created).when({ kind: 'add-volumes', volumes: [volume, other] });
    expect(decision).toEqual({ accepted: true, facts: [fact('protection.volume-protected.v1', { planId, ...other })] });
  });

  it('when removed, releases every volume and refuses everything afterwards', () => {
    const decision = given(planDecider, created).when({ kind: 'remove', deleteData: true });
    if (!decision.accepted) throw new Error(decision.rejection.detail);
    expect(decision.facts.map((one) => one.type)).toEqual(['secondsite.protection.volume-unprotected.v1', 'secondsite.protection.plan-removed.v1']);
    const after = given(planDecider, [...created, ...decision.facts]);
    expect(after.state.volumes).toEqual([]);
    expect(after.when({ kind: 'resume' })).toMatchObject({ accepted: false, rejection: { kind: 'not-found', detail: 'plan shop was removed' } });
  });

  it('changes retention and consistency interval only when they differ', () => {
    const plan = given(planDecider, created);
    expect(plan.when({ kind: 'change-retention', retention: { windowSeconds: 3600 } })).toEqual({ accepted: true, facts: [] });
    expect(plan.when({ kind: 'change-retention', retention: { windowSeconds: 60 } })).toMatchObject({ facts: [{ data: { retention: { windowSeconds: 60 } } }] });
    expect(plan.when({ kind: 'change-consistency-interval', consistencyIntervalSeconds: undefined })).toEqual({ accepted: true, facts: [] });
    expect(plan.when({ kind: 'change-consistency-interval', consistencyIntervalSeconds: 60 })).toMatchObject({ facts: [{ data: { consistencyIntervalSeconds: 60 } }] });
  });
});
