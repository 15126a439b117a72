// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { fact } from '../fact';
import { given } from '../testing/given';
import { pairDecider, type PairFact } from './pair';

const pairId = '00000000-0000-4000-8000-000000000001';
const created = fact('protection.pair-created.v1', {
  pairId, planId: 'p', volumeId: 'v', volumeName: 'data', hostId: 'h', processServerId: 'a', masterTargetId: 'mt', sizeBytes: 1,
});
const changed = (fromId: string, toId: string, move: number) => fact('protection.process-server-changed.v1', { pairId, planId: 'p', fromId, toId, move });
const switched = (toId: string, move: number) => fact('protection.process-server-switched.v1', { pairId, planId: 'p', toId, move, epoch: 3, sequence: 7 });
const drained = (fromId: string, move: number) => fact('protection.process-server-left.v1', { pairId, planId: 'p', fromId, move, outcome: 'drained' });
const givenUp = (fromId: string, move: number) => fact('protection.process-server-left.v1', { pairId, planId: 'p', fromId, move, outcome: 'given-up', reason: 'an operator does not wait for it' });
const pair = (...facts: PairFact[]) => given(pairDecider, [created, ...facts]);
const moveTo = (toId: string, giveUp = false) => ({ kind: 'move-to-process-server', toId, giveUp }) as const;
const seen = (move: number) => ({ kind: 'observe-switch', move, epoch: 3, sequence: 7 }) as const;

describe('a pair that moves to another process server', () => {
  it('leaves the old one when the agent has switched and that has nothing left', () => {
    expect(pair().when(moveTo('b'))).toEqual({ accepted: true, facts: [changed('a', 'b', 1)] });
    expect(pair(changed('a', 'b', 1)).when(seen(1))).toEqual({ accepted: true, facts: [switched('b', 1)] });
    expect(pair(changed('a', 'b', 1), switched('b', 1)).when({ kind: 'observe-drained', move: 1 })).toEqual({ accepted: true, facts: [drained('a', 1)] });
    expect(pair(changed('a', 'b', 1), switched('b', 1), drained('a', 1)).state).toMatchObject({ processServerId: 'b', moves: 1, leaving: undefined });
  });

  it('does not believe that nothing is left while the agent may still send there', () => {
    expect(pair(changed('a', 'b', 1)).when({ kind: 'observe-drained', move: 1 })).toEqual({ accepted: true, facts: [] });
  });

  it('takes what was seen of another move for nothing', () => {
    const back = [changed('a', 'b', 1), switched('b', 1), drained('a', 1), changed('b', 'a', 2)];
    expect(pair(...back).when(seen(1))).toEqual({ accepted: true, facts: [] });
    expect(pair(...back, switched('a', 2)).when({ kind: 'observe-drained', move: 1 })).toEqual({ accepted: true, facts: [] });
    expect(pair().when({ kind: 'observe-drained', move: 0 })).toEqual({ accepted: true, facts: [] });
  });

  it('records repeated news and wishes once', () => {
    expect(pair(changed('a', 'b', 1), switched('b', 1)).when(seen(1))).toEqual({ accepted: true, facts: [] });
    expect(pair(changed('a', 'b', 1)).when(moveTo('b'))).toEqual({ accepted: true, facts: [] });
    expect(pair().when(moveTo('a', true))).toEqual({ accepted: true, facts: [] });
  });

  it('goes on to a third only after the first was left or given up', () => {
    expect(pair(changed('a', 'b', 1)).when(moveTo('c'))).toMatchObject({ rejection: { code: 'pair/moving', hint: expect.stringContaining('--give-up') } });
    expect(pair(changed('a', 'b', 1)).when(moveTo('c', true))).toEqual({ accepted: true, facts: [givenUp('a', 1), changed('b', 'c', 2), givenUp('b', 2)] });
  });

  it('does not wait for a process server that is given up, at once or later', () => {
    expect(pair().when(moveTo('b', true))).toEqual({ accepted: true, facts: [changed('a', 'b', 1), givenUp('a', 1)] });
    expect(pair(changed('a', 'b', 1)).when(moveTo('b', true))).toEqual({ accepted: true, facts: [givenUp('a', 1)] });
    expect(pair(changed('a', 'b', 1)).when({ kind: 'give-up-process-server', reason: 'silent' })).toMatchObject({ facts: [{ data: { outcome: 'given-up', reason: 'silent' } }] });
    expect(pair().when({ kind: 'give-up-process-server', reason: 'silent' })).toEqual({ accepted: true, facts: [] });
  });
});
