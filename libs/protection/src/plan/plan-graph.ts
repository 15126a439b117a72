// SPDX-License-Identifier: Apache-2.0
import { stateGraph } from '../state-graph';

export type PlanState = 'absent' | 'active' | 'paused' | 'removed';
export type PlanStep = 'created' | 'paused' | 'resumed' | 'removed';

/** Life of a protection plan. Removed plans keep their history and never come back. */
export const planGraph = stateGraph<PlanState, PlanStep>({
  name: 'protection plan',
  initial: 'absent',
  terminal: ['removed'],
  events: ['created', 'paused', 'resumed', 'removed'],
  transitions: {
    absent: { created: 'active', paused: null, resumed: null, removed: null },
    active: { created: null, paused: 'paused', resumed: null, removed: 'removed' },
    paused: { created: null, paused: null, resumed: 'active', removed: 'removed' },
    removed: { created: null, paused: null, resumed: null, removed: null },
  },
});
