// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { retentionLadderSchema } from '../retention';
import { byteCountSchema, isoTimeSchema, pairIdSchema } from '../scalars';
import { defineOperation } from './define-operation';

export const pairRetentionPreviewSchema = z.object({
  pairId: pairIdSchema,
  earliestNow: isoTimeSchema.optional(),
  earliestThen: isoTimeSchema.optional(),
  dropped: z.array(z.object({ from: isoTimeSchema, to: isoTimeSchema })).describe('times of points that are offered now and would not be, the newest 200'),
  droppedBookmarks: z.array(z.object({ name: z.string(), level: z.string(), time: isoTimeSchema })),
  freedBytes: byteCountSchema.describe('of the journal that would go at once; merging frees more later'),
});
export type PairRetentionPreview = z.infer<typeof pairRetentionPreviewSchema>;

export const previewRetentionOperation = defineOperation({
  role: 'master-target',
  name: 'preview-retention',
  summary: 'What another retention would drop of the points of pairs; nothing is changed.',
  request: z.object({ pairIds: z.array(pairIdSchema).min(1), retention: retentionLadderSchema }),
  reply: z.object({ pairs: z.array(pairRetentionPreviewSchema) }),
});
