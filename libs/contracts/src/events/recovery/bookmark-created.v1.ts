// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bookmarkCutSchema } from '../../bookmark-cut';
import { defineEvent } from '../../define-event';
import { idSchema, isoTimeSchema } from '../../scalars';

export const bookmarkCreatedV1 = defineEvent({
  context: 'recovery',
  fact: 'bookmark-created',
  version: 1,
  summary: 'One cut across volumes was made and named.',
  aggregateId: 'bookmarkId',
  data: z.object({
    bookmarkId: idSchema,
    name: z.string().min(1).max(200),
    level: z.enum(['crash', 'user']),
    planId: idSchema.optional(),
    time: isoTimeSchema,
    heldMillis: z.number().nonnegative(),
    cuts: z.array(bookmarkCutSchema),
  }),
});
