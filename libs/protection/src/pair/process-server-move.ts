// SPDX-License-Identifier: Apache-2.0
/**
 * A pair moves to another process server (ADR 20). Two steps that the components show: first the agent sends to the new one, then the old one has
 * forwarded what it had left. Either is waited for without an end, unless somebody gives the old process server up: then what only that one held
 * is missing at the master target, and the agent reads it again in a new epoch.
 */
import type { Epoch, SequenceNumber } from '@secondsite/units';
import { accept, type Decision, refuse } from '../decider';
import { type Fact, fact } from '../fact';

export type ProcessServerMoveFact = Fact<'protection.process-server-changed.v1' | 'protection.process-server-switched.v1' | 'protection.process-server-left.v1'>;

export type ProcessServerMoveCommand =
  /** `giveUp`: whatever the pair still leaves behind is not waited for. */
  | { readonly kind: 'move-to-process-server'; readonly toId: string; readonly giveUp: boolean }
  /** The agent was seen to send to the process server of this move. */
  | { readonly kind: 'observe-switch'; readonly move: number; readonly epoch: Epoch; readonly sequence: SequenceNumber }
  /** The old process server was seen to have nothing left. */
  | { readonly kind: 'observe-drained'; readonly move: number }
  | { readonly kind: 'give-up-process-server'; readonly reason: string };

/** Where the pair is with its process servers. */
export interface PairRoute {
  readonly pairId: string;
  readonly planId: string;
  readonly processServerId: string;
  /** How often it was moved. */
  readonly moves: number;
  /** The one that it leaves now; `switched`: its agent sends there no more. */
  readonly leaving: { readonly fromId: string; readonly switched: boolean } | undefined;
}

export function decideMove(command: ProcessServerMoveCommand, route: PairRoute): Decision<ProcessServerMoveFact> {
  const { leaving, moves } = route;
  switch (command.kind) {
    case 'move-to-process-server':
      return moveTo(command, route);
    case 'observe-switch': {
      if (!leaving || leaving.switched || command.move !== moves) return accept();
      const { pairId, planId, processServerId: toId } = route;
      return accept(fact('protection.process-server-switched.v1', { pairId, planId, toId, move: moves, epoch: command.epoch, sequence: command.sequence }));
    }
    case 'observe-drained':
      return leaving?.switched && command.move === moves ? accept(left(route, leaving.fromId, { outcome: 'drained' })) : accept();
    case 'give-up-process-server':
      return leaving ? accept(left(route, leaving.fromId, { outcome: 'given-up', reason: command.reason })) : accept();
  }
}

function moveTo({ toId, giveUp }: Extract<ProcessServerMoveCommand, { kind: 'move-to-process-server' }>, route: PairRoute): Decision<ProcessServerMoveFact> {
  const { leaving, processServerId: fromId, pairId, planId } = route;
  const givenUp = { outcome: 'given-up', reason: 'an operator does not wait for it' } as const;
  const ended = leaving && giveUp ? [left(route, leaving.fromId, givenUp)] : [];
  if (toId === fromId) return accept(...ended);
  if (leaving && !giveUp) {
    const detail = 'the pair still leaves the process server that it had before';
    const hint = 'Wait until its status shows no move any more, or repeat the command with --give-up: what only the old process servers hold is then read again from the source.';
    return refuse({ kind: 'conflict', code: 'pair/moving', detail, hint });
  }
  const move = route.moves + 1;
  const changed = fact('protection.process-server-changed.v1', { pairId, planId, fromId, toId, move });
  return accept(...ended, changed, ...(giveUp ? [left({ ...route, moves: move }, fromId, givenUp)] : []));
}

function left({ pairId, planId, moves: move }: PairRoute, fromId: string, how: Pick<Fact<'protection.process-server-left.v1'>['data'], 'outcome' | 'reason'>): ProcessServerMoveFact {
  return fact('protection.process-server-left.v1', { pairId, planId, fromId, move, ...how });
}

export function evolveRoute<Route extends PairRoute>(route: Route, { type, data }: ProcessServerMoveFact): Route {
  switch (type) {
    case 'secondsite.protection.process-server-changed.v1':
      return { ...route, processServerId: data.toId, moves: data.move, leaving: { fromId: data.fromId, switched: false } };
    case 'secondsite.protection.process-server-switched.v1':
      return { ...route, leaving: route.leaving && { ...route.leaving, switched: true } };
    case 'secondsite.protection.process-server-left.v1':
      return { ...route, leaving: undefined };
  }
}
