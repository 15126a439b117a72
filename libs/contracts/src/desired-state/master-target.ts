// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bandwidthSchema } from '../bandwidth';
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
  placement: countSchema.optional().describe('number of the newest move that brought the pair here or was cancelled; absent: 0. A target that handed it over in a later one stays out'),
  movingTo: idSchema.optional().describe('the master target that may copy the pair from here'),
});
export type MasterTargetPair = z.infer<typeof masterTargetPairSchema>;

/** A pair that is on its way here; `placement` is the number of this move. */
export const arrivingPairSchema = masterTargetPairSchema.extend({ placement: countSchema, sourceUrl: z.url().describe('data plane of the master target that has it') });
export type ArrivingPair = z.infer<typeof arrivingPairSchema>;

/** A pair that has its home elsewhere. */
export const departedPairSchema = masterTargetPairSchema.pick({ pairId: true, volumeId: true, volumeName: true, sizeBytes: true });
export type DepartedPair = z.infer<typeof departedPairSchema>;

/** What a master target should be doing. The data of a pair that is not listed stay, unless `removedPairs` names it. */
export const masterTargetDesiredStateSchema = z.object({
  revision: countSchema,
  pairs: z.array(masterTargetPairSchema),
  removedPairs: z.array(pairIdSchema).default([]),
  arrivingPairs: z.array(arrivingPairSchema).optional(),
  arrivalBandwidth: bandwidthSchema.optional().describe('limit for all that is copied to here; absent: none'),
  departedPairs: z.array(departedPairSchema).optional().describe('what is here of them goes as soon as no view of it is open'),
});
export type MasterTargetDesiredState = z.infer<typeof masterTargetDesiredStateSchema>;
