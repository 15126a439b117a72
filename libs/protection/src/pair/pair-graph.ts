// SPDX-License-Identifier: Apache-2.0
import { stateGraph } from '../state-graph';

/** Stages that users see. */
export type PairStage = 'queued' | 'resync-step-1' | 'resync-step-2' | 'differential-sync';
export type PairState = 'absent' | PairStage | 'removed';
export type PairStep = 'created' | 'resync-started' | 'resync-read' | 'differential-sync-reached' | 'removed';

/**
 * Life of a replication pair. Facts of the agent and of the target may overtake each other, so a later step is accepted from any
 * earlier stage; a resynchronisation may begin again at any time.
 */
export const pairGraph = stateGraph<PairState, PairStep>({
  name: 'replication pair',
  initial: 'absent',
  terminal: ['removed'],
  events: ['created', 'resync-started', 'resync-read', 'differential-sync-reached', 'removed'],
  transitions: {
    absent: { created: 'queued', 'resync-started': null, 'resync-read': null, 'differential-sync-reached': null, removed: null },
    queued: {
      created: null, 'resync-started': 'resync-step-1', 'resync-read': 'resync-step-2', 'differential-sync-reached': 'differential-sync', removed: 'removed',
    },
    'resync-step-1': {
      created: null, 'resync-started': null, 'resync-read': 'resync-step-2', 'differential-sync-reached': 'differential-sync', removed: 'removed',
    },
    'resync-step-2': {
      created: null, 'resync-started': 'resync-step-1', 'resync-read': null, 'differential-sync-reached': 'differential-sync', removed: 'removed',
    },
    'differential-sync': {
      created: null, 'resync-started': 'resync-step-1', 'resync-read': null, 'differential-sync-reached': null, removed: 'removed',
    },
    removed: { created: null, 'resync-started': null, 'resync-read': null, 'differential-sync-reached': null, removed: null },
  },
});
