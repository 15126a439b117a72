// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bookmarkLevelSchema } from '../bookmark-level';
import { hookResultSchema } from '../freeze-hooks';
import { referenceSchema, timeInputSchema, timeSchema } from './fields';
import { defineRoute } from './route';

export const pointRangeSchema = z.object({ from: timeSchema, to: timeSchema, green: z.boolean().describe('every instant of it can be recovered') });
export const pointBookmarkSchema = z.object({ bookmarkId: z.string(), name: z.string(), level: bookmarkLevelSchema, time: timeSchema });

export const recoveryPointsSchema = z.object({
  ranges: z.array(pointRangeSchema),
  bookmarks: z.array(pointBookmarkSchema),
  latest: timeSchema.optional(),
});

/** Recovery points of the volumes, and those that all of them have in common. */
export const pointsSchema = z
  .object({
    of: z.object({ kind: z.enum(['plan', 'volume']), id: z.string(), name: z.string() }),
    common: recoveryPointsSchema,
    volumes: z.array(recoveryPointsSchema.extend({ volumeId: z.string(), volumeName: z.string(), pairId: z.string(), localFrom: timeSchema.optional().describe('views of older points read from the cold store; absent: none does') })),
  })
  .meta({ id: 'RecoveryPoints' });
export type RecoveryPoints = z.infer<typeof pointsSchema>;

export const listPoints = defineRoute({
  operationId: 'listPoints', method: 'GET', path: '/v1/points', tag: 'recovery', access: 'admin', status: 200,
  summary: 'Recovery points of a plan or volume: ranges and bookmarks, each volume and in common.',
  query: z.object({ of: referenceSchema.describe('plan or volume, name or id'), from: timeInputSchema.optional(), to: timeInputSchema.optional() }),
  response: pointsSchema,
});

export const createBookmark = defineRoute({
  operationId: 'createBookmark', method: 'POST', path: '/v1/plans/{plan}/bookmarks', tag: 'recovery', access: 'admin', status: 201,
  summary: 'Cut all volumes of a plan at one instant and name it.',
  body: z.object({
    name: z.string().min(1).max(200),
    level: bookmarkLevelSchema.default('user').describe('file-system and application let the hooks of the volumes run; user and crash do not'),
    orLower: z.boolean().default(false).describe('make it at the level that holds when a hook fails, instead of refusing it'),
  }),
  response: z
    .object({
      bookmarkId: z.string(), name: z.string(), planId: z.string(), level: bookmarkLevelSchema.describe('that holds'), time: timeSchema.describe('of the newest cut'),
      heldMillis: z.number().describe('the longest that writes were held'),
      holds: z.array(z.object({ hostId: z.string(), heldMillis: z.number() })).describe('of each host'),
      hooks: z.array(hookResultSchema).describe('what was frozen and thawed, in order'),
      volumes: z.array(z.object({ volumeId: z.string(), volumeName: z.string(), time: timeSchema.describe("of this volume's cut, by the clock of its host") })),
    })
    .meta({ id: 'Bookmark' }),
});
