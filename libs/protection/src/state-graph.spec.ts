// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { nextState, stateGraph, type StateGraph } from './state-graph';

type Light = StateGraph<'red' | 'green' | 'broken', 'switch' | 'fail'>;
const light: Light = {
  name: 'light',
  initial: 'red',
  terminal: ['broken'],
  events: ['switch', 'fail'],
  transitions: {
    red: { switch: 'green', fail: 'broken' },
    green: { switch: 'red', fail: 'broken' },
    broken: { switch: null, fail: null },
  },
};

describe('a state graph', () => {
  it('is accepted when every state is reachable, handled and has an exit unless it is terminal', () => {
    expect(nextState(stateGraph(light), 'red', 'switch')).toBe('green');
    expect(nextState(stateGraph(light), 'broken', 'switch')).toBe('broken');
  });

  it('names an unreachable state', () => {
    const graph: Light = { ...light, transitions: { ...light.transitions, red: { switch: null, fail: 'broken' } } };
    expect(() => stateGraph(graph)).toThrow('green cannot be reached');
  });

  it('names a dead end, and an exit of a terminal state', () => {
    expect(() => stateGraph({ ...light, terminal: [] })).toThrow('broken is a dead end');
    expect(() => stateGraph({ ...light, transitions: { ...light.transitions, broken: { switch: 'red', fail: null } } })).toThrow('terminal broken has an exit');
  });

  it('names an event that a state forgot and a target that does not exist', () => {
    const forgetful = { ...light.transitions, green: { switch: 'red' } } as unknown as Light['transitions'];
    expect(() => stateGraph({ ...light, transitions: forgetful })).toThrow('green does not handle fail');
    const lost = { ...light.transitions, green: { switch: 'blue', fail: 'broken' } } as unknown as Light['transitions'];
    expect(() => stateGraph({ ...light, transitions: lost })).toThrow('blue is not a state');
  });
});
