// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bandwidthSchema, prioritySchema } from '../bandwidth';
import { byteCountSchema, countSchema, idSchema, pairIdSchema } from '../scalars';

/**
 * The pair moves from one process server to another, and both have change sets of it: `from` drains its spool, `to` waits with what comes after
 * that. Neither takes for lost what is missing at the master target (ADR 20).
 */
export const handoverSchema = z.enum(['from', 'to']);
export type Handover = z.infer<typeof handoverSchema>;

export const processServerPairSchema = z.object({
  pairId: pairIdSchema,
  masterTargetUrl: z.url(),
  compression: z.enum(['none', 'process-server']).default('none'),
  deduplication: z.boolean().optional().describe('blocks that the master target has are sent as references; absent: they are not'),
  spoolBytesMax: z.object({ resync: byteCountSchema, differential: byteCountSchema }),
  paused: z.boolean().default(false).describe('keep what arrives, forward nothing'),
  handover: handoverSchema.optional().describe('absent: the pair does not move'),
  move: countSchema.optional().describe('how often the pair was moved to another process server'),
  priority: prioritySchema.default('normal'),
  linkIds: z.array(idSchema).default([]).describe('limited links that its change sets go through, the narrowest first'),
});
export type ProcessServerPair = z.infer<typeof processServerPairSchema>;

/** Bandwidth that all pairs which name the link share; the part of it that is this process server's. */
export const limitedLinkSchema = z.object({ linkId: idSchema, bandwidth: bandwidthSchema });
export type LimitedLink = z.infer<typeof limitedLinkSchema>;

/** What a process server should be doing. A pair that is not listed is not forwarded; its spool is dropped when `removedPairs` names it. */
export const processServerDesiredStateSchema = z.object({
  revision: countSchema,
  pairs: z.array(processServerPairSchema),
  removedPairs: z.array(pairIdSchema).default([]),
  links: z.array(limitedLinkSchema).default([]),
});
export type ProcessServerDesiredState = z.infer<typeof processServerDesiredStateSchema>;
