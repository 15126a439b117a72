// SPDX-License-Identifier: Apache-2.0
// A pair moves from one master target to another (ADR 21). Invariant: at any place of the history one target is the pair's home; the number of a
// move is used once, so that a target can tell an old desired state from a new one.
import { accept, type Decision, refuse, type Rejection } from '../decider';
import { type Fact, fact } from '../fact';

export type TargetMoveFact = Fact<'protection.target-move-started.v1' | 'protection.target-move-cancelled.v1' | 'protection.target-moved.v1'>;

export type TargetMoveCommand =
  | { readonly kind: 'start-target-move'; readonly masterTargetId: string }
  | { readonly kind: 'cancel-target-move' }
  /** The other target has all of the pair durably, and this one takes nothing more. */
  | { readonly kind: 'complete-target-move'; readonly placement: number };

export interface PairHome {
  readonly masterTargetId: string;
  /** Number of the newest move, whatever became of it. */
  readonly placement: number;
  /** Where the pair is on its way to. */
  readonly movingTo: string | undefined;
}

export function decideTargetMove(command: TargetMoveCommand, pair: PairHome & { readonly pairId: string }): Decision<TargetMoveFact> {
  const { pairId, placement, masterTargetId: fromMasterTargetId, movingTo } = pair;
  switch (command.kind) {
    case 'start-target-move': {
      const toMasterTargetId = command.masterTargetId;
      if (movingTo === toMasterTargetId) return accept();
      if (movingTo !== undefined) return refuse(onItsWay(movingTo));
      if (toMasterTargetId === fromMasterTargetId) return refuse(atHome(toMasterTargetId));
      return accept(fact('protection.target-move-started.v1', { pairId, placement: placement + 1, fromMasterTargetId, toMasterTargetId }));
    }
    case 'cancel-target-move':
      if (movingTo === undefined) return refuse(notMoving());
      return accept(fact('protection.target-move-cancelled.v1', { pairId, placement, fromMasterTargetId, toMasterTargetId: movingTo }));
    case 'complete-target-move':
      if (movingTo === undefined || command.placement !== placement) return accept();
      return accept(fact('protection.target-moved.v1', { pairId, placement, fromMasterTargetId, toMasterTargetId: movingTo }));
  }
}

export function isTargetMove<Other extends { readonly kind: string }>(command: TargetMoveCommand | Other): command is TargetMoveCommand {
  return command.kind.endsWith('-target-move');
}

export function isTargetMoveFact(happened: Fact): happened is TargetMoveFact {
  return happened.type.startsWith('secondsite.protection.target-move');
}

export function evolveHome(home: PairHome, { type, data }: TargetMoveFact): PairHome {
  switch (type) {
    case 'secondsite.protection.target-move-started.v1':
      return { masterTargetId: home.masterTargetId, placement: data.placement, movingTo: data.toMasterTargetId };
    case 'secondsite.protection.target-move-cancelled.v1':
      return { ...home, movingTo: undefined };
    case 'secondsite.protection.target-moved.v1':
      return { ...home, masterTargetId: data.toMasterTargetId, movingTo: undefined };
  }
}

function onItsWay(masterTargetId: string): Rejection {
  const detail = `the pair is on its way to ${masterTargetId}`;
  return { kind: 'conflict', code: 'pair/moving', detail, hint: 'Wait until it has arrived, or cancel that move first: secondsite volume move VOLUME --cancel.' };
}

function atHome(masterTargetId: string): Rejection {
  return { kind: 'conflict', code: 'pair/at-target', detail: `the pair is at ${masterTargetId} already`, hint: 'Name another master target.' };
}

function notMoving(): Rejection {
  return { kind: 'conflict', code: 'pair/not-moving', detail: 'the pair is not on its way to another master target', hint: 'A move that has arrived is taken back by a move in the other direction.' };
}
