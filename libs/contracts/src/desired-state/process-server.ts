// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { byteCountSchema, countSchema, pairIdSchema } from '../scalars';

export const processServerPairSchema = z.object({
  pairId: pairIdSchema,
  masterTargetUrl: z.url(),
  compression: z.enum(['none', 'process-server']).default('none'),
  spoolBytesMax: z.object({ resync: byteCountSchema, differential: byteCountSchema }),
  paused: z.boolean().default(false).describe('keep what arrives, forward nothing'),
});
export type ProcessServerPair = z.infer<typeof processServerPairSchema>;

/** What a process server should be doing. A pair that is not listed is not forwarded; its spool is dropped when `removedPairs` names it. */
export const processServerDesiredStateSchema = z.object({
  revision: countSchema,
  pairs: z.array(processServerPairSchema),
  removedPairs: z.array(pairIdSchema).default([]),
});
export type ProcessServerDesiredState = z.infer<typeof processServerDesiredStateSchema>;
