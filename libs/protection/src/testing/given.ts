// SPDX-License-Identifier: Apache-2.0
import { type Decider, type Decision, replay } from '../decider';

/** `given(decider, facts).when(command)`: the decision after a history. */
export function given<Command, State, Fact>(decider: Decider<Command, State, Fact>, facts: readonly Fact[]): { readonly state: State; when(command: Command): Decision<Fact> } {
  const state = replay(decider, facts);
  return { state, when: (command) => decider.decide(command, state) };
}
