// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bookmarkLevelSchema } from '../bookmark-level';
import { idSchema, isoTimeSchema, pairIdSchema } from '../scalars';
import { defineOperation } from './define-operation';

export const recoveryPointRangeSchema = z.object({ from: isoTimeSchema, to: isoTimeSchema, green: z.boolean().describe('every instant of it can be recovered') });
export const recoveryBookmarkSchema = z.object({
  bookmarkId: idSchema, name: z.string(), level: bookmarkLevelSchema, time: isoTimeSchema,
  hosts: z.int().min(1).optional().describe('told: the bookmark counts only when the configuration server has recorded it; absent: it counts by itself'),
});
export const pairPointsSchema = z.object({
  pairId: pairIdSchema,
  ranges: z.array(recoveryPointRangeSchema),
  bookmarks: z.array(recoveryBookmarkSchema),
  latest: isoTimeSchema.optional(),
  localFrom: isoTimeSchema.optional().describe('views of older points read from the cold store; absent: none does'),
});
export type PairPoints = z.infer<typeof pairPointsSchema>;

/** Times are exact here; spans such as -90s are resolved before the request is made. */
export const pointSelectionSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('latest') }),
  z.object({ kind: z.literal('at'), time: isoTimeSchema }),
  z.object({ kind: z.literal('bookmark'), name: z.string().min(1).describe('name or id; the newest of that name') }),
]);
export type PointSelection = z.infer<typeof pointSelectionSchema>;

export const pointRefusalSchema = z.object({
  outcome: z.literal('refused'),
  reason: z.enum(['before-retention', 'after-newest', 'not-green', 'no-such-bookmark', 'nothing-recoverable', 'inside-folded-set']),
  detail: z.string().describe('the reason in words'),
  nearestBefore: isoTimeSchema.optional(),
  nearestAfter: isoTimeSchema.optional(),
});
export type PointRefusal = z.infer<typeof pointRefusalSchema>;

export const listPointsOperation = defineOperation({
  role: 'master-target',
  name: 'list-points',
  summary: 'Recovery points of pairs.',
  request: z.object({ pairIds: z.array(pairIdSchema).min(1), from: isoTimeSchema.optional(), to: isoTimeSchema.optional() }),
  reply: z.object({ pairs: z.array(pairPointsSchema) }),
});

export const resolvePointOperation = defineOperation({
  role: 'master-target',
  name: 'resolve-point',
  summary: 'The point common to all pairs named, or why there is none.',
  request: z.object({ pairIds: z.array(pairIdSchema).min(1), point: pointSelectionSchema, holdSeconds: z.int().min(1).max(600).optional().describe('retention keeps the point for so long') }),
  reply: z.discriminatedUnion('outcome', [
    z.object({ outcome: z.literal('found'), time: isoTimeSchema, bookmark: recoveryBookmarkSchema.optional() }),
    pointRefusalSchema,
  ]),
});
