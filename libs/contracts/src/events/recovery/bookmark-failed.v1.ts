// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const bookmarkFailedV1 = defineEvent({
  context: 'recovery',
  fact: 'bookmark-failed',
  version: 1,
  summary: 'A bookmark could not be made.',
  aggregateId: 'bookmarkId',
  data: z.object({
    bookmarkId: idSchema,
    name: z.string().min(1).max(200),
    planId: idSchema.optional(),
    code: z.string().min(1).max(100),
    reason: z.string().min(1).max(500),
  }),
});
