// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bytesSchema, nameSchema, timeSchema } from './fields';
import { planSchema, retentionPolicySchema } from './plans';
import { defineRoute } from './route';
import { pointRequestSchema } from './views';

const droppedRangeSchema = z.object({ from: timeSchema, to: timeSchema });

export const retentionPreviewSchema = z
  .object({
    volumes: z.array(
      z.object({
        volumeId: z.string(),
        volumeName: z.string(),
        pairId: z.string(),
        earliestNow: timeSchema.optional(),
        earliestThen: timeSchema.optional(),
        dropped: z.array(droppedRangeSchema).describe('times of which points would be dropped, the newest 200'),
        droppedBookmarks: z.array(z.object({ name: z.string(), level: z.string(), time: timeSchema })),
        freedBytes: bytesSchema.describe('of the journal that would go at once; merging frees more later'),
      }),
    ),
  })
  .meta({ id: 'RetentionPreview' });
export type RetentionPreview = z.infer<typeof retentionPreviewSchema>;

export const previewRetention = defineRoute({
  operationId: 'previewRetention', method: 'POST', path: '/v1/plans/{plan}/retention-preview', tag: 'protection', access: 'admin', status: 200,
  summary: 'What another retention would drop, without applying it.',
  body: z.object({ retention: retentionPolicySchema }),
  response: retentionPreviewSchema,
});

export const pinPoint = defineRoute({
  operationId: 'pinPoint', method: 'POST', path: '/v1/plans/{plan}/pins', tag: 'protection', access: 'admin', status: 201,
  summary: 'Name a recovery point and keep it until it is unpinned, whatever retention says.',
  body: z.object({ name: nameSchema, point: pointRequestSchema }),
  response: planSchema,
});

export const unpinPoint = defineRoute({
  operationId: 'unpinPoint', method: 'DELETE', path: '/v1/plans/{plan}/pins/{pin}', tag: 'protection', access: 'admin', status: 200,
  summary: 'Let a pinned point go; retention may drop it from then on.',
  response: planSchema,
});
