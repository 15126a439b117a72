// SPDX-License-Identifier: Apache-2.0
/** For each state and each event the next state; `null` says in so many words that the event changes nothing there. */
export type Transitions<State extends string, Event extends string> = Readonly<Record<State, Readonly<Record<Event, State | null>>>>;

export interface StateGraph<State extends string, Event extends string> {
  readonly name: string;
  readonly initial: State;
  readonly terminal: readonly State[];
  readonly events: readonly Event[];
  readonly transitions: Transitions<State, Event>;
}

/**
 * Checks a graph when its module is loaded: every state handles every event and no other, targets exist, every state can be reached,
 * states without exit are exactly the terminal ones. Throws an Error that names every fault at once.
 */
export function stateGraph<State extends string, Event extends string>(graph: StateGraph<State, Event>): StateGraph<State, Event> {
  const faults = [...unhandledEvents(graph), ...unknownTargets(graph), ...unreachableStates(graph), ...wrongExits(graph)];
  if (faults.length > 0) throw new Error(`State graph ${graph.name} is wrong: ${faults.join('; ')}`);
  return graph;
}

/** The state after an event; the same state where the graph ignores it. */
export function nextState<State extends string, Event extends string>(graph: StateGraph<State, Event>, state: State, event: Event): State {
  return graph.transitions[state][event] ?? state;
}

function statesOf<State extends string, Event extends string>(graph: StateGraph<State, Event>): State[] {
  return Object.keys(graph.transitions) as State[];
}

function targetsOf<State extends string, Event extends string>(graph: StateGraph<State, Event>, state: State): State[] {
  return Object.values<State | null>(graph.transitions[state] ?? {}).filter((target) => target !== null);
}

function unhandledEvents<State extends string, Event extends string>(graph: StateGraph<State, Event>): string[] {
  return statesOf(graph).flatMap((state) => {
    const handled = new Set(Object.keys(graph.transitions[state]));
    const missing = graph.events.filter((event) => !handled.has(event)).map((event) => `${state} does not handle ${event}`);
    const foreign = [...handled].filter((event) => !graph.events.includes(event as Event)).map((event) => `${state} handles unknown ${event}`);
    return [...missing, ...foreign];
  });
}

function unknownTargets<State extends string, Event extends string>(graph: StateGraph<State, Event>): string[] {
  const known = new Set<string>(statesOf(graph));
  const named = [graph.initial, ...graph.terminal, ...statesOf(graph).flatMap((state) => targetsOf(graph, state))];
  return [...new Set(named)].filter((state) => !known.has(state)).map((state) => `${state} is not a state`);
}

function unreachableStates<State extends string, Event extends string>(graph: StateGraph<State, Event>): string[] {
  const reached = new Set<State>([graph.initial]);
  for (const state of reached) for (const target of targetsOf(graph, state)) reached.add(target);
  return statesOf(graph).filter((state) => !reached.has(state)).map((state) => `${state} cannot be reached`);
}

function wrongExits<State extends string, Event extends string>(graph: StateGraph<State, Event>): string[] {
  return statesOf(graph).flatMap((state) => {
    const hasExit = targetsOf(graph, state).some((target) => target !== state);
    const isTerminal = graph.terminal.includes(state);
    if (hasExit && isTerminal) return [`terminal ${state} has an exit`];
    return !hasExit && !isTerminal ? [`${state} is a dead end`] : [];
  });
}
