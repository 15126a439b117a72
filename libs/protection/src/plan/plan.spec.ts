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

  it('has its bandwidth limited, and not any more', () => {
    const bandwidth = { timeZone: 'UTC', rules: [{ bytesPerSecond: 1_000_000 }] };
    expect(given(planDecider, created).when({ kind: 'change-bandwidth', bandwidth })).toEqual({ accepted: true, facts: [fact('protection.bandwidth-changed.v1', { planId, bandwidth })] });
    expect(given(planDecider, created).when({ kind: 'change-bandwidth', bandwidth: undefined })).toEqual({ accepted: true, facts: [fact('protection.bandwidth-changed.v1', { planId })] });
  });

  it('when removed, releases every volume and refuses everything afterwards', () => {
    const decision = given(planDecider, created).when({ kind: 'remove', deleteData: true });
    if (!decision.accepted) throw new Error(decision.rejection.detail);
    expect(decision.facts.map((one) => one.type)).toEqual(['secondsite.protection.volume-unprotected.v1', 'secondsite.protection.plan-removed.v1']);
    const after = given(planDecider, [...created, ...decision.facts]);
    expect(after.state.volumes).toEqual([]);
    expect(after.when({ kind: 'resume' })).toMatchObject({ accepted: false, rejection: { kind: 'not-found', detail: 'plan shop was removed' } });
  });

  it('keeps a ladder of rules, given at creation or later; refuses one that contradicts itself', () => {
    const rules = [{ keep: 'all', untilSeconds: 86_400 }, { keep: 'periodic', untilSeconds: 604_800, everySeconds: 14_400, bookmarks: 'every' }] as const;
    const retention = { windowSeconds: 604_800, rules: [...rules] };
    const decision = given(planDecider, []).when({ kind: 'create', planId, name: 'shop', options: { ...options, retention }, volumes: [volume] });
    if (!decision.accepted) throw new Error(decision.rejection.detail);
    expect(decision.facts.slice(0, 2)).toMatchObject([{ data: { retention: { windowSeconds: 604_800 } } }, { type: 'secondsite.protection.retention-changed.v2', data: { retention } }]);
    expect(given(planDecider, decision.facts).state.retention).toEqual(retention);
    expect(given(planDecider, decision.facts).when({ kind: 'change-retention', retention })).toEqual({ accepted: true, facts: [] });
    for (const faulty of [[rules[1], rules[0]], [rules[0], { ...rules[1], untilSeconds: 90_000 }]]) {
      const refused = given(planDecider, created).when({ kind: 'change-retention', retention: { windowSeconds: 604_800, rules: faulty } });
      expect(refused).toMatchObject({ accepted: false, rejection: { code: 'retention/invalid-ladder' } });
    }
  });

  it('pins a point under a name that is free, until it is unpinned', () => {
    const pin = { pinId: 'pin-1', name: 'before-upgrade', points: [{ pairId: volume.pairId, time: '2026-01-01T00:00:00.000000Z' }] };
    const pinned = fact('protection.point-pinned.v1', { planId, ...pin });
    expect(given(planDecider, created).when({ kind: 'pin-point', pin })).toEqual({ accepted: true, facts: [pinned] });
    const plan = given(planDecider, [...created, pinned]);
    expect(plan.state.pins).toEqual([pin]);
    expect(plan.when({ kind: 'pin-point', pin: { ...pin, pinId: 'pin-2' } })).toMatchObject({ rejection: { code: 'pin/exists' } });
    expect(plan.when({ kind: 'unpin-point', nameOrId: 'other' })).toMatchObject({ rejection: { code: 'pin/unknown' } });
    const unpinned = fact('protection.point-unpinned.v1', { planId, pinId: 'pin-1', name: 'before-upgrade' });
    expect(plan.when({ kind: 'unpin-point', nameOrId: 'before-upgrade' })).toEqual({ accepted: true, facts: [unpinned] });
    expect(given(planDecider, [...created, pinned, unpinned]).state.pins).toEqual([]);
  });

  it('changes retention, consistency interval and level only when they differ', () => {
    const plan = given(planDecider, created);
    expect(plan.when({ kind: 'change-retention', retention: { windowSeconds: 3600 } })).toEqual({ accepted: true, facts: [] });
    expect(plan.when({ kind: 'change-retention', retention: { windowSeconds: 60 } })).toMatchObject({ facts: [{ data: { retention: { windowSeconds: 60 } } }] });
    expect(plan.when({ kind: 'change-consistency-interval', consistencyIntervalSeconds: undefined })).toEqual({ accepted: true, facts: [] });
    expect(plan.when({ kind: 'change-consistency-level', consistencyLevel: 'crash' })).toEqual({ accepted: true, facts: [] });
    expect(plan.when({ kind: 'change-consistency-level', consistencyLevel: 'application' })).toMatchObject({ facts: [{ data: { consistencyLevel: 'application' } }] });
    expect(plan.when({ kind: 'change-consistency-interval', consistencyIntervalSeconds: 60 })).toMatchObject({ facts: [{ data: { consistencyIntervalSeconds: 60 } }] });
  });

  it('is deduplicated from when it is asked for, but not what is compressed at the source', () => {
    const plan = given(planDecider, created);
    const changed = fact('protection.deduplication-changed.v1', { planId, deduplication: true });
    expect(plan.when({ kind: 'change-deduplication', deduplication: false })).toEqual({ accepted: true, facts: [] });
    expect(plan.when({ kind: 'change-deduplication', deduplication: true })).toEqual({ accepted: true, facts: [changed] });
    expect(given(planDecider, [...created, changed]).when({ kind: 'change-deduplication', deduplication: true })).toEqual({ accepted: true, facts: [] });
    const atSource = created.map((one) => (one.type === 'secondsite.protection.plan-created.v1' ? fact('protection.plan-created.v1', { ...one.data, compression: 'source' }) : one));
    expect(given(planDecider, atSource).when({ kind: 'change-deduplication', deduplication: true })).toMatchObject({ rejection: { code: 'plan/compressed-at-source' } });
  });

  it('lets volumes leave, also the last, and join again with the pair that they have', () => {
    const plan = given(planDecider, created);
    const left = fact('protection.volume-unprotected.v1', { planId, volumeId: volume.volumeId, pairId: volume.pairId, deleteData: false });
    expect(plan.when({ kind: 'remove-volumes', volumeIds: [volume.volumeId], deleteData: false })).toEqual({ accepted: true, facts: [left] });
    expect(plan.when({ kind: 'remove-volumes', volumeIds: ['other'], deleteData: false })).toMatchObject({ rejection: { code: 'plan/not-its-volume' } });
    const without = given(planDecider, [...created, left]);
    expect(without.state.volumes).toEqual([]);
    expect(without.when({ kind: 'add-volumes', volumes: [volume] })).toMatchObject({ facts: [{ type: 'secondsite.protection.volume-protected.v1', data: { planId, pairId: volume.pairId } }] });
  });
});
