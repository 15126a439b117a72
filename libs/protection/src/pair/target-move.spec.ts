// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { replay } from '../decider';
import { fact } from '../fact';
import { given } from '../testing/given';
import { pairDecider, type PairCommand, type PairFact } from './pair';

const pairId = '00000000-0000-4000-8000-000000000001';
const created = fact('protection.pair-created.v1', {
  pairId, planId: 'p', volumeId: 'v', volumeName: 'data', hostId: 'h', processServerId: 'ps', masterTargetId: 'mt-1', sizeBytes: 1,
});
const move = (placement: number, from: string, to: string) => ({ pairId, placement, fromMasterTargetId: from, toMasterTargetId: to });
const started = (placement: number, from: string, to: string) => fact('protection.target-move-started.v1', move(placement, from, to));
const moved = fact('protection.target-moved.v1', move(1, 'mt-1', 'mt-2'));
const cancelled = fact('protection.target-move-cancelled.v1', move(1, 'mt-1', 'mt-2'));

const decide = (facts: readonly PairFact[], command: PairCommand) => given(pairDecider, facts).when(command);
const accepted = (...facts: PairFact[]) => ({ accepted: true, facts });
const refused = (code: string) => expect.objectContaining({ accepted: false, rejection: expect.objectContaining({ code }) });

describe('a pair that moves to another master target', () => {
  it('gives each move a number of its own, also after one that was cancelled', () => {
    const to = (masterTargetId: string) => ({ kind: 'start-target-move', masterTargetId } as const);
    expect(decide([created], to('mt-2'))).toEqual(accepted(started(1, 'mt-1', 'mt-2')));
    expect(decide([created, started(1, 'mt-1', 'mt-2'), cancelled], to('mt-2'))).toEqual(accepted(started(2, 'mt-1', 'mt-2')));
    expect(decide([created, started(1, 'mt-1', 'mt-2'), moved], to('mt-1'))).toEqual(accepted(started(2, 'mt-2', 'mt-1')));
  });

  it('moves to one other target at a time', () => {
    expect(decide([created], { kind: 'start-target-move', masterTargetId: 'mt-1' })).toEqual(refused('pair/at-target'));
    expect(decide([created, started(1, 'mt-1', 'mt-2')], { kind: 'start-target-move', masterTargetId: 'mt-3' })).toEqual(refused('pair/moving'));
    expect(decide([created, started(1, 'mt-1', 'mt-2')], { kind: 'start-target-move', masterTargetId: 'mt-2' })).toEqual(accepted());
    expect(decide([created], { kind: 'cancel-target-move' })).toEqual(refused('pair/not-moving'));
  });

  it('arrives only by the move that goes on, and cannot be cancelled then', () => {
    const complete = (placement: number) => ({ kind: 'complete-target-move', placement } as const);
    expect(decide([created, started(1, 'mt-1', 'mt-2')], complete(1))).toEqual(accepted(moved));
    expect(decide([created, started(1, 'mt-1', 'mt-2'), cancelled], complete(1))).toEqual(accepted());
    expect(decide([created, started(1, 'mt-1', 'mt-2'), cancelled, started(2, 'mt-1', 'mt-2')], complete(1))).toEqual(accepted());
    expect(decide([created, started(1, 'mt-1', 'mt-2'), moved], complete(1))).toEqual(accepted());
    expect(decide([created, started(1, 'mt-1', 'mt-2'), moved], { kind: 'cancel-target-move' })).toEqual(refused('pair/not-moving'));
    expect(replay(pairDecider, [created, started(1, 'mt-1', 'mt-2'), moved])).toMatchObject({ masterTargetId: 'mt-2', placement: 1, movingTo: undefined });
  });
});
