// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import type { Directory, PairRow, PlanRow } from '../read-models/directory';
import { ResyncQueue, waitInWords } from './resync-queue';

const plan: PlanRow = {
  planId: 'plan', name: 'shop', state: 'active', createdAt: '2026-01-01T00:00:00.000000Z', retention: { windowSeconds: 60 }, consistencyIntervalSeconds: undefined,
  compression: 'none', deduplication: false, folding: false, consistencyLevel: 'crash', bandwidth: undefined, pins: [], rpoThresholdSeconds: undefined, bookmarkFailure: undefined,
  automaticResync: { enabled: true, waitSeconds: 0, from: '00:00', to: '00:00', timeZone: 'UTC' },
};

function pair(pairId: string, more: Partial<PairRow> = {}): PairRow {
  return {
    pairId, planId: 'plan', volumeId: pairId, volumeName: pairId, hostId: 'h', processServerId: 'ps', masterTargetId: 'mt', sizeBytes: 1, createdAt: '2026-01-01T00:00:00.000000Z',
    state: 'differential-sync', epoch: 1, bitmapMode: false, flowControlled: false, resyncRequiredSince: undefined, resyncReason: undefined, requiredWork: undefined,
    wholeSince: undefined, resyncRequests: 0, resyncRequestedAt: undefined, lastResync: undefined, shrunkSince: undefined, shrunkTo: undefined, stalledSince: undefined, stallReason: undefined, deleteData: false, moves: 0, leaving: undefined, leftProcessServers: [], keptUntil: undefined, leftRetention: undefined, placement: 0, movingTo: undefined, formerTargets: [], ...more,
  };
}

function turnsOf(pairs: readonly PairRow[], plans: readonly PlanRow[] = [plan]): Record<string, string> {
  const directory: Directory = { hosts: [], components: [], volumes: [], tokens: [], alerts: [], plans, pairs };
  return Object.fromEntries([...new ResyncQueue({ now: () => 0 }, 1).turns(directory)].map(([pairId, turn]) => [pairId, waitInWords(turn) ?? turn.kind]));
}

const second = 'it waits for its turn to read the whole volume: place 1 of the queue';

describe('the queue of resynchronisations', () => {
  it('asks a turn of baselines, of pairs that need everything, and of those that an operator asked for, in the order in which that began', () => {
    const required = pair('required', { requiredWork: 'whole', resyncRequiredSince: '1970-01-01T00:00:00.000000Z', wholeSince: '2026-01-02T00:00:00.000000Z' });
    expect(turnsOf([pair('new', { state: 'queued', wholeSince: '2026-01-03T00:00:00.000000Z' }), required])).toEqual({ required: 'go', new: second });
    expect(turnsOf([required, pair('asked', { resyncRequestedAt: '2026-01-01T00:00:00.000000Z', wholeSince: '2026-01-01T00:00:00.000000Z' })])).toEqual({ asked: 'go', required: second });
  });

  it('keeps the place of a pair until everything was read, and asks none of one that repairs regions', () => {
    const reading = pair('reading', { state: 'resync-step-1', wholeSince: '2026-01-01T00:00:00.000000Z' });
    const repairing = [pair('repairing', { state: 'resync-step-1' }), pair('marked', { requiredWork: 'regions', resyncRequiredSince: '2026-01-01T00:00:00.000000Z' })];
    expect(turnsOf([reading, ...repairing, pair('new', { state: 'queued', wholeSince: '2026-01-02T00:00:00.000000Z' })])).toEqual({ reading: 'go', new: second });
    expect(turnsOf([{ ...reading, state: 'resync-step-2', wholeSince: undefined }, pair('new', { state: 'queued' })])).toEqual({ new: 'go' });
  });

  it('lets what needs everything begin by itself after a wait, inside the window of its plan, but for what was asked for', () => {
    const required = pair('required', { requiredWork: 'whole', resyncRequiredSince: '1970-01-01T12:00:00.000000Z', wholeSince: '1970-01-01T12:00:00.000000Z' });
    const automaticResync = { enabled: true, waitSeconds: 3600, from: '10:00', to: '14:00', timeZone: 'UTC' };
    const turnAt = (hour: number, row: PairRow, more: Partial<typeof automaticResync> = {}) => {
      const directory: Directory = { hosts: [], components: [], volumes: [], tokens: [], alerts: [], plans: [{ ...plan, automaticResync: { ...automaticResync, ...more } }], pairs: [row] };
      return new ResyncQueue({ now: () => hour * 3_600_000_000 }, 1).turns(directory).get('required');
    };
    const begins = (hour: number) => ({ kind: 'too-early', notBefore: hour * 3_600_000_000 });
    expect([turnAt(12, required), turnAt(13, required), turnAt(15, required), turnAt(34, required)]).toEqual([begins(13), { kind: 'go' }, begins(34), { kind: 'go' }]);
    expect(turnAt(12, required, { enabled: false })).toEqual({ kind: 'to-be-asked' });
    expect(turnAt(12, { ...required, resyncRequestedAt: '1970-01-01T12:00:00.000000Z' }, { enabled: false })).toEqual({ kind: 'go' });
    expect(turnAt(15, { ...required, requiredWork: undefined, state: 'resync-step-1' })).toEqual({ kind: 'go' });
  });

  it('gives the place away of a pair whose plan is paused or that is stalled', () => {
    const stalled = pair('stalled', { state: 'queued', stalledSince: '2026-01-01T00:00:00.000000Z' });
    const paused = pair('paused', { state: 'queued', planId: 'resting' });
    expect(turnsOf([stalled, paused, pair('new', { state: 'queued' })], [plan, { ...plan, planId: 'resting', state: 'paused' }])).toEqual({
      stalled: 'go', new: 'go', paused: 'its plan is paused; it takes its place in the queue when that is resumed',
    });
  });
});
