// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { desiredAgentState, desiredMasterTargetState, desiredProcessServerState, type DesiredStateSources } from './desired-state';
import { type Candidate, placePair, withPlacement } from './place-pair';

const candidate = (role: Candidate['role'], componentId: string, pairCount: number, available = true): Candidate => ({ role, componentId, pairCount, available });

describe('placement', () => {
  it('takes the least loaded that is available, by id when equal', () => {
    const candidates = [
      candidate('process-server', 'ps-b', 1), candidate('process-server', 'ps-a', 1), candidate('process-server', 'ps-c', 0, false), candidate('master-target', 'mt', 7),
    ];
    const placement = placePair(candidates);
    expect(placement).toEqual({ placed: true, processServerId: 'ps-a', masterTargetId: 'mt' });
    if (placement.placed) expect(placePair(withPlacement(candidates, placement))).toMatchObject({ processServerId: 'ps-b' });
  });

  it('spreads pairs over targets, and gives none more than it may have', () => {
    let candidates = [candidate('process-server', 'ps', 0), ...['mt-a', 'mt-b'].map((id) => ({ ...candidate('master-target', id, 1), pairsMax: 2 }))];
    const placed: string[] = [];
    for (let placement = placePair(candidates); placement.placed; placement = placePair(candidates)) {
      placed.push(placement.masterTargetId);
      candidates = withPlacement(candidates, placement);
    }
    expect(placed).toEqual(['mt-a', 'mt-b']);
    expect(placePair(candidates)).toMatchObject({ rejection: { code: 'placement/full', hint: expect.stringContaining('SECONDSITE_PAIRS_PER_TARGET') } });
  });

  it('says what is missing', () => {
    expect(placePair([candidate('process-server', 'ps', 0)])).toMatchObject({ rejection: { code: 'placement/no-master-target', detail: 'no master target is enrolled' } });
    expect(placePair([candidate('process-server', 'ps', 0, false)])).toMatchObject({ rejection: { detail: 'no process server has been heard lately' } });
  });
});

describe('desired state', () => {
  const tap = { kind: 'nbd', source: '/d' } as const;
  const pair = { pairId: 'pair-1', planId: 'plan', volumeId: 'v1', volumeName: 'data', hostId: 'h1', processServerId: 'ps', masterTargetId: 'mt', sizeBytes: 7, resyncRequests: 0, moves: 0, leaving: undefined, leftProcessServers: [], leftRetention: undefined };
  const sources: DesiredStateSources = {
    volumes: [{ volumeId: 'v2', hostId: 'h1', name: 'free', tap, sizeBytes: undefined }, { volumeId: 'v1', hostId: 'h1', name: 'data', tap, sizeBytes: 7 }],
    plans: new Map([['plan', { planId: 'plan', paused: false, retention: { windowSeconds: 60 }, pins: [{ pinId: 'pin', name: 'kept', points: [{ pairId: 'pair-1', time: '2026-01-01T00:00:00Z' }, { pairId: 'pair-2', time: '2026-01-01T00:00:01Z' }] }], consistencyIntervalSeconds: 15, compression: 'process-server', folding: false, bandwidth: undefined }]]),
    turns: new Map(),
    pairs: [pair],
    removedPairs: [{ ...pair, pairId: 'old-1', deleteData: true }, { ...pair, pairId: 'old-2', deleteData: false }],
    urls: new Map([['ps', 'https://ps:1'], ['mt', 'https://mt:2']]),
    priorities: new Map([['h1', 'high']]),
    bandwidths: new Map(),
  };

  it('of an agent: every volume of the host, its pair where there is one, the cuts of its plans', () => {
    const state = desiredAgentState('h1', sources);
    expect(state.volumes.map((volume) => [volume.volumeId, volume.pair?.processServerUrl])).toEqual([['v1', 'https://ps:1'], ['v2', undefined]]);
    expect(state.consistencyGroups).toEqual([{ planId: 'plan', volumeIds: ['v1'], intervalSeconds: 15 }]);
  });

  it('of an agent leaves periodic cuts to the configuration server where it shares a plan with others or something shall stand still', () => {
    const shared = { ...sources, pairs: [...sources.pairs, { ...pair, pairId: 'pair-2', volumeId: 'v9', hostId: 'h2' }] };
    const plans = new Map([...sources.plans].map(([planId, plan]) => [planId, { ...plan, consistencyLevel: 'application' as const }]));
    for (const state of [shared, { ...sources, plans }]) expect(desiredAgentState('h1', state).consistencyGroups).toEqual([{ planId: 'plan', volumeIds: ['v1'] }]);
  });

  it('of an agent names the hooks of its volumes', () => {
    const hooks = [{ kind: 'script', file: '/etc/quiesce' } as const];
    const volumes = sources.volumes.map((volume) => ({ ...volume, ...(volume.volumeId === 'v1' ? { hooks } : {}) }));
    expect(desiredAgentState('h1', { ...sources, volumes }).volumes.map((volume) => volume.hooks)).toEqual([hooks, undefined]);
  });

  it('of a pair whose next hop has no address yet waits', () => {
    const unreachable = { ...sources, urls: new Map<string, string>() };
    expect(desiredAgentState('h1', unreachable).volumes[0]?.pair).toBeUndefined();
    expect(desiredProcessServerState('ps', unreachable).pairs).toEqual([]);
  });

  it('of a process server: priority of the host, the limits of plan and target, shared with the other process servers', () => {
    const limit = (bytesPerSecond: number) => ({ timeZone: 'UTC', rules: [{ bytesPerSecond }] });
    const limited: DesiredStateSources = {
      ...sources,
      plans: new Map([...sources.plans].map(([planId, plan]) => [planId, { ...plan, bandwidth: limit(1000) }])),
      pairs: [pair, { ...pair, pairId: 'pair-2', planId: 'other', processServerId: 'ps-2', hostId: 'h2' }],
      bandwidths: new Map([['mt', limit(5001)]]),
    };
    expect(desiredProcessServerState('ps', sources)).toMatchObject({ pairs: [{ priority: 'high', linkIds: [] }], links: [] });
    expect(desiredProcessServerState('ps', limited)).toMatchObject({
      pairs: [{ linkIds: ['plan', 'mt'] }],
      links: [{ linkId: 'mt', bandwidth: limit(2500) }, { linkId: 'plan', bandwidth: limit(1000) }],
    });
  });

  it('tells process server and target of a plan that is deduplicated', () => {
    expect(desiredProcessServerState('ps', sources).pairs[0]).not.toHaveProperty('deduplication');
    const deduplicated = { ...sources, plans: new Map([...sources.plans].map(([planId, plan]) => [planId, { ...plan, deduplication: true }])) };
    expect([desiredProcessServerState('ps', deduplicated), desiredMasterTargetState('mt', deduplicated)]).toMatchObject([{ pairs: [{ deduplication: true }] }, { pairs: [{ deduplication: true }] }]);
  });

  it('of two targets between which a pair moves: one has it, the other copies it from there, and each knows the number of the move', () => {
    const urls = new Map([...sources.urls, ['mt-2', 'https://mt:3']]);
    const at = (state: Partial<typeof pair> & object) => ({ ...sources, urls, removedPairs: [], pairs: [{ ...pair, ...state }] });
    const former = ['mt', 'mt-2'];
    const moving = at({ placement: 1, movingTo: 'mt-2', formerTargets: former } as object);
    expect(desiredMasterTargetState('mt', moving).pairs).toMatchObject([{ pairId: 'pair-1', placement: 0, movingTo: 'mt-2' }]);
    expect(desiredMasterTargetState('mt-2', moving)).toMatchObject({ pairs: [], arrivingPairs: [{ pairId: 'pair-1', placement: 1, sourceUrl: 'https://mt:2', pins: [{ pinId: 'pin' }] }] });
    expect(desiredProcessServerState('ps', moving).pairs).toMatchObject([{ masterTargetUrl: 'https://mt:2' }]);
    const limited = { ...moving, bandwidths: new Map([['mt-2', { timeZone: 'UTC', rules: [{ bytesPerSecond: 5000 }] }]]) };
    expect(desiredMasterTargetState('mt-2', limited).arrivalBandwidth).toEqual({ timeZone: 'UTC', rules: [{ bytesPerSecond: 5000 }] });

    const cancelled = at({ placement: 1, formerTargets: former } as object);
    expect(desiredMasterTargetState('mt', cancelled).pairs).toMatchObject([{ placement: 1 }]);
    expect(desiredMasterTargetState('mt-2', cancelled)).toMatchObject({ pairs: [], departedPairs: [{ pairId: 'pair-1' }] });

    const moved = at({ placement: 1, masterTargetId: 'mt-2', formerTargets: former } as object);
    expect(desiredMasterTargetState('mt-2', moved)).toMatchObject({ pairs: [{ pairId: 'pair-1', placement: 1 }] });
    expect(desiredMasterTargetState('mt', moved)).toMatchObject({ pairs: [], departedPairs: [{ pairId: 'pair-1', sizeBytes: 7 }] });
    expect(desiredProcessServerState('ps', moved).pairs).toMatchObject([{ masterTargetUrl: 'https://mt:3' }]);

    const removed = { ...moving, pairs: [], removedPairs: [{ ...pair, placement: 1, movingTo: 'mt-2', formerTargets: former, deleteData: false }] };
    expect(desiredMasterTargetState('mt-2', removed).departedPairs).toMatchObject([{ pairId: 'pair-1' }]);
    expect(desiredMasterTargetState('mt', removed)).toEqual({ pairs: [], removedPairs: [] });
  });

  it('of a target deletes a removed replica only when asked', () => {
    expect(desiredMasterTargetState('mt', sources)).toMatchObject({ pairs: [{ pairId: 'pair-1', sizeBytes: 7, pins: [{ pinId: 'pin', time: '2026-01-01T00:00:00Z' }] }], removedPairs: ['old-1'] });
    expect(desiredProcessServerState('ps', sources)).toMatchObject({ pairs: [{ compression: 'process-server' }], removedPairs: ['old-1', 'old-2'] });
  });

  it('of a pair that moves to another process server: both have it until the old one has nothing left, which then drops what it kept', () => {
    const moved = { ...pair, processServerId: 'ps-2', moves: 3 };
    const urls = new Map([...sources.urls, ['ps-2', 'https://ps-2:1']]);
    const at = (processServerId: string, now: Partial<typeof pair | DesiredStateSources['pairs'][number]>) => {
      const { pairs, removedPairs } = desiredProcessServerState(processServerId, { ...sources, urls, removedPairs: [], pairs: [{ ...moved, ...now }] });
      return [pairs.map(({ handover, move }) => ({ handover, move })), removedPairs];
    };
    const leaving = { fromId: 'ps', switched: false };
    expect(desiredAgentState('h1', { ...sources, urls, pairs: [{ ...moved, leaving }] }).volumes[0]?.pair).toMatchObject({ processServerUrl: 'https://ps-2:1', move: 3 });
    expect([at('ps', { leaving }), at('ps-2', { leaving })]).toEqual([[[{ handover: undefined, move: 3 }], []], [[{ handover: 'to', move: 3 }], []]]);
    const switched = { leaving: { ...leaving, switched: true } };
    expect([at('ps', switched), at('ps-2', switched)]).toEqual([[[{ handover: 'from', move: 3 }], []], [[{ handover: 'to', move: 3 }], []]]);
    const left = { leftProcessServers: ['ps'] };
    expect([at('ps', left), at('ps-2', left)]).toEqual([[[], ['pair-1']], [[{ handover: undefined, move: 3 }], []]]);
    expect(at('ps', { ...left, processServerId: 'ps' })).toEqual([[{ handover: undefined, move: 3 }], []]);
  });

  it('of a pair in no plan: its agent only notes what changes, and the target keeps its points as it was said, and those that are pinned', () => {
    const left = { ...sources, pairs: [{ ...pair, leftRetention: { windowSeconds: 99 } }] };
    expect(desiredAgentState('h1', left)).toMatchObject({ volumes: [{ pair: { pairId: 'pair-1', standby: true } }, {}], consistencyGroups: [] });
    expect(desiredMasterTargetState('mt', left).pairs).toMatchObject([{ retention: { windowSeconds: 99 }, pins: [{ pinId: 'pin' }] }]);
    expect(desiredProcessServerState('ps', left).pairs).toMatchObject([{ pairId: 'pair-1', paused: false }]);
  });
});
