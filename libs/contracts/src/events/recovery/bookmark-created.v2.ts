// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { timedBookmarkCutSchema } from '../../bookmark-cut';
import { bookmarkLevelSchema } from '../../bookmark-level';
import { hookResultSchema } from '../../freeze-hooks';
import { defineEvent } from '../../define-event';
import { idSchema, isoTimeSchema } from '../../scalars';

export const bookmarkCreatedV2 = defineEvent({
  context: 'recovery',
  fact: 'bookmark-created',
  version: 2,
  summary: 'One cut across volumes was made and named.',
  aggregateId: 'bookmarkId',
  data: z.object({
    bookmarkId: idSchema,
    name: z.string().min(1).max(200),
    level: bookmarkLevelSchema.describe('what stood still'),
    wantedLevel: bookmarkLevelSchema.optional().describe('what was asked for; absent: the level reached'),
    planId: idSchema.optional(),
    time: isoTimeSchema.describe('of the newest cut'),
    cuts: z.array(timedBookmarkCutSchema),
    holds: z.array(z.object({ hostId: idSchema, heldMillis: z.number().nonnegative() })).describe('the longest that writes of a volume of the host waited; empty: not told'),
    hooks: z.array(hookResultSchema).describe('what was frozen and thawed, in order'),
  }),
});
