// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { freezeHooksSchema } from '../freeze-hooks';
import { byteCountSchema, countSchema, idSchema, pairIdSchema } from '../scalars';
import { tapSchema } from '../tap';

export const agentPairSchema = z.object({
  pairId: pairIdSchema,
  processServerUrl: z.url(),
  move: countSchema.optional().describe('how often the pair was moved to another process server; said in telemetry once it sends to that one'),
  paused: z.boolean().default(false),
  standby: z.boolean().optional().describe('in no plan: only which regions change is noted, until a new epoch brings them'),
  compression: z.enum(['none', 'source']).default('none'),
  folding: z.boolean().default(false),
  bufferBytes: byteCountSchema.describe('memory the change buffer may use'),
  /** Grows when an operator asks for a resynchronisation; a value the agent has not obeyed yet makes it read the whole volume again. */
  resyncRequest: countSchema.default(0),
  resyncTurn: z.boolean().default(true).describe('a resynchronisation of the whole volume may go on now; what the write-intent bitmap can repair needs no turn'),
});
export type AgentPair = z.infer<typeof agentPairSchema>;

export const agentVolumeSchema = z.object({
  volumeId: idSchema,
  name: z.string().min(1).max(200),
  tap: tapSchema,
  sizeBytes: byteCountSchema.optional().describe('absent: the size of the source'),
  pair: agentPairSchema.optional().describe('absent: exported, not protected'),
  hooks: freezeHooksSchema.optional().describe('what stands still while the volume is cut; absent: nothing'),
});
export type AgentVolume = z.infer<typeof agentVolumeSchema>;

/** Volumes that are cut together, at once and every so many seconds. */
export const consistencyGroupSchema = z.object({
  planId: idSchema,
  volumeIds: z.array(idSchema).min(1),
  intervalSeconds: z.int().positive().optional().describe('absent: only on demand'),
});
export type ConsistencyGroup = z.infer<typeof consistencyGroupSchema>;

/** What an agent should be doing. */
export const agentDesiredStateSchema = z.object({
  revision: countSchema,
  volumes: z.array(agentVolumeSchema),
  consistencyGroups: z.array(consistencyGroupSchema).default([]),
});
export type AgentDesiredState = z.infer<typeof agentDesiredStateSchema>;
