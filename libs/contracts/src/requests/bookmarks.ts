// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bookmarkCutSchema } from '../bookmark-cut';
import { idSchema, isoTimeSchema } from '../scalars';
import { defineOperation } from './define-operation';

/** Holds the writes of all volumes named, cuts them at one instant and lets go; repeated with the same bookmarkId it answers the same cut. */
export const createBookmarkOperation = defineOperation({
  role: 'agent',
  name: 'create-bookmark',
  summary: 'Cut volumes of one host at one instant.',
  request: z.object({
    bookmarkId: idSchema,
    name: z.string().min(1).max(200),
    level: z.enum(['crash', 'user']),
    planId: idSchema.optional(),
    volumeIds: z.array(idSchema).min(1),
  }),
  reply: z.object({ bookmarkId: idSchema, time: isoTimeSchema, heldMillis: z.number().nonnegative(), cuts: z.array(bookmarkCutSchema) }),
});
