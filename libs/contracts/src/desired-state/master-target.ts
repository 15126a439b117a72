// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { pinnedPointSchema, retentionLadderSchema } from '../retention';
import { byteCountSchema, countSchema, idSchema, pairIdSchema } from '../scalars';

export const masterTargetPairSchema = z.object({
  pairId: pairIdSchema,
  volumeId: idSchema,
  volumeName: z.string().min(1).max(200),
  sizeBytes: byteCountSchema,
  retention: retentionLadderSchema,
  pins: z.array(pinnedPointSchema).optional(),
  deduplication: z.boolean().optional().describe('its blocks may be referred to by change sets of the tenant; absent: they are not'),
});
export type MasterTargetPair = z.infer<typeof masterTargetPairSchema>;

/** What a master target should be doing. The data of a pair that is not listed stay, unless `removedPairs` names it. */
export const masterTargetDesiredStateSchema = z.object({
  revision: countSchema,
  pairs: z.array(masterTargetPairSchema),
  removedPairs: z.array(pairIdSchema).default([]),
});
export type MasterTargetDesiredState = z.infer<typeof masterTargetDesiredStateSchema>;
