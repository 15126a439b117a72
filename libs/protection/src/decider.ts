// SPDX-License-Identifier: Apache-2.0
/** What a decider answers: facts to append, or why nothing happens. A repeated command may be accepted with no facts. */
export type Decision<Fact> = { readonly accepted: true; readonly facts: readonly Fact[] } | { readonly accepted: false; readonly rejection: Rejection };

/** An expected refusal: `code` for programs, `detail` and `hint` for people. */
export interface Rejection {
  readonly code: string;
  readonly detail: string;
  readonly hint: string;
  readonly kind: 'not-found' | 'conflict' | 'invalid';
}

/** Pure heart of an aggregate: `decide` says what happens, `evolve` what it means. Neither reads a clock nor makes ids. */
export interface Decider<Command, State, Fact> {
  readonly initial: State;
  readonly decide: (command: Command, state: State) => Decision<Fact>;
  readonly evolve: (state: State, fact: Fact) => State;
}

export function accept<Fact>(...facts: readonly Fact[]): Decision<Fact> {
  return { accepted: true, facts };
}

export function refuse(rejection: Rejection): { readonly accepted: false; readonly rejection: Rejection } {
  return { accepted: false, rejection };
}

/** State after all facts of a stream, oldest first. */
export function replay<State, Fact>(decider: Pick<Decider<never, State, Fact>, 'initial' | 'evolve'>, facts: Iterable<Fact>): State {
  let state = decider.initial;
  for (const fact of facts) state = decider.evolve(state, fact);
  return state;
}
