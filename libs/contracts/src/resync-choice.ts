// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';

/** Why a pair could not just go on with its stream. */
export const resyncCauseSchema = z.enum([
  'baseline', 'clean-start', 'agent-crash', 'bitmap-mode', 'tap-interrupted', 'stream-broken', 'replica-lost', 'bitmap-lost', 'requested',
  'volume-grown',
]);
export type ResyncCause = z.infer<typeof resyncCauseSchema>;

/** What it takes to be in differential sync again: the least that is safe. */
export const resyncWorkSchema = z.enum(['nothing', 'regions', 'whole']);
export type ResyncWork = z.infer<typeof resyncWorkSchema>;

/** The causes in words; each ends the sentence "… because". */
export const resyncCauseWords: Readonly<Record<ResyncCause, string>> = Object.freeze({
  baseline: 'the pair is new',
  'clean-start': 'the agent was stopped with everything applied at the target',
  'agent-crash': 'the agent or its host ended without notice, and the write-intent bitmap says where replica and source may differ',
  'bitmap-mode': 'in bitmap mode it was only noted which regions changed',
  'tap-interrupted': 'the tap did not see every change for a while',
  'stream-broken': 'change sets were lost on the way to the replica, and their regions are still marked in the write-intent bitmap',
  'replica-lost': 'the master target does not hold what was applied there before',
  'bitmap-lost': 'the write-intent bitmap cannot be relied on',
  requested: 'an operator asked for it',
  'volume-grown': 'the volume grew, and its new part is marked in the write-intent bitmap',
});
